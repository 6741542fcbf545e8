#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the seeds of the fuzz targets that need no library: corpus/model/container-*.dum, corpus/npy/*.npy.
The other models in corpus/model were saved by libdum. Run it again after a change; the same bytes come out."""
import hashlib
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
SIZES = {"F32": 4, "F64": 8, "I64": 8, "U8": 1}


def pack(dtype, values):
    return struct.pack("<%d%s" % (len(values), {"F32": "f", "F64": "d", "I64": "q", "U8": "B"}[dtype]), *values)


def model(kind, tensors, more=None, ascii_only=False, pad=True):
    """A container as docs/model-format.md describes it. tensors: name -> (dtype, shape, values)."""
    meta = {"dum.format": "1", "dum.min_reader": "1", "dum.writer": "libdum 0.1.0", "dum.kind": kind}
    meta.update(more or {})
    header, data = {}, b""
    table = b""
    for name in sorted(tensors, key=str.encode):
        dtype, shape, values = tensors[name]
        raw = pack(dtype, values) if dtype in SIZES else values
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
        for text in [name, dtype] + [str(n) for n in shape] + [""]:
            table += text.encode() + b"\0"
    meta["dum.data_sha256"] = hashlib.sha256(data).hexdigest()
    texts = b"".join(k.encode() + b"\0" + meta[k].encode() + b"\0" for k in sorted(meta, key=str.encode))
    meta["dum.meta_sha256"] = hashlib.sha256(texts + table).hexdigest()
    whole = {"__metadata__": {k: meta[k] for k in sorted(meta, key=str.encode)}, **header}
    text = json.dumps(whole, ensure_ascii=ascii_only, separators=None if ascii_only else (",", ":")).encode()
    if pad:
        text += b" " * (-(len(text) + 8) % 64)
    return struct.pack("<Q", len(text)) + text + data


def models():
    identity = {
        "scaling.shift": ("F32", [2], [0, 1]),
        "scaling.scale": ("F32", [2], [1, 2]),
        "scaling.spread": ("F64", [2], [1, 0.5]),
        "head.offset": ("F32", [1], [0]),
    }
    linear = {"head.0.weight": ("F32", [2, 2], [1, 0, 0, 1]), "head.0.bias": ("F32", [2], [0, 0])}
    names = {"dum.features": "é\"\\/\x01\n\U0001F600"}
    plain = {"dum.param.scaling": "zscore", "dum.param.layers": "0", "dum.param.covariance": "diagonal"}
    yield "head", model("head", {**identity, **linear}, plain)
    yield "whiten", model("head", {**identity, **linear, "scaling.rotation": ("F32", [2, 2], [0, 1, 1, 0])},
                          {**plain, "dum.param.scaling": "whiten"})
    centres = ("F32", [3, 2], [0, 1, float("inf"), 1, float("nan"), 1e38])
    yield "centres", model("head", {**identity, **linear, "anchor.centres": centres},
                           {**plain, "dum.param.anchor": "centres"})
    calibration = {"calibration.scores": ("F64", [3], [-1, 0, 1])}
    yield "features", model("scorer.dum", {**identity, **linear, **calibration}, {**plain, **names})
    yield "escapes", model("scorer.dum", {**identity, **linear}, {**plain, **names}, ascii_only=True)
    yield "shapes", model("k", {"a": ("U8", [1, 2, 1, 2], [1, 2, 3, 4]), "e": ("F32", [0, 3], []),
                                "s": ("I64", [], [2**53])}, pad=False)
    yield "newer", model("k", {"b": ("BF16", [1], b"\0\0")}, {"dum.min_reader": "2"})
    yield "nan", model("head", {**identity, **linear, "head.offset": ("F32", [1], [float("nan")])}, plain)


def npy(version, header, data):
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + data


def arrays():
    def header(descr, order, shape):
        return "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)

    six = struct.pack("<6f", *range(6))
    wide = struct.pack("<6d", *range(6))
    yield "v1", npy(1, header("<f4", False, "(3, 2)") + " " * 8 + "\n", six)
    yield "v2", npy(2, header("<f8", False, "(3, 2)") + "\n", wide)
    yield "v3", npy(3, header("<f4", False, "(6,)"), six)
    yield "fortran-row", npy(1, header("<f4", True, "(1, 6)"), six)
    yield "fortran-2d", npy(1, header("<f4", True, "(3, 2)"), six)
    yield "order", npy(1, "{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}", six)
    yield "big-endian", npy(1, header(">f4", False, "(3, 2)"), six)
    yield "records", npy(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", six)
    yield "huge", npy(1, header("<f4", False, "(72057594037927935, 3)"), six)
    yield "scalar", npy(1, header("<f4", False, "()"), six[:4])
    yield "trailing", npy(1, header("<f4", False, "(2, 2)"), six)
    yield "images", npy(1, header("|u1", False, "(2, 2, 2, 3)"), six)
    yield "volumes", npy(1, header("<f8", False, "(3, 1, 2)"), wide)
    yield "too-many", npy(1, header("|u1", False, "(2, 3, 1, 2, 2)"), six)
    yield "overflow", npy(1, header("|u1", False, "(1, 65536, 65536, 65536)"), six)
    yield "empty", npy(1, header("<f4", False, "(0, 2)"), b"")


def main():
    for name, content in models():
        (CORPUS / "model" / ("container-%s.dum" % name)).write_bytes(content)
    for name, content in arrays():
        (CORPUS / "npy" / ("%s.npy" % name)).write_bytes(content)


if __name__ == "__main__":
    main()
