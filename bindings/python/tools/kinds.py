#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes src/dum/_kinds.py from the installed library's tables of kinds and options: a class for the encoders and one
for each kind of scorer.
Usage: kinds.py            writes it
       kinds.py --check    only says whether it is up to date (exit code 1 where not)"""

import pathlib
import sys
import textwrap

import dum

TARGET = pathlib.Path(__file__).parent.parent / "src" / "dum" / "_kinds.py"

# kind: class, what it is. A kind that is not here gets a name made from its own.
NAMES = {
    "abod": ("ABOD", "Angle-based outlier detection among nearest neighbours (Kriegel et al. 2008)"),
    "autoencoder": ("AutoEncoder", "What an autoencoder cannot rebuild of a row"),
    "copod": ("COPOD", "Copula-based outlier detection (Li et al. 2020)"),
    "deepsvdd": ("DeepSVDD", "Deep support vector data description (Ruff et al. 2018)"),
    "dum": ("DUM", "Deep uncertainty model: a predicted variance (Wu & Goodman 2020)"),
    "ecod": ("ECOD", "Empirical cumulative distributions (Li et al. 2022)"),
    "eif": ("ExtendedIsolationForest", "Isolation forest with sloping cuts (Hariri et al. 2019)"),
    "energy": ("Energy", "Minus the log of the sum of the exponentials of logits (Liu et al. 2020)"),
    "elliptic": ("EllipticEnvelope", "Robust Mahalanobis distance, FastMCD (Rousseeuw & Van Driessen 1999)"),
    "ensemble": ("Ensemble", "Weighted mean of other kinds' scores"),
    "flow": ("ResidualFlow", "Gaussians of the classes, then affine couplings (Zisselman & Tamar 2020)"),
    "gram": ("GramMatrices", "How far sums of Gram matrices leave their ranges (Sastry & Oore 2020)"),
    "hbos": ("HBOS", "Histograms of the columns (Goldstein & Dengel 2012)"),
    "iforest": ("IsolationForest", "Isolation forest (Liu, Ting & Zhou 2008)"),
    "kde": ("KDE", "Kernel density by random features (Rahimi & Recht 2007)"),
    "knn": ("KNN", "Distance to the k nearest neighbours (Ramaswamy et al. 2000)"),
    "lesinn": ("LeSiNN", "Mean distance to the nearest of small samples (Pang et al. 2015)"),
    "lof": ("LOF", "Local outlier factor (Breunig et al. 2000)"),
    "mahalanobis": ("Mahalanobis", "Mahalanobis distance to the mean"),
    "mds": ("ClassMahalanobis", "Mahalanobis distance to the nearest class (Lee et al. 2018)"),
    "msp": ("MaxSoftmax", "Minus the largest softmax of logits (Hendrycks & Gimpel 2017), or ODIN (Liang et al. 2018)"),
    "ocsvm": ("OneClassSVM", "One-class support vector machine (Schoelkopf et al. 2001)"),
    "pca": ("PCA", "What principal components leave of a row (Shyu et al. 2003)"),
    "repen": ("REPEN", "Learned representation for nearest neighbours in samples (Pang et al. 2018)"),
    "rotation": ("RotationPrediction", "How badly the turns of four turned copies are told (Hendrycks et al. 2019)"),
    "sp": ("SamplingDistance", "Distance to the nearest row of one small sample (Sugiyama & Borgwardt 2013)"),
    "uncertainty": ("TemperatureUncertainty", "What an encoder with uncertainty says of an input (Zhang et al. 2021)"),
    "vim": ("ViM", "Residual of the features, scaled like a logit, less the energy (Wang et al. 2022)"),
}

# Kinds that read certain outputs of an encoder (docs/ood.md): which, the usual one first.
OUTPUTS = {
    "energy": ("logits", "odin"),
    "gram": ("gram-all", "gram"),
    "msp": ("logits", "odin"),
    "rotation": ("rotation",),
    "uncertainty": ("uncertainty",),
    "vim": ("joint",),
}

# Kinds whose fit takes the class of each row as y.
CLASSES = {"flow", "mds"}

# Kinds whose scores have a border of their own between usual and unusual, for contamination="auto".
BORDERS = {"iforest": "0.5", "eif": "0.5", "lof": "1.5", "ocsvm": "0.0"}

HEAD = '''# SPDX-License-Identifier: MIT
"""Encoders, and one class for each kind of scorer. Made by tools/kinds.py: do not edit."""

from typing import ClassVar, Literal

from dum._detector import Detector
from dum._encoder import CallableEncoder, EncoderBase
'''


def class_name(kind: str) -> str:
    name, _ = NAMES.get(kind, (kind.upper() if len(kind) <= 5 else kind.title(), ""))
    return name.replace("_", "").replace("-", "")


def paragraph(text: str, indent: str) -> str:
    return textwrap.fill(text, 116, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def hint(param: dum.Param) -> str:
    if param.type == "text":
        return f"Literal[{', '.join(map(repr_, param.choices))}]"
    return {"integer": "int", "real": "float"}[param.type]


def repr_(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def range_of(param: dum.Param) -> str:
    if param.type == "text":
        return ", ".join(repr_(choice) for choice in param.choices)
    return f"{param.min:g} to {param.max:g}"


def argument(param: dum.Param) -> str:
    """A parameter of __init__, broken as ruff breaks what is too long."""
    line = f"        {param.name}: {hint(param)} = {repr_(param.default)},"
    if len(line) <= 120:
        return line
    choices = hint(param)[len("Literal[") : -1]
    if len(choices) > 108:
        choices = choices.replace(", ", ",\n            ") + ","
    return f"        {param.name}: Literal[\n            {choices}\n        ] = {repr_(param.default)},"


def class_of(kind: str) -> str:
    params = dum.scorer_params(kind)
    title = NAMES.get(kind, ("", f"Kind {kind} (docs/detectors.md)"))[1]
    border, outputs = BORDERS.get(kind), OUTPUTS.get(kind, ())
    lines = ["", f"class {class_name(kind)}(Detector):", f'    """{title}.', ""]
    lines.append(f'    Wraps the scorer kind "{kind}".')
    if kind in CLASSES:
        lines[-1] += " y of fit is the class of each row; without, all are of one."
    lines += ["", "    Parameters", "    ----------"]
    for param in params:
        lines.append(f"    {param.name} : {range_of(param)}; default {repr_(param.default)}")
        lines.append(paragraph(param.help, "        "))
    lines.append("    encoder : Encoder; default None")
    below = "below the detector, which then takes its inputs; trained already"
    if outputs:
        below += f"; its output is {' or '.join(outputs)}, whatever it says. None: the rows are such outputs"
    lines.append(paragraph(below, "        "))
    lines.append('    contamination : "auto", or a share in (0, 0.5]; default "auto"')
    auto = "a tenth" if border is None else f"those that score above {border}"
    lines.append(paragraph(f"share of the training rows that count as anomalous; auto: {auto}", "        "))
    lines += ['    """', "", f'    _kind: ClassVar[str] = "{kind}"']
    if border is not None:
        lines.append(f"    _border: ClassVar[float | None] = {border}")
    if outputs:
        lines.append(
            f"    _outputs: ClassVar[tuple[str, ...]] = ({', '.join(map(repr_, outputs))}{',' * (len(outputs) < 2)})"
        )
    if kind in CLASSES:
        lines.append("    _classes: ClassVar[bool] = True")
    lines += ["", "    def __init__(", "        self,", "        *,"]
    lines += map(argument, params)
    lines.append("        encoder: EncoderBase | None = None,")
    lines.append('        contamination: float | Literal["auto"] = "auto",')
    lines.append("    ) -> None:")
    lines += [f"        self.{param.name} = {param.name}" for param in params]
    lines.append("        self.encoder = encoder")
    lines.append("        self.contamination = contamination")
    return "\n".join(lines)


