#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One SimCLR step and inference of ResNet-18 (3 x 3 stem, 32 x 32 images) beside PyTorch's on the same cores: ratios of
medians (PyTorch / libdum: above 1 libdum is faster), and the peak memory of each in a process of its own.

Usage: encoder_torch.py libdum.so [THREADS]      needs PyTorch and NumPy

libdum's step holds the making of the views, PyTorch's does not; both are of a batch of 128 images in two views."""
import ctypes
import json
import multiprocessing
import sys
import time

import numpy as np

BATCH, ROUNDS, UNITS = 128, 5, (16, 64)


def median(values):
    return sorted(values)[len(values) // 2]


class Libdum:
    def __init__(self, path, threads, units):
        self.lib = ctypes.CDLL(path)
        self.lib.dum_error_message.restype = ctypes.c_char_p
        options = (ctypes.c_byte * 256)()
        # dum_context_options: struct_size, backend, device, threads, and zeros
        ctypes.c_size_t.from_buffer(options).value = 80
        ctypes.c_int32.from_buffer(options, 20).value = threads
        self.context = ctypes.c_void_p()
        self.call("dum_context_create", options, ctypes.byref(self.context))
        self.images = np.random.default_rng(0).integers(0, 256, (BATCH, 3072)).astype(np.float32)
        self.data = ctypes.c_void_p()
        self.call("dum_dataset_from_memory", self.context, self.images.ctypes.data_as(ctypes.c_void_p),
                  ctypes.c_int64(BATCH), ctypes.c_int32(3072), ctypes.c_int64(0), ctypes.byref(self.data))
        self.encoder = ctypes.c_void_p()
        self.call("dum_encoder_create", self.context, b"resnet", ctypes.byref(self.encoder))
        self.set("units", units)
        self.set("batch", BATCH)

    def call(self, name, *arguments):
        if getattr(self.lib, name)(*arguments) != 0:
            raise RuntimeError(self.lib.dum_error_message().decode())

    def set(self, name, value):
        self.call("dum_encoder_set_number", self.encoder, name.encode(), ctypes.c_double(value))

    def step(self, units):
        """Seconds of a step: what two more take."""
        seconds = []
        for steps in (1, 3):
            self.lib.dum_encoder_destroy(self.encoder)
            self.call("dum_encoder_create", self.context, b"resnet", ctypes.byref(self.encoder))
            for name, value in (("units", units), ("batch", BATCH), ("steps", steps)):
                self.set(name, value)
            begin = time.perf_counter()
            self.call("dum_encoder_fit", self.encoder, self.data, None)
            seconds.append(time.perf_counter() - begin)
        return (seconds[1] - seconds[0]) / 2

    def infer(self, rows):
        cols = self.lib.dum_encoder_embedding_cols(self.encoder, 3072)
        out = np.empty((rows, cols), np.float32)
        begin = time.perf_counter()
        self.call("dum_encoder_embed", self.encoder, self.images.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(rows),
                  ctypes.c_int32(3072), ctypes.c_int64(0), out.ctypes.data_as(ctypes.c_void_p))
        return time.perf_counter() - begin


class Torch:
    def __init__(self, _, threads, units):
        import torch
        from simclr_torch import ResNet18, nt_xent
        torch.set_num_threads(threads)
        self.torch, self.loss = torch, nt_xent
        self.net = ResNet18(units).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(self.net.parameters(), lr=0.06, momentum=0.9, weight_decay=5e-4)
        self.x = torch.randn(2 * BATCH, 3, 32, 32).to(memory_format=torch.channels_last)

    def step(self, units):
        self.net.train()
        begin = time.perf_counter()
        self.optimiser.zero_grad()
        self.loss(self.net(self.x)).backward()
        self.optimiser.step()
        return time.perf_counter() - begin

    def infer(self, rows):
        self.net.eval()
        with self.torch.inference_mode():
            begin = time.perf_counter()
            self.net.features(self.x[:rows])
            return time.perf_counter() - begin


def most_memory():
    """Of this process alone; what getrusage gives begins with the parent's."""
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024


def peak(kind, path, threads, units, send):
    made = kind(path, threads, units)
    before = most_memory()
    made.step(units)
    made.step(units)
    send.send(most_memory() - before)


def peak_of(*arguments):
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=peak, args=(*arguments, send))
    process.start()
    found = receive.recv()
    process.join()
    return found


def main():
    path, threads = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2
    found = {"threads": threads}
    print("| units | step | inference, 128 images | inference, 1 image | MiB of a step: libdum | PyTorch |\n|---|---|---|---|---|---|")
    for units in UNITS:
        both = [kind(path, threads, units) for kind in (Libdum, Torch)]
        times = {name: ([], []) for name in ("step", 128, 1)}
        for _ in range(ROUNDS + 1 if units < 64 else 3):
            for k, one in enumerate(both):
                times["step"][k].append(one.step(units))
                for rows in (128, 1):
                    times[rows][k].append(median([one.infer(rows) for _ in range(5)]))
        ratios = [median(b[1:]) / median(a[1:]) for a, b in times.values()]
        memory = [peak_of(kind, path, threads, units) for kind in (Libdum, Torch)]
        print(f"| {units} | " + " | ".join(f"{r:.2f}" for r in ratios) + f" | {memory[0]:.0f} | {memory[1]:.0f} |", flush=True)
        found[units] = dict(zip(("step", "infer_128", "infer_1"), ratios), memory=memory)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
