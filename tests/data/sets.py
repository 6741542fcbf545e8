# SPDX-License-Identifier: MIT
"""The data sets that DUM_DATA names; without it, the test that asks is skipped."""
import gzip
import os
import pathlib
import sys

if not os.environ.get("DUM_DATA"):
    print("skipped: DUM_DATA does not name a folder of data sets")
    sys.exit(77)
data = pathlib.Path(os.environ["DUM_DATA"])


def array(path, scratch):
    """The .npy file, unpacked into `scratch` where it is compressed."""
    if path.exists():
        return path
    copy = scratch / path.name
    copy.write_bytes(gzip.decompress(pathlib.Path(f"{path}.gz").read_bytes()))
    return copy
