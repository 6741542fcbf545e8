#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the C source of the extension module from the preprocessed dum.h: cffi gets the header's own
declarations, so that they cannot drift from it.
Usage: declarations.py header.i _dum.c"""

import pathlib
import re
import sys

import cffi

CALLBACKS = """
extern "Python" {
    int32_t dum_py_progress(void *user, const dum_progress *progress);
    int32_t dum_py_checkpoint(void *user, const void *checkpoint, size_t size);
    int32_t dum_py_reduce(void *user, float *values, int64_t count);
    int32_t dum_py_embed(void *user, const float *data, int64_t rows, int32_t cols, int64_t row_stride, float *out);
    int32_t dum_py_read(void *user, const int64_t *indices, int64_t count, float *out);
    void dum_py_log(void *user, int32_t level, int32_t code, const char *line);
}
"""


def declarations(preprocessed: str) -> str:
    """The lines that come from dum.h, without what is only for compilers."""
    header = preprocessed.split("dum_header_begins", 1)[1]
    return re.sub(r"__attribute__\s*\(\(\w+\)\)", "", header)


def main() -> None:
    ffi = cffi.FFI()
    ffi.cdef(declarations(pathlib.Path(sys.argv[1]).read_text()) + CALLBACKS)
    ffi.set_source("dum._dum", "#include <dum.h>")
    ffi.emit_c_code(sys.argv[2])


if __name__ == "__main__":
    main()
