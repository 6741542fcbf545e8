#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gram matrices (Sastry & Oore 2020) of which maps? AUROC, FPR95 and the share of held-out images that score 0, for the
maps of scorer gram and for those of the authors' program, computed by PyTorch from an encoder's weights: docs/ood.md.

Usage: gram_torch.py libdum.so e.dum IMAGES [LIMIT]      needs PyTorch and NumPy

e.dum: a supervised resnet of depth 18 with the small stem; IMAGES: the folder of the images; LIMIT: of each set."""
import ctypes
import json
import pathlib
import struct
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

CLASSES, POWERS, HELD, BATCH = 10, 10, 10, 100
# What a map is: of a convolution alone; with batch norm; with that and ReLU; a shortcut's, or the block's input in its
# place; what a block puts out, and the last of a stage.
MAPS = {
    "stages (gram)": ("stage",),
    "after residual and ReLU": ("relu", "block", "stage", "shortcut"),
    "gram-all": ("relu", "block", "stage", "shortcut", "before", "norm"),
    "authors": ("relu", "block", "stage", "shortcut", "raw", "norm", "input"),
}


def export(lib, model):
    """Tensors by torchvision's names, shift and scale of the pixels."""
    lib = ctypes.CDLL(lib)
    lib.dum_error_message.restype = ctypes.c_char_p
    context, encoder = ctypes.c_void_p(), ctypes.c_void_p()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/e.safetensors".encode()
        for failed in (lib.dum_context_create(None, ctypes.byref(context)),
                       lib.dum_encoder_load(context, model.encode(), ctypes.byref(encoder)),
                       lib.dum_encoder_export(encoder, path)):
            if failed:
                sys.exit(lib.dum_error_message().decode())
        data = pathlib.Path(path.decode()).read_bytes()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:begin])
    told = head.pop("__metadata__")
    tensors = {}
    for name, t in head.items():
        first, end = (begin + at for at in t["data_offsets"])
        tensors[name] = torch.from_numpy(np.frombuffer(data[first:end], np.float32).reshape(t["shape"]).copy())
    return tensors, *(np.array(told[f"dum.encoder.{n}"].split(), np.float32) for n in ("shift", "scale"))


class Network:
    def __init__(self, *arguments):
        self.w, self.shift, self.scale = export(*arguments)

    def load(self, path, limit):
        images = np.load(path, mmap_mode="r")[:limit]
        if images.shape[1] == 28:
            grey = np.pad(images.reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
            images = np.repeat(grey[..., None], 3, 3)
        return torch.from_numpy((images.astype(np.float32) - self.shift) * self.scale).permute(0, 3, 1, 2)

    def norm(self, x, name):
        w = [self.w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *w, eps=1e-5)

    def maps(self, x):
        w, made = self.w, []

        def conv(x, name, norm, stride=1):
            raw = F.conv2d(x, w[name + ".weight"], stride=stride, padding=w[name + ".weight"].shape[2] // 2)
            return raw, self.norm(raw, norm)

        def relu(raw, before):
            after = F.relu(before)
            made.extend([("raw", raw), ("before", before), ("relu", after)])
            return after

        x = relu(*conv(x, "conv1", "bn1"))
        for stage in range(1, 5):
            for block in range(2):
                at, stride = f"layer{stage}.{block}.", 2 if stage > 1 and block == 0 else 1
                inner = relu(*conv(x, at + "conv1", at + "bn1", stride))
                raw, out = conv(inner, at + "conv2", at + "bn2")
                made.extend([("raw", raw), ("norm", out)])
                if at + "downsample.0.weight" in w:
                    x = conv(x, at + "downsample.0", at + "downsample.1", stride)[1]
                    made.append(("shortcut", x))
                else:
                    made.append(("input", x))
                x = F.relu(out + x)
                made.append(("stage" if block else "block", x))
        return made, (x.mean((2, 3)) @ w["fc.weight"].T + w["fc.bias"]).argmax(1)


def sums(x):
    """As the authors sum the rows of the Gram matrices, by doubles: images x (powers x columns)."""
    x = x.flatten(2).double()
    most = x.abs().amax((1, 2), keepdim=True).clamp_min(1e-20)
    power, found = torch.ones_like(x), []
    for p in range(1, POWERS + 1):
        power = power * (x / most)
        s = torch.einsum("ncx,nx->nc", power, power.sum(1))
        found.append(s.sign() * s.abs().pow(1 / p) * most[:, :, 0] ** 2)
    return torch.cat(found, 1)


class Ranges:
    def __init__(self, network, images):
        self.least, self.most, held = None, None, []
        for first, kinds, values, classes in self.each(network, images):
            if self.least is None:
                self.kinds = kinds
                self.least = [torch.full((CLASSES, v.shape[1]), np.inf, dtype=torch.double) for v in values]
                self.most = [-v for v in self.least]
            makes = (torch.arange(first, first + len(classes)) % HELD) != HELD - 1
            for v, least, most in zip(values, self.least, self.most):
                for c in range(CLASSES):
                    rows = v[makes & (classes == c)]
                    if len(rows):
                        least[c], most[c] = torch.minimum(least[c], rows.amin(0)), torch.maximum(most[c], rows.amax(0))
            held.append(([v[~makes] for v in values], classes[~makes]))
        self.expected = np.concatenate([self.deviations(*h) for h in held]).mean(0)
        self.expected[self.expected == 0] = 1

    @staticmethod
    def each(network, images):
        with torch.inference_mode():
            for first in range(0, len(images), BATCH):
                maps, classes = network.maps(images[first:first + BATCH].contiguous())
                yield first, [k for k, _ in maps], [sums(x) for _, x in maps], classes

    def deviations(self, values, classes):
        found = []
        for v, all_least, all_most in zip(values, self.least, self.most):
            least, most = all_least[classes], all_most[classes]
            found.append((F.relu(least - v) / (least + 1e-6).abs().clamp_min(1e-12)
                          + F.relu(v - most) / (most + 1e-6).abs().clamp_min(1e-12)).sum(1))
        return torch.stack(found, 1).numpy()

    def scores(self, network, images):
        return np.concatenate([self.deviations(v, c) for _, _, v, c in self.each(network, images)]) / self.expected


def auroc(a, b):
    _, place, count = np.unique(np.concatenate([a, b]), return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return (rank[len(a):].sum() - len(b) * (len(b) + 1) / 2) / len(a) / len(b)


def main():
    folder, limit = pathlib.Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else None
    network = Network(*sys.argv[1:3])
    ranges = Ranges(network, network.load(folder / "cifar10_train/images.npy", limit))
    inside = ranges.scores(network, network.load(folder / "cifar10_test/images.npy", limit))
    outside = [ranges.scores(network, network.load(folder / path, limit)) for path in
               ("tinyimagenet_val/images_q75.npy", "gtsrb_test/images_q75.npy", "mnist_test/images.npy")]
    print("| maps | how many | AUROC: TinyImageNet | traffic signs | MNIST | FPR95 | score 0 |\n|---|---|---|---|---|---|---|")
    for name, kinds in MAPS.items():
        used = [kind in kinds for kind in ranges.kinds]
        a, others = inside[:, used].sum(1), [o[:, used].sum(1) for o in outside]
        fpr = [(a >= np.sort(b)[int(0.05 * len(b))]).mean() for b in others]
        print(f"| {name} | {sum(used)} | " + " | ".join(f"{auroc(a, b):.4f}" for b in others) + " | "
              + ", ".join(f"{f:.3f}" for f in fpr) + f" | {(a == 0).mean():.3f} |")


if __name__ == "__main__":
    main()
