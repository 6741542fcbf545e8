#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The work of bench_head in PyTorch, JAX and ONNX Runtime, where they are installed, on one core in turns with ours.
Prints a Markdown table of ratios: their time over ours, medians.

Usage: peers.py path/to/bench_head"""
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1",
                  XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", JAX_PLATFORMS="cpu")
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np  # noqa: E402  (after the limits on threads)

COLS, WIDE, SMALL, BATCH, ROWS = 64, 4096, 256, 256, 4096
rng = np.random.default_rng(0)
rows = rng.standard_normal((ROWS, COLS)).astype(np.float32)
targets = rng.random((BATCH, COLS)).astype(np.float32) + 0.1


def weights(width):
    sizes = [COLS, width, width, width, COLS]
    return [(rng.standard_normal((a, b)).astype(np.float32) * np.sqrt(2 / a).astype(np.float32), np.zeros(b, np.float32))
            for a, b in zip(sizes, sizes[1:])]


def median(call, trials, repeat=1):
    times = []
    for _ in range(trials + 1):
        start = time.perf_counter()
        for _ in range(repeat):
            call()
        times.append((time.perf_counter() - start) / repeat)
    return statistics.median(times[1:])


def in_torch():
    import torch
    torch.set_num_threads(1)

    def network(width):
        layers = []
        for w, b in weights(width):
            layer = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(w.T.copy()))
                layer.bias.copy_(torch.from_numpy(b))
            layers += [layer, torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    wide, z, t = network(WIDE), torch.from_numpy(rows), torch.from_numpy(targets)
    adam = torch.optim.Adam(wide.parameters(), 1e-3)

    def step():
        adam.zero_grad()
        s = wide(z[:BATCH])
        loss = 0.5 * (t * torch.exp(-s) + s).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(wide.parameters(), 5.0)
        adam.step()

    times = {"step": median(step, 5)}
    small = network(SMALL)
    with torch.inference_mode():
        times["bulk"] = median(lambda: wide(z), 3)
        times["row"] = median(lambda: wide(z[:1]), 15)
        times["small"] = median(lambda: small(z[:1]), 5, 500)
    return "PyTorch " + torch.__version__, times


def in_jax():
    import jax
    import jax.numpy as jnp

    def forward(parameters, z):
        for w, b in parameters[:-1]:
            z = jnp.maximum(z @ w + b, 0)
        return z @ parameters[-1][0] + parameters[-1][1]

    def loss(parameters, z):
        s = forward(parameters, z)
        return 0.5 * (targets * jnp.exp(-s) + s).mean()

    def step(parameters, first, second, z):
        gradient = jax.grad(loss)(parameters, z)
        norm = jnp.sqrt(sum((g ** 2).sum() for g in jax.tree_util.tree_leaves(gradient)))
        gradient = jax.tree_util.tree_map(lambda g: g * jnp.minimum(1, 5 / norm), gradient)
        first = jax.tree_util.tree_map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree_util.tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        parameters = jax.tree_util.tree_map(lambda p, m, v: p - 1e-3 * m / (jnp.sqrt(v) + 1e-8), parameters, first, second)
        return parameters, first, second

    state = [jax.tree_util.tree_map(jnp.asarray, weights(WIDE))]
    zeros = jax.tree_util.tree_map(jnp.zeros_like, state[0])
    state += [zeros, jax.tree_util.tree_map(jnp.zeros_like, zeros)]
    compiled, z = jax.jit(step, donate_argnums=(0, 1, 2)), jnp.asarray(rows)

    def one_step():
        state[:] = compiled(*state, z[:BATCH])
        jax.block_until_ready(state)

    times = {"step": median(one_step, 5)}
    score = jax.jit(forward)
    one, small = z[:1], jax.tree_util.tree_map(jnp.asarray, weights(SMALL))
    times["bulk"] = median(lambda: score(state[0], z).block_until_ready(), 3)
    times["row"] = median(lambda: score(state[0], one).block_until_ready(), 15)
    times["small"] = median(lambda: score(small, one).block_until_ready(), 5, 500)
    return "JAX " + jax.__version__, times


def in_onnxruntime():
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    def session(width):
        nodes, initializers, last = [], [], "z"
        layers = weights(width)
        for i, (w, b) in enumerate(layers):
            initializers += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
            nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"g{i}"]))
            last = f"g{i}"
            if i + 1 < len(layers):
                nodes.append(helper.make_node("Relu", [last], [f"r{i}"]))
                last = f"r{i}"
        graph = helper.make_graph(nodes, "head", [helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, COLS])],
                                  [helper.make_tensor_value_info(last, TensorProto.FLOAT, [None, COLS])], initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    wide, small, one = session(WIDE), session(SMALL), rows[:1].copy()
    times = {"bulk": median(lambda: wide.run(None, {"z": rows}), 3), "row": median(lambda: wide.run(None, {"z": one}), 15),
             "small": median(lambda: small.run(None, {"z": one}), 5, 500)}
    return "ONNX Runtime " + onnxruntime.__version__, times


def ours():
    done = subprocess.run([sys.argv[1], "--seconds"], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    columns = {"step": "training step, 3 x 4096", "bulk": "4096 rows, 3 x 4096", "row": "one row, 3 x 4096",
               "small": "one row, 3 x 256"}
    print("| times ours | " + " | ".join(columns.values()) + " |\n|---|" + "--:|" * len(columns))
    for peer in (in_torch, in_jax, in_onnxruntime):
        try:
            name, theirs = peer()
        except ImportError as error:
            print(f"{peer.__name__[3:]} is not installed: {error}", file=sys.stderr)
            continue
        base = ours()
        print(f"| {name} | " + " | ".join(f"{theirs[c] / base[c]:.2f}" if c in theirs else "" for c in columns) + " |",
              flush=True)


if __name__ == "__main__":
    main()
