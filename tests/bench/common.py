# SPDX-License-Identifier: MIT
"""What the benchmarks in Python share: libdum by ctypes, and the sets. Needs NumPy."""
import ctypes
import gzip

import numpy as np

MOST_ROWS = 20000


class ParamInfo(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("name", ctypes.c_char_p), ("type", ctypes.c_int32), ("reserved", ctypes.c_int32),
                ("default_number", ctypes.c_double), ("min", ctypes.c_double), ("max", ctypes.c_double),
                ("default_text", ctypes.c_char_p), ("choices", ctypes.c_char_p), ("help", ctypes.c_char_p)]


class Dum:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.dum_error_message.restype = ctypes.c_char_p
        self.context = ctypes.c_void_p()
        self.call("dum_context_create", None, ctypes.byref(self.context))

    def call(self, name, *arguments):
        if getattr(self.lib, name)(*arguments) != 0:
            raise RuntimeError(self.lib.dum_error_message().decode())

    def kinds(self):
        self.lib.dum_scorer_kind_name.restype = ctypes.c_char_p
        return [self.lib.dum_scorer_kind_name(i).decode() for i in range(self.lib.dum_scorer_kind_count())]

    def defaults(self, kind):
        """The kind's options with their defaults."""
        found = {}
        for index in range(self.lib.dum_scorer_param_count(kind.encode())):
            info = ParamInfo(struct_size=ctypes.sizeof(ParamInfo))
            self.call("dum_scorer_param_get", kind.encode(), ctypes.c_int32(index), ctypes.byref(info))
            found[info.name.decode()] = info.default_number if info.default_text is None else info.default_text.decode()
        return found

    def fit(self, kind, x, options=()):
        scorer, data = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("dum_scorer_create", self.context, kind.encode(), ctypes.byref(scorer))
        for name, value in options:
            if isinstance(value, str):
                self.call("dum_scorer_set_text", scorer, name.encode(), value.encode())
            else:
                self.call("dum_scorer_set_number", scorer, name.encode(), ctypes.c_double(value))
        self.call("dum_dataset_from_memory", self.context, x.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(x)),
                  ctypes.c_int32(x.shape[1]), ctypes.c_int64(0), ctypes.byref(data))
        self.call("dum_scorer_fit", scorer, data, None)
        self.lib.dum_dataset_destroy(data)
        return scorer

    def score(self, scorer, x):
        scores = np.empty(len(x))
        self.call("dum_scorer_score", scorer, x.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(x)),
                  ctypes.c_int32(x.shape[1]), ctypes.c_int64(0), scores.ctypes.data_as(ctypes.c_void_p))
        return scores

    def score_one(self, scorer, x):
        """A call for each row, its arguments made beforehand: what is timed is the library, not their making."""
        out = ctypes.c_double()
        made = [(scorer, ctypes.c_void_p(row.ctypes.data), ctypes.c_int64(1), ctypes.c_int32(x.shape[1]), ctypes.c_int64(0), ctypes.byref(out))
                for row in x]
        score = self.lib.dum_scorer_score
        return [lambda arguments=arguments: score(*arguments) for arguments in made]

    def destroy(self, scorer):
        self.lib.dum_scorer_destroy(scorer)


def load(path):
    if path.exists():
        return np.load(path)
    with gzip.open(str(path) + ".gz") as file:
        return np.load(file)


def read_set(folder, most=MOST_ROWS):
    """Rows and labels (1: an outlier); of more than `most` rows a random choice, seed 0."""
    x, y = np.ascontiguousarray(load(folder / "X.npy").astype(np.float32)), load(folder / "y.npy").astype(int)
    if most and len(x) > most:
        rows = np.random.default_rng(0).permutation(len(x))[:most]
        x, y = x[rows], y[rows]
    return x, y
