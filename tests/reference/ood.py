#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Values of the out-of-distribution scorers from their definitions, for tests/ood. NumPy alone; nothing here is
libdum's. Usage: ood.py > ood_reference.h"""
import numpy as np

rng = np.random.default_rng(20220613)
TRAIN, TEST, D, K = 60, 8, 6, 3


def logsumexp(x):
    most = x.max(-1, keepdims=True)
    return (most + np.log(np.exp(x - most).sum(-1, keepdims=True)))[..., 0]


def show(name, values, ctype="float"):
    flat = np.asarray(values).ravel()
    text = ", ".join(("%d" if ctype == "int32_t" else "%.9ef" if ctype == "float" else "%.17g") % v for v in flat)
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) + 5 > 110:
            lines.append(line)
            line = ""
        line += (" " if line else "    ") + word
    print(f"static const {ctype} ood_{name}[] = {{\n" + "\n".join(lines + [line]) + "};")


# Features of three classes, and the logits that a linear layer makes of them.
labels = np.arange(TRAIN) % K
centres, layer, bias = rng.normal(size=(K, D)) * 2, rng.normal(size=(D, K)), rng.normal(size=K)
mixing = rng.normal(size=(D, D))
features = (centres[labels] + rng.normal(size=(TRAIN, D)) @ mixing * 0.5).astype(np.float32)
others = np.concatenate([centres[np.arange(4) % K], rng.normal(size=(4, D)) * 4]).astype(np.float32)
logits, other_logits = ((x.astype(float) @ layer + bias).astype(np.float32) for x in (features, others))
joint, other_joint = np.hstack([features, logits]), np.hstack([others, other_logits])


def ledoit_wolf(x):
    n, d = x.shape
    x = x - x.mean(0)
    s = x.T @ x / n
    mu = np.trace(s) / d
    delta = ((s - mu * np.eye(d)) ** 2).sum() / d
    beta = min(sum(((np.outer(r, r) - s) ** 2).sum() for r in x) / n**2 / d, delta)
    return (1 - beta / delta) * s + beta / delta * mu * np.eye(d)


def square(x, mean, covariance):
    gap = x - mean
    return np.einsum("ij,jk,ik->i", gap, np.linalg.inv(covariance), gap)


def mds(train, test):
    means = np.array([train[labels == c].mean(0) for c in range(K)])
    covariance = ledoit_wolf(train - means[labels])
    return np.min([square(test, m, covariance) for m in means], axis=0)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def vim(train, test):
    x, l = train[:, :D], train[:, D:]
    w = np.linalg.lstsq(np.hstack([x, np.ones((len(x), 1))]), l, rcond=None)[0]
    origin = -np.linalg.pinv(w[:D].T) @ w[D]
    _, vectors = np.linalg.eigh((x - origin).T @ (x - origin) / len(x))
    rest = vectors[:, : D - D // 2]
    length = lambda y: np.linalg.norm((y[:, :D] - origin) @ rest, axis=1)
    alpha = l.max(1).mean() / length(train).mean()
    return alpha * length(test) - logsumexp(test[:, D:])


def gram(train, test):
    made = np.arange(len(train)) % 10 != 9
    low, high = (np.array([f(train[made & (train[:, D:].argmax(1) == c), :D], axis=0) for c in range(K)])
                 for f in (np.min, np.max))

    def deviation(rows):
        c = rows[:, D:].argmax(1)
        v, lo, hi = rows[:, :D], low[c], high[c]
        return (np.maximum(lo - v, 0) / abs(lo + 1e-6) + np.maximum(v - hi, 0) / abs(hi + 1e-6)).sum(1)

    return deviation(test) / deviation(train[~made]).mean()


def rotation(rows):
    turns = rows[:, :16].reshape(-1, 4, 4)
    told = (logsumexp(turns) - turns[:, np.arange(4), np.arange(4)]).mean(1)
    p = np.exp(rows[:, 16:] - logsumexp(rows[:, 16:])[:, None])
    uniform = np.full(p.shape, 1 / p.shape[1])
    return told - (uniform * np.log(uniform / p)).sum(1)


turned = (rng.normal(size=(TEST, 16 + K)) * 2).astype(np.float32)
double = joint.astype(float), other_joint.astype(float)
x, y = features.astype(float), others.astype(float)
print("/* SPDX-License-Identifier: MIT\n * Made by ood.py with NumPy: do not edit. */")
print(f"enum {{ OOD_TRAIN = {TRAIN}, OOD_TEST = {TEST}, OOD_FEATURES = {D}, OOD_CLASSES = {K} }};")
show("labels", labels, "int32_t")
show("train", joint)
show("test", other_joint)
show("turned", turned)
softmax = np.exp(other_logits - logsumexp(other_logits.astype(float))[:, None])
show("msp", -softmax.max(1), "double")
cooled = other_logits.astype(float) / 1000
show("msp_1000", -np.exp(cooled.max(1) - logsumexp(cooled)), "double")
show("energy", -logsumexp(other_logits.astype(float)), "double")
show("energy_2", -2 * logsumexp(other_logits.astype(float) / 2), "double")
show("mds", mds(x, y), "double")
show("flow_0", mds(x, y) / 2, "double")
show("mds_unit", mds(unit(x), unit(y)), "double")
show("ssd", square(unit(y), unit(x).mean(0), ledoit_wolf(unit(x))), "double")
distances = np.sort(np.linalg.norm(unit(y)[:, None] - unit(x)[None], axis=2), axis=1)
show("knn_unit", distances[:, 4], "double")
show("vim", vim(*double), "double")
show("gram", gram(*double), "double")
show("rotation", rotation(turned.astype(float)), "double")