def encoder() -> str:
    params, kinds = dum.encoder_params(), ", ".join(repr_(kind) for kind in sorted(dum.encoder_kinds()))
    lines = ["", "class Encoder(EncoderBase):", '    """What turns an input into an embedding (docs/encoders.md).', ""]
    lines += ["    Parameters", "    ----------", f'    kind : {kinds}; default "resnet"']
    lines += ["        resnet: images; mlp: rows of a table; identity: the input is the embedding already, no options"]
    for param in params:
        lines.append(f"    {param.name} : {range_of(param)}; default {repr_(param.default)}")
        lines.append(paragraph(param.help, "        "))
    lines += ['    """', "", "    def __init__(", "        self,"]
    lines += [f'        kind: Literal[{kinds}] = "resnet",', "        *,"]
    lines += map(argument, params)
    lines += ["    ) -> None:", "        self.kind = kind"]
    lines += [f"        self.{param.name} = {param.name}" for param in params]
    return "\n".join(lines)


def module() -> str:
    kinds = sorted(dum.scorer_kinds())
    names = ",\n".join(
        f'    "{name}"'
        for name in sorted(
            ["CallableEncoder", "Detector", "Encoder", *map(class_name, kinds)], key=lambda n: (not n.isupper(), n)
        )
    )
    return (
        HEAD + f"\n__all__ = [\n{names},\n]\n\n" + encoder() + "".join("\n\n" + class_of(kind) for kind in kinds) + "\n"
    )


def main() -> int:
    made = module()
    if "--check" in sys.argv[1:]:
        if TARGET.read_text() == made:
            return 0
        print("src/dum/_kinds.py differs from the library's kinds and options: run tools/kinds.py", file=sys.stderr)
        return 1
    TARGET.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
