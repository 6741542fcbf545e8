#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The recipe of bench_simclr in PyTorch: the same network, loss, optimiser, schedule and views (made by libdum, so that
the two differ in training alone). Prints the same table.

Usage: simclr_torch.py libdum.so DATA EPOCHS EVERY [THREADS]      needs PyTorch and NumPy"""
import ctypes
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

UNITS, BATCH, RATE, DECAY, TEMPERATURE, PROJECTION = 16, 256, 0.06, 5e-4, 0.2, 128


class Block(torch.nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = torch.nn.Sequential(torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                                  torch.nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet18(torch.nn.Module):
    """He et al. 2016 with a 3 x 3 stem; `units` columns in the first stage."""

    def __init__(self, units):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, units, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(units)
        blocks, inputs = [], units
        for stage in range(4):
            for i in range(2):
                blocks.append(Block(inputs, units << stage, 2 if stage > 0 and i == 0 else 1))
                inputs = units << stage
        self.blocks = torch.nn.Sequential(*blocks)
        self.projection = torch.nn.Sequential(torch.nn.Linear(inputs, inputs), torch.nn.ReLU(),
                                              torch.nn.Linear(inputs, PROJECTION))
        for m in self.modules():
            if isinstance(m, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x):
        return self.blocks(F.relu(self.bn1(self.conv1(x)), inplace=True)).mean((2, 3))

    def forward(self, x):
        return self.projection(self.features(x))


class Dum:
    """dum_image_augment through ctypes."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.library.dum_error_message.restype = ctypes.c_char_p
        self.context = ctypes.c_void_p()
        assert self.library.dum_context_create(None, ctypes.byref(self.context)) == 0

    def view(self, images, seed, view):
        out = np.empty_like(images)
        status = self.library.dum_image_augment(
            self.context, None, 32, 32, 3, images.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(images)),
            ctypes.c_int64(0), ctypes.c_uint64(seed), ctypes.c_uint32(view), out.ctypes.data_as(ctypes.c_void_p))
        assert status == 0, self.library.dum_error_message()
        return out


def tensor(images, mean, deviation):
    x = torch.from_numpy((images.reshape(-1, 32, 32, 3) - mean) / deviation).permute(0, 3, 1, 2)
    return x.float().contiguous(memory_format=torch.channels_last)


def nt_xent(z):
    z = F.normalize(z)
    logits = (z @ z.T / TEMPERATURE).fill_diagonal_(-1e9)
    n = len(z) // 2
    return F.cross_entropy(logits, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def knn(net, train, train_labels, test, test_labels):
    net.eval()
    with torch.no_grad():
        a = F.normalize(torch.cat([net.features(x) for x in train.split(256)]))
        b = F.normalize(torch.cat([net.features(x) for x in test.split(256)]))
        near, index = (b @ a.T).topk(200)
        votes = torch.zeros(len(b), 10).scatter_add_(1, train_labels[index], ((near - 1) / 0.07).exp())
    net.train()
    return (votes.argmax(1) == test_labels).float().mean().item()


def main():
    path, data, epochs, every = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if len(sys.argv) > 5:
        torch.set_num_threads(int(sys.argv[5]))
    torch.manual_seed(0)
    dum = Dum(path)
    images = np.load(data / "cifar10_train/images.npy").reshape(-1, 3072).astype(np.float32)
    mean = images.reshape(-1, 3).mean(0, dtype=np.float64)
    deviation = images.reshape(-1, 3).std(0, dtype=np.float64)
    test = tensor(np.load(data / "cifar10_test/images.npy"), mean, deviation)
    labels = [torch.from_numpy(np.load(data / f"cifar10_{part}/labels.npy").astype(np.int64))
              for part in ("train", "test")]
    net = ResNet18(UNITS).to(memory_format=torch.channels_last)
    weights = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    optimiser = torch.optim.SGD([{"params": weights, "weight_decay": DECAY}, {"params": others}], lr=RATE, momentum=0.9)
    per_epoch, minutes, smooth, step = len(images) // BATCH, 0.0, 0.0, 0
    order = np.random.RandomState(0)
    print("| epoch | loss | kNN | minutes |\n|---|---|---|---|")
    for epoch in range(epochs):
        begin = time.time()
        rows = order.permutation(len(images))
        for i in range(per_epoch):
            batch = np.ascontiguousarray(images[rows[i * BATCH:(i + 1) * BATCH]])
            views = [dum.view(batch, step, view) for view in range(2)]
            loss = nt_xent(net(tensor(np.concatenate(views), mean, deviation)))
            optimiser.zero_grad()
            loss.backward()
            for group in optimiser.param_groups:
                group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * step / (epochs * per_epoch)))
            optimiser.step()
            step += 1
            smooth = loss.item() if smooth == 0 else 0.9 * smooth + 0.1 * loss.item()
        minutes += (time.time() - begin) / 60
        if (epoch + 1) % every == 0 or epoch + 1 == epochs:
            accuracy = knn(net, tensor(images, mean, deviation), labels[0], test, labels[1])
            print(f"| {epoch + 1} | {smooth:.3f} | {accuracy:.4f} | {minutes:.1f} |", flush=True)


if __name__ == "__main__":
    main()
