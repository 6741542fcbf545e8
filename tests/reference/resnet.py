#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reference values for imported residual networks: torchvision's resnet18, 34 and 50 with weights that are a formula
of name and place, on two images that are one too; tests/encoder/test_exchange.c makes the same file.

Debian: python3-torchvision. Usage: resnet.py > resnet_reference.h"""

import numpy as np
import torch
import torchvision

SIZE, CLASSES, SHOWN = 64, 10, 24


def uniform(name, count):
    """In [0, 1): a hash of name and index."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + seed).astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x = ((x ^ (x >> np.uint32(shift))).astype(np.uint64) * factor).astype(np.uint32)
    return x.astype(np.float64) / 2**32


def tensor(name, shape):
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("running_var"):
        value = 0.8 + 0.4 * u
    elif len(shape) == 1 and ("bn" in name or "downsample.1" in name) and name.endswith("weight"):
        value = 0.9 + 0.2 * u
    elif len(shape) == 1:
        value = 0.2 * u - 0.1
    else:
        value = (u - 0.5) * np.sqrt(12 / np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32).reshape(shape))


images = np.stack([np.floor(256 * uniform(f"image {i}", SIZE * SIZE * 3)).reshape(SIZE, SIZE, 3) for i in range(2)])
mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
x = torch.from_numpy(((images / 255 - mean) / deviation).astype(np.float32)).permute(0, 3, 1, 2)

lines = ["/* Made by resnet.py with torch %s, torchvision %s. */" % (torch.__version__, torchvision.__version__),
         "enum { RESNET_SIZE = %d, RESNET_CLASSES = %d, RESNET_SHOWN = %d };" % (SIZE, CLASSES, SHOWN),
         "static const struct {", "    int depth;", "    double features[2][RESNET_SHOWN], logits[2][RESNET_CLASSES];",
         "} resnets[] = {"]
for depth in (18, 34, 50):
    net = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=CLASSES).double().eval()
    state = net.state_dict()
    for name, old in state.items():
        if not name.endswith("num_batches_tracked"):
            state[name] = tensor(name, tuple(old.shape)).double()
    net.load_state_dict(state)
    kept = {}
    net.avgpool.register_forward_hook(lambda module, inputs, output: kept.update(features=output.flatten(1)))
    with torch.no_grad():
        logits = net(x.double()).numpy()
    features = kept["features"].numpy()

    def rows(values):
        return ", ".join("{%s}" % ", ".join(f"{v:.9g}" for v in row) for row in values)

    lines.append(f"    {{{depth}, {{{rows(features[:, :SHOWN])}}},\n     {{{rows(logits)}}}}},")
lines.append("};")
print("\n".join(lines))
