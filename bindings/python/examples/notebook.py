# SPDX-License-Identifier: MIT
# %% [markdown]
# # Which detector for this table?
#
# The Wisconsin breast-cancer table (`examples/data/wdbc.csv`): what is benign is normal, what is malignant should stand out.
# Cells are marked as VS Code, Spyder and Jupytext read them. As a script, `python notebook.py wdbc.csv FOLDER` writes
# the picture to FOLDER.

# %%
import pathlib
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dum
from dum import plot

arguments = [] if "ipykernel" in sys.modules else sys.argv[1:]
data = pathlib.Path(arguments[0] if arguments else "examples/data/wdbc.csv")
folder = pathlib.Path(arguments[1] if len(arguments) > 1 else ".")

table = pd.read_csv(data)
malignant = table.pop("malignant").to_numpy()
table.head()

# %% [markdown]
# Detectors learn from benign rows alone and are judged on rows that they have not seen.

# %%
learn, held_out = train_test_split(table[malignant == 0], test_size=0.3, random_state=0)
test = pd.concat([held_out, table[malignant == 1]])
label = np.repeat([0, 1], [len(held_out), len(test) - len(held_out)])

# %% [markdown]
# libdum's detectors and scikit-learn's have the same methods: `score_samples` is higher where a row is more normal.

# %%
detectors = {
    "DUM": dum.DUM(seed=1, steps=200, width=64),
    "dum.IsolationForest": dum.IsolationForest(seed=1),
    "dum.KNN": dum.KNN(),
    "dum.ECOD": dum.ECOD(),
    "sklearn IsolationForest": IsolationForest(random_state=1),
    "sklearn LocalOutlierFactor": LocalOutlierFactor(novelty=True),
}
rows = []
for name, detector in detectors.items():
    model = make_pipeline(StandardScaler(), detector).fit(learn)
    area = dum.auroc(-model.score_samples(test), label)
    rows.append({"detector": name, "AUROC": area.value, "low": area.low, "high": area.high})
found = pd.DataFrame(rows).set_index("detector").sort_values("AUROC", ascending=False)
print(found.round(3))

# %% [markdown]
# A scorer that keeps rows out of training knows how usual a score is: a threshold with a rate of false alarms, and
# p-values.

# %%
scorer = dum.Scorer("dum", holdout=0.3, seed=1, steps=200, width=64).fit(learn)
threshold = scorer.threshold(0.05)
scores = scorer.score(test)
alarm = scores > threshold
print(f"false alarms: {alarm[label == 0].mean():.3f} of benign rows (wanted: at most 0.05 on average)")
print(f"found: {alarm[label == 1].mean():.3f} of malignant rows; median p-value {np.median(scorer.pvalue(scores)):.3f}")

# %%
figure, axes = plt.subplots(1, 3, figsize=(15, 4))
plot.histogram(scores, label, threshold=threshold, ax=axes[0])
plot.roc(scores, label, ax=axes[1])
plot.by_class(scores, label, names=["benign", "malignant"], ax=axes[2])
figure.tight_layout()
figure.savefig(folder / "scores.png")

# %% [markdown]
# Which features make the most unusual row stand out? Shares sum to 1; some can be negative.

# %%
row = test.iloc[[int(np.argmax(scores))]]
share = pd.Series(scorer.explain(row)[0], index=test.columns).sort_values(ascending=False)
print(share.head(5).round(3))
