# SPDX-License-Identifier: MIT
"""Encoders, and one class for each kind of scorer. Made by tools/kinds.py: do not edit."""

from typing import ClassVar, Literal

from dum._detector import Detector
from dum._encoder import CallableEncoder, EncoderBase

__all__ = [
    "ABOD",
    "COPOD",
    "DUM",
    "ECOD",
    "HBOS",
    "KDE",
    "KNN",
    "LOF",
    "PCA",
    "REPEN",
    "AutoEncoder",
    "CallableEncoder",
    "ClassMahalanobis",
    "DeepSVDD",
    "Detector",
    "EllipticEnvelope",
    "Encoder",
    "Energy",
    "Ensemble",
    "ExtendedIsolationForest",
    "GramMatrices",
    "IsolationForest",
    "LeSiNN",
    "Mahalanobis",
    "MaxSoftmax",
    "OneClassSVM",
    "ResidualFlow",
    "RotationPrediction",
    "SamplingDistance",
    "TemperatureUncertainty",
    "ViM",
]


class Encoder(EncoderBase):
    """What turns an input into an embedding (docs/encoders.md).

    Parameters
    ----------
    kind : "identity", "mlp", "resnet"; default "resnet"
        resnet: images; mlp: rows of a table; identity: the input is the embedding already, no options
    height : 1 to 4096; default 32
        resnet: of the images, in pixels
    width : 1 to 4096; default 32
        resnet: of the images, in pixels
    channels : 1 to 3; default 3
        resnet: of the images: 3, or 1 for grey ones
    depth : 8 to 62; default 18
        resnet: 18, 34, 50 or 6 n + 2 (8, 14, 20, ...)
    stem : "small", "large"; default "small"
        resnet: 3x3, for images of about 32x32, or 7x7 and pooling, for 224x224
    layers : 0 to 16; default 2
        mlp: hidden layers
    units : 1 to 65536; default 64
        resnet: columns of the first stage (each later one has twice as many); mlp: of a hidden layer
    embedding : 1 to 65536; default 128
        mlp: columns of the features
    projection : 1 to 65536; default 128
        columns of the projection
    output : "features", "map", "projection", "logits", "uncertainty", "joint", "stages", "gram", "odin", "rotation", "gram-all"; default "features"
        what embed returns; map: before pooling; uncertainty: -log of the temperature's inverse; joint: features,
        then logits; stages: the means of the map of each stage; gram: sums of Gram matrices of those maps, then
        logits; gram-all: of the map after each convolution, and before residual and ReLU; odin: logits of a
        perturbed input; rotation: what four turned copies look like, then logits; can be set after fit
    perturbation : 0 to 1; default 0.0014
        output odin: step of the input; images: of 255, mlp: of a deviation
    odin_temperature : 0.001 to 1e+06; default 1000.0
        output odin: of the softmax that the step raises
    objective : "simclr", "moco", "instance", "local-aggregation", "infomax", "supervised"; default "simclr"
        what is trained; supervised needs labels
    temperature : 1e-06 to 1e+06; default 0.2
        divides the similarities
    uncertainty : "off", "on"; default "off"
        simclr: a temperature for each input, learnt (Zhang et al. 2021)
    frozen : "off", "on"; default "off"
        with warm_start: only the uncertainty is trained, the rest stays
    rotation : "off", "on"; default "off"
        supervised: also tells by how many quarters an image was turned
    queue : 2 to 1e+07; default 4096
        moco: keys that are kept
    key_momentum : 0 to 1; default 0.99
        moco: of the network that makes keys
    bank_momentum : 0 to 1; default 0.5
        instance, local-aggregation: of the memory bank
    negatives : 1 to 1e+07; default 4096
        instance: rows of the bank drawn a step
    clusters : 0 to 1e+06; default 0
        local-aggregation: of k-means; 0: rows / 30
    clusterings : 1 to 32; default 3
        local-aggregation: runs of k-means joined
    neighbours : 1 to 1e+06; default 512
        local-aggregation: nearest rows that are background
    optimizer : "sgd", "adam", "lars"; default "sgd"
        of the training; lars: for batches of thousands
    rate : 1e-12 to 1000; default 0.06
        learning rate; scale it with the batch
    schedule : "constant", "cosine"; default "cosine"
        of the learning rate over the steps, after the warm-up
    warmup : 0 to 1e+06; default 0.0
        epochs in which the rate rises from 0
    momentum : 0 to 0.9999; default 0.9
        sgd, lars
    weight_decay : 0 to 1000; default 0.0005
        added to the gradient: decay x weight; of convolutions and layers
    clip : 0 to 1e+12; default 0.0
        largest norm of the gradient; 0: no limit
    batch : 1 to 65536; default 256
        rows of a step, each in all its views
    epochs : 1 to 1e+09; default 100
        passes over the data; used where steps is 0
    steps : 0 to 1e+12; default 0
        optimiser steps; 0: as epochs says
    crop_min : 0.001 to 1; default 0.2
        images: smallest share of the area kept
    crop_max : 0.001 to 1; default 1.0
        images: largest share of the area kept
    flip : 0 to 1; default 0.5
        images: chance of a horizontal flip
    jitter : 0 to 1; default 0.8
        images: chance that colours change
    brightness : 0 to 1; default 0.4
        images: factors 1 - this to 1 + this
    contrast : 0 to 1; default 0.4
        images: factors 1 - this to 1 + this
    saturation : 0 to 1; default 0.4
        images: factors 1 - this to 1 + this
    hue : 0 to 0.5; default 0.1
        images: turns of the colour circle, each way
    grey : 0 to 1; default 0.2
        images: chance that colours go
    blur : 0 to 1; default 0.0
        images: chance of a Gaussian blur
    noise : 0 to 1000; default 0.1
        mlp: deviation of what is added to scaled columns
    swap : 0 to 1; default 0.3
        mlp: chance that a value comes from another row
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    """

    def __init__(
        self,
        kind: Literal["identity", "mlp", "resnet"] = "resnet",
        *,
        height: int = 32,
        width: int = 32,
        channels: int = 3,
        depth: int = 18,
        stem: Literal["small", "large"] = "small",
        layers: int = 2,
        units: int = 64,
        embedding: int = 128,
        projection: int = 128,
        output: Literal[
            "features",
            "map",
            "projection",
            "logits",
            "uncertainty",
            "joint",
            "stages",
            "gram",
            "odin",
            "rotation",
            "gram-all",
        ] = "features",
        perturbation: float = 0.0014,
        odin_temperature: float = 1000.0,
        objective: Literal["simclr", "moco", "instance", "local-aggregation", "infomax", "supervised"] = "simclr",
        temperature: float = 0.2,
        uncertainty: Literal["off", "on"] = "off",
        frozen: Literal["off", "on"] = "off",
        rotation: Literal["off", "on"] = "off",
        queue: int = 4096,
        key_momentum: float = 0.99,
        bank_momentum: float = 0.5,
        negatives: int = 4096,
        clusters: int = 0,
        clusterings: int = 3,
        neighbours: int = 512,
        optimizer: Literal["sgd", "adam", "lars"] = "sgd",
        rate: float = 0.06,
        schedule: Literal["constant", "cosine"] = "cosine",
        warmup: float = 0.0,
        momentum: float = 0.9,
        weight_decay: float = 0.0005,
        clip: float = 0.0,
        batch: int = 256,
        epochs: int = 100,
        steps: int = 0,
        crop_min: float = 0.2,
        crop_max: float = 1.0,
        flip: float = 0.5,
        jitter: float = 0.8,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        grey: float = 0.2,
        blur: float = 0.0,
        noise: float = 0.1,
        swap: float = 0.3,
        seed: int = 0,
    ) -> None:
        self.kind = kind
        self.height = height
        self.width = width
        self.channels = channels
        self.depth = depth
        self.stem = stem
        self.layers = layers
        self.units = units
        self.embedding = embedding
        self.projection = projection
        self.output = output
        self.perturbation = perturbation
        self.odin_temperature = odin_temperature
        self.objective = objective
        self.temperature = temperature
        self.uncertainty = uncertainty
        self.frozen = frozen
        self.rotation = rotation
        self.queue = queue
        self.key_momentum = key_momentum
        self.bank_momentum = bank_momentum
        self.negatives = negatives
        self.clusters = clusters
        self.clusterings = clusterings
        self.neighbours = neighbours
        self.optimizer = optimizer
        self.rate = rate
        self.schedule = schedule
        self.warmup = warmup
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.clip = clip
        self.batch = batch
        self.epochs = epochs
        self.steps = steps
        self.crop_min = crop_min
        self.crop_max = crop_max
        self.flip = flip
        self.jitter = jitter
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.grey = grey
        self.blur = blur
        self.noise = noise
        self.swap = swap
        self.seed = seed


class ABOD(Detector):
    """Angle-based outlier detection among nearest neighbours (Kriegel et al. 2008).

    Wraps the scorer kind "abod".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    neighbours : 2 to 1000; default 5
        between which angles are taken, or all other rows where there are fewer
    identical : "leave-out", "count"; default "leave-out"
        the first training row that is identical to a scored row: leave-out, so that training rows score as such; or
        count it among the neighbours
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "abod"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        neighbours: int = 5,
        identical: Literal["leave-out", "count"] = "leave-out",
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.neighbours = neighbours
        self.identical = identical
        self.encoder = encoder
        self.contamination = contamination


class AutoEncoder(Detector):
    """What an autoencoder cannot rebuild of a row.

    Wraps the scorer kind "autoencoder".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "minmax"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    hidden1 : 0 to 1024; default 16
        units of this hidden layer; 0: there is none
    hidden2 : 0 to 1024; default 8
        units of this hidden layer; 0: there is none
    hidden3 : 0 to 1024; default 8
        units of this hidden layer; 0: there is none
    hidden4 : 0 to 1024; default 16
        units of this hidden layer; 0: there is none
    hidden5 : 0 to 1024; default 0
        units of this hidden layer; 0: there is none
    hidden6 : 0 to 1024; default 0
        units of this hidden layer; 0: there is none
    hidden7 : 0 to 1024; default 0
        units of this hidden layer; 0: there is none
    hidden8 : 0 to 1024; default 0
        units of this hidden layer; 0: there is none
    epochs : 1 to 1e+06; default 100
        passes over the rows
    batch : 1 to 65536; default 128
        rows of a step, or all where there are fewer
    rate : 1e-09 to 10; default 0.001
        of Adam
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "autoencoder"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "minmax",
        hidden1: int = 16,
        hidden2: int = 8,
        hidden3: int = 8,
        hidden4: int = 16,
        hidden5: int = 0,
        hidden6: int = 0,
        hidden7: int = 0,
        hidden8: int = 0,
        epochs: int = 100,
        batch: int = 128,
        rate: float = 0.001,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.hidden1 = hidden1
        self.hidden2 = hidden2
        self.hidden3 = hidden3
        self.hidden4 = hidden4
        self.hidden5 = hidden5
        self.hidden6 = hidden6
        self.hidden7 = hidden7
        self.hidden8 = hidden8
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class COPOD(Detector):
    """Copula-based outlier detection (Li et al. 2020).

    Wraps the scorer kind "copod".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "copod"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.encoder = encoder
        self.contamination = contamination


class DeepSVDD(Detector):
    """Deep support vector data description (Ruff et al. 2018).

    Wraps the scorer kind "deepsvdd".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "minmax"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    layers : 0 to 8; default 2
        hidden layers
    width : 1 to 1024; default 64
        units of a hidden layer
    outputs : 1 to 1024; default 32
        columns of what the network puts out
    epochs : 1 to 1e+06; default 100
        passes over the rows
    batch : 1 to 65536; default 128
        rows of a step, or all where there are fewer
    rate : 1e-09 to 10; default 0.0001
        of Adam
    weight_decay : 0 to 1; default 1e-06
        added to the gradient, times the weights
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "deepsvdd"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "minmax",
        layers: int = 2,
        width: int = 64,
        outputs: int = 32,
        epochs: int = 100,
        batch: int = 128,
        rate: float = 0.0001,
        weight_decay: float = 1e-06,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.layers = layers
        self.width = width
        self.outputs = outputs
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.weight_decay = weight_decay
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class DUM(Detector):
    """Deep uncertainty model: a predicted variance (Wu & Goodman 2020).

    Wraps the scorer kind "dum".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    norm : "l2", "trace", "logdet"; default "l2"
        of the variance: its length (paper), its sum, or the mean of its logs
    preset : "default", "paper", "paper-images"; default "default"
        sets several options: the recommended ones, or the paper's for vectors or images
    objective : "local", "poe"; default "local"
        local: likelihood of the nearest neighbours; poe: the paper's product of experts
    covariance : "diagonal", "circular"; default "circular"
        one log-variance a dimension, or one for all
    scaling : "none", "minmax", "zscore", "unit", "whiten", "auto", "whiten-cov"; default "auto"
        of the columns; unit: z-score, then rows of length 1; whiten: z-score, then PCA whitening; whiten-cov: PCA
        whitening of columns in their own unit; auto: one of zscore, whiten, whiten-cov, by the data
    layers : 0 to 16; default 3
        hidden layers
    width : 1 to 65536; default 256
        units of a hidden layer
    bound : "none", "tanh"; default "tanh"
        limits the log-variance to c tanh(o / c)
    bound_scale : 0 to 40; default 0.0
        c of the bound; 0: 3 with the anchor, else 10
    anchor : "auto", "on", "off", "centres"; default "auto"
        adds log(0.001 + D / d), so that s grows far from the data; D: |z|^2 (on), or to the 5 nearest centres of
        k-means; auto: off for poe, for local the better of centres and on
    centres : 0 to 4096; default 0
        of the anchor, but no more than half the rows; 0: 131072 / columns, from 256 to 2048
    bags : "nested", "disjoint"; default "nested"
        poe: the second bag is the whole batch, or its second half
    similarity : "dot", "cosine"; default "dot"
        poe: of the means of the two bags
    temperature : 1e-06 to 1e+06; default 0.07
        poe: divides the similarity
    prior : 0 to 1e+06; default 0.0
        poe: weight of mean(s^2)
    shrinkage : 0 to 1e+06; default 1.0
        local with the anchor: times columns / rows, weight of mean(o^2) / 2, which keeps s near the anchor where
        rows are few
    neighbours : 0 to 200; default 0
        local: k nearest training rows; 0: 5 where the anchor has centres, else 20
    explore : 0 to 0.9; default 0.5
        local: share of each batch that are off-manifold queries
    reservoir : 2 to 1e+06; default 4096
        local: rows of the random sample in which neighbours are searched
    optimizer : "adam", "sgd"; default "adam"
        of the training
    rate : 1e-12 to 1000; default 0.001
        learning rate
    schedule : "constant", "cosine"; default "constant"
        of the learning rate over the steps
    momentum : 0 to 0.9999; default 0.9
        sgd only
    weight_decay : 0 to 1000; default 0.0
        added to the gradient: decay x weight
    batch : 1 to 65536; default 256
        rows of a step; all rows where there are fewer
    epochs : 1 to 1e+09; default 100
        passes over the data; used where steps is 0
    steps : 0 to 1e+12; default 800
        optimiser steps; 0: as epochs says
    clip : 0 to 1e+12; default 5.0
        largest norm of the gradient; 0: no limit
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    nonfinite : "refuse", "impute"; default "refuse"
        NaN and infinity are an error, or replaced by the column's median
    precision : "float32", "bfloat16", "int8"; default "float32"
        of the weights when scoring (bfloat16: also of what they are multiplied with): wide heads take less time,
        less exactly
    train_precision : "float32", "bfloat16"; default "float32"
        of what is multiplied in training; sums, weights and steps stay float32
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "dum"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        norm: Literal["l2", "trace", "logdet"] = "l2",
        preset: Literal["default", "paper", "paper-images"] = "default",
        objective: Literal["local", "poe"] = "local",
        covariance: Literal["diagonal", "circular"] = "circular",
        scaling: Literal["none", "minmax", "zscore", "unit", "whiten", "auto", "whiten-cov"] = "auto",
        layers: int = 3,
        width: int = 256,
        bound: Literal["none", "tanh"] = "tanh",
        bound_scale: float = 0.0,
        anchor: Literal["auto", "on", "off", "centres"] = "auto",
        centres: int = 0,
        bags: Literal["nested", "disjoint"] = "nested",
        similarity: Literal["dot", "cosine"] = "dot",
        temperature: float = 0.07,
        prior: float = 0.0,
        shrinkage: float = 1.0,
        neighbours: int = 0,
        explore: float = 0.5,
        reservoir: int = 4096,
        optimizer: Literal["adam", "sgd"] = "adam",
        rate: float = 0.001,
        schedule: Literal["constant", "cosine"] = "constant",
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        batch: int = 256,
        epochs: int = 100,
        steps: int = 800,
        clip: float = 5.0,
        seed: int = 0,
        nonfinite: Literal["refuse", "impute"] = "refuse",
        precision: Literal["float32", "bfloat16", "int8"] = "float32",
        train_precision: Literal["float32", "bfloat16"] = "float32",
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.norm = norm
        self.preset = preset
        self.objective = objective
        self.covariance = covariance
        self.scaling = scaling
        self.layers = layers
        self.width = width
        self.bound = bound
        self.bound_scale = bound_scale
        self.anchor = anchor
        self.centres = centres
        self.bags = bags
        self.similarity = similarity
        self.temperature = temperature
        self.prior = prior
        self.shrinkage = shrinkage
        self.neighbours = neighbours
        self.explore = explore
        self.reservoir = reservoir
        self.optimizer = optimizer
        self.rate = rate
        self.schedule = schedule
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch = batch
        self.epochs = epochs
        self.steps = steps
        self.clip = clip
        self.seed = seed
        self.nonfinite = nonfinite
        self.precision = precision
        self.train_precision = train_precision
        self.encoder = encoder
        self.contamination = contamination


class ECOD(Detector):
    """Empirical cumulative distributions (Li et al. 2022).

    Wraps the scorer kind "ecod".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "ecod"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.encoder = encoder
        self.contamination = contamination


class ExtendedIsolationForest(Detector):
    """Isolation forest with sloping cuts (Hariri et al. 2019).

    Wraps the scorer kind "eif".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    trees : 1 to 10000; default 100
        of the forest
    sample : 2 to 65536; default 256
        rows that each tree is grown on, or all where there are fewer
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: those that score above 0.5
    """

    _kind: ClassVar[str] = "eif"
    _border: ClassVar[float | None] = 0.5

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        trees: int = 100,
        sample: int = 256,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.trees = trees
        self.sample = sample
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class EllipticEnvelope(Detector):
    """Robust Mahalanobis distance, FastMCD (Rousseeuw & Van Driessen 1999).

    Wraps the scorer kind "elliptic".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    support : 0 to 1; default 0.0
        share of the rows whose covariance has the least determinant; 0: (n + d + 1) / 2n, the most robust
    starts : 1 to 10000; default 100
        random subsets that the search begins with
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "elliptic"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        support: float = 0.0,
        starts: int = 100,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.support = support
        self.starts = starts
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class Energy(Detector):
    """Minus the log of the sum of the exponentials of logits (Liu et al. 2020).

    Wraps the scorer kind "energy".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    temperature : 0.001 to 1e+06; default 1.0
        what divides the logits; with an encoder's output odin: 1000
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already; its output is logits or odin, whatever it
        says. None: the rows are such outputs
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "energy"
    _outputs: ClassVar[tuple[str, ...]] = ("logits", "odin")

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        temperature: float = 1.0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.temperature = temperature
        self.encoder = encoder
        self.contamination = contamination


class Ensemble(Detector):
    """Weighted mean of other kinds' scores.

    Wraps the scorer kind "ensemble".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "zscore"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    combine : "rank", "zscore"; default "rank"
        scores by their share of training scores below, or in their deviations
    seed : 0 to 9.0072e+15; default 0
        of members that have one
    abod : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    autoencoder : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    copod : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    deepsvdd : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    dum : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    ecod : 0 to 1e+06; default 1.0
        weight of this kind with its default options; 0: without it
    eif : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    elliptic : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    hbos : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    iforest : 0 to 1e+06; default 1.0
        weight of this kind with its default options; 0: without it
    kde : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    knn : 0 to 1e+06; default 1.0
        weight of this kind with its default options; 0: without it
    lesinn : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    lof : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    mahalanobis : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    ocsvm : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    pca : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    repen : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    sp : 0 to 1e+06; default 0.0
        weight of this kind with its default options; 0: without it
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "ensemble"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "zscore",
        combine: Literal["rank", "zscore"] = "rank",
        seed: int = 0,
        abod: float = 0.0,
        autoencoder: float = 0.0,
        copod: float = 0.0,
        deepsvdd: float = 0.0,
        dum: float = 0.0,
        ecod: float = 1.0,
        eif: float = 0.0,
        elliptic: float = 0.0,
        hbos: float = 0.0,
        iforest: float = 1.0,
        kde: float = 0.0,
        knn: float = 1.0,
        lesinn: float = 0.0,
        lof: float = 0.0,
        mahalanobis: float = 0.0,
        ocsvm: float = 0.0,
        pca: float = 0.0,
        repen: float = 0.0,
        sp: float = 0.0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.combine = combine
        self.seed = seed
        self.abod = abod
        self.autoencoder = autoencoder
        self.copod = copod
        self.deepsvdd = deepsvdd
        self.dum = dum
        self.ecod = ecod
        self.eif = eif
        self.elliptic = elliptic
        self.hbos = hbos
        self.iforest = iforest
        self.kde = kde
        self.knn = knn
        self.lesinn = lesinn
        self.lof = lof
        self.mahalanobis = mahalanobis
        self.ocsvm = ocsvm
        self.pca = pca
        self.repen = repen
        self.sp = sp
        self.encoder = encoder
        self.contamination = contamination


class ResidualFlow(Detector):
    """Gaussians of the classes, then affine couplings (Zisselman & Tamar 2020).

    Wraps the scorer kind "flow". y of fit is the class of each row; without, all are of one.

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    couplings : 0 to 64; default 4
        affine couplings of each part; 0: half of what mds says
    width : 1 to 1024; default 64
        units of each of a coupling's two hidden layers
    epochs : 1 to 1e+06; default 10
        passes over the rows for each coupling
    batch : 1 to 65536; default 128
        rows of a step, or all where there are fewer
    rate : 1e-09 to 10; default 0.001
        of Adam
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "flow"
    _classes: ClassVar[bool] = True

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        couplings: int = 4,
        width: int = 64,
        epochs: int = 10,
        batch: int = 128,
        rate: float = 0.001,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.couplings = couplings
        self.width = width
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class GramMatrices(Detector):
    """How far sums of Gram matrices leave their ranges (Sastry & Oore 2020).

    Wraps the scorer kind "gram".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    classes : 0 to 65536; default 0
        how many of the last columns are logits; 0: as the encoder says
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already; its output is gram-all or gram, whatever
        it says. None: the rows are such outputs
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "gram"
    _outputs: ClassVar[tuple[str, ...]] = ("gram-all", "gram")

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        classes: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.classes = classes
        self.encoder = encoder
        self.contamination = contamination


class HBOS(Detector):
    """Histograms of the columns (Goldstein & Dengel 2012).

    Wraps the scorer kind "hbos".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    bins : 2 to 10000; default 10
        of equal width, from a column's least to its largest value
    alpha : 1e-12 to 1e+06; default 0.1
        added to each density, so that an empty bin has a logarithm
    tolerance : 0 to 1e+06; default 0.5
        a value this share of a bin outside counts as in the outermost one, further out as in the rarest
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "hbos"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        bins: int = 10,
        alpha: float = 0.1,
        tolerance: float = 0.5,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.bins = bins
        self.alpha = alpha
        self.tolerance = tolerance
        self.encoder = encoder
        self.contamination = contamination


class IsolationForest(Detector):
    """Isolation forest (Liu, Ting & Zhou 2008).

    Wraps the scorer kind "iforest".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    trees : 1 to 10000; default 100
        of the forest
    sample : 2 to 65536; default 256
        rows that each tree is grown on, or all where there are fewer
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: those that score above 0.5
    """

    _kind: ClassVar[str] = "iforest"
    _border: ClassVar[float | None] = 0.5

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        trees: int = 100,
        sample: int = 256,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.trees = trees
        self.sample = sample
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class KDE(Detector):
    """Kernel density by random features (Rahimi & Recht 2007).

    Wraps the scorer kind "kde".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    features : 16 to 4096; default 1024
        random ones; the kernel is off by about 1 / sqrt(features)
    bandwidth : 0 to 1e+30; default 0.0
        deviation of the kernel; 0: sqrt(d v / 2), v the variance of all values about their columns' means
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "kde"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        features: int = 1024,
        bandwidth: float = 0.0,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.features = features
        self.bandwidth = bandwidth
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class KNN(Detector):
    """Distance to the k nearest neighbours (Ramaswamy et al. 2000).

    Wraps the scorer kind "knn".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    neighbours : 1 to 100000; default 5
        how many, or all other rows where there are fewer
    identical : "leave-out", "count"; default "leave-out"
        the first training row that is identical to a scored row: leave-out, so that training rows score as such; or
        count it among the neighbours
    method : "largest", "mean", "median"; default "largest"
        which of the k distances is the score
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "knn"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        neighbours: int = 5,
        identical: Literal["leave-out", "count"] = "leave-out",
        method: Literal["largest", "mean", "median"] = "largest",
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.neighbours = neighbours
        self.identical = identical
        self.method = method
        self.encoder = encoder
        self.contamination = contamination


class LeSiNN(Detector):
    """Mean distance to the nearest of small samples (Pang et al. 2015).

    Wraps the scorer kind "lesinn".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    sample : 1 to 1e+06; default 8
        rows of each sample, or all where there are fewer
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    samples : 1 to 10000; default 50
        over which the mean is taken
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "lesinn"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        sample: int = 8,
        seed: int = 0,
        samples: int = 50,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.sample = sample
        self.seed = seed
        self.samples = samples
        self.encoder = encoder
        self.contamination = contamination


class LOF(Detector):
    """Local outlier factor (Breunig et al. 2000).

    Wraps the scorer kind "lof".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    neighbours : 1 to 10000; default 20
        how many make a neighbourhood, or all other rows where there are fewer
    identical : "leave-out", "count"; default "leave-out"
        the first training row that is identical to a scored row: leave-out, so that training rows score as such; or
        count it among the neighbours
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: those that score above 1.5
    """

    _kind: ClassVar[str] = "lof"
    _border: ClassVar[float | None] = 1.5

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        neighbours: int = 20,
        identical: Literal["leave-out", "count"] = "leave-out",
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.neighbours = neighbours
        self.identical = identical
        self.encoder = encoder
        self.contamination = contamination


class Mahalanobis(Detector):
    """Mahalanobis distance to the mean.

    Wraps the scorer kind "mahalanobis".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "mahalanobis"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.encoder = encoder
        self.contamination = contamination


class ClassMahalanobis(Detector):
    """Mahalanobis distance to the nearest class (Lee et al. 2018).

    Wraps the scorer kind "mds". y of fit is the class of each row; without, all are of one.

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "mds"
    _classes: ClassVar[bool] = True

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.encoder = encoder
        self.contamination = contamination


class MaxSoftmax(Detector):
    """Minus the largest softmax of logits (Hendrycks & Gimpel 2017), or ODIN (Liang et al. 2018).

    Wraps the scorer kind "msp".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    temperature : 0.001 to 1e+06; default 1.0
        what divides the logits; with an encoder's output odin: 1000
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already; its output is logits or odin, whatever it
        says. None: the rows are such outputs
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "msp"
    _outputs: ClassVar[tuple[str, ...]] = ("logits", "odin")

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        temperature: float = 1.0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.temperature = temperature
        self.encoder = encoder
        self.contamination = contamination


class OneClassSVM(Detector):
    """One-class support vector machine (Schoelkopf et al. 2001).

    Wraps the scorer kind "ocsvm".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    nu : 1e-09 to 1; default 0.5
        at most this share of the training rows lies outside, and at least this share are support vectors
    gamma : 0 to 1e+100; default 0.0
        the kernel is exp(-gamma |x - y|^2); 0: 1 / (columns x variance of all values)
    tolerance : 1e-10 to 1; default 0.001
        training stops where no pair gains more than this
    cache_mb : 0 to 1e+09; default 200.0
        megabytes of kernel rows that training keeps, and two rows at least
    max_iterations : 0 to 1e+12; default 0
        of training; 0: no limit
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: those that score above 0.0
    """

    _kind: ClassVar[str] = "ocsvm"
    _border: ClassVar[float | None] = 0.0

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        nu: float = 0.5,
        gamma: float = 0.0,
        tolerance: float = 0.001,
        cache_mb: float = 200.0,
        max_iterations: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.nu = nu
        self.gamma = gamma
        self.tolerance = tolerance
        self.cache_mb = cache_mb
        self.max_iterations = max_iterations
        self.encoder = encoder
        self.contamination = contamination


class PCA(Detector):
    """What principal components leave of a row (Shyu et al. 2003).

    Wraps the scorer kind "pca".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    components : 0 to 4095; default 0
        that explain a row, columns - 1 at most; 0: as many as option variance asks for
    variance : 0.01 to 1; default 0.9
        share that the components explain at least
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "pca"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        components: int = 0,
        variance: float = 0.9,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.components = components
        self.variance = variance
        self.encoder = encoder
        self.contamination = contamination


class REPEN(Detector):
    """Learned representation for nearest neighbours in samples (Pang et al. 2018).

    Wraps the scorer kind "repen".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "minmax"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    outputs : 1 to 1024; default 20
        columns of the representation
    sample : 1 to 65536; default 8
        rows of each sample, or all where there are fewer
    samples : 1 to 10000; default 50
        over which the mean is taken
    steps : 1 to 1e+09; default 600
        of training
    batch : 1 to 65536; default 256
        triplets of a step
    rate : 1e-09 to 10; default 0.001
        of Adam
    margin : 1e-06 to 1e+12; default 1000.0
        by which squares of distances should differ
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "repen"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "minmax",
        outputs: int = 20,
        sample: int = 8,
        samples: int = 50,
        steps: int = 600,
        batch: int = 256,
        rate: float = 0.001,
        margin: float = 1000.0,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.outputs = outputs
        self.sample = sample
        self.samples = samples
        self.steps = steps
        self.batch = batch
        self.rate = rate
        self.margin = margin
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class RotationPrediction(Detector):
    """How badly the turns of four turned copies are told (Hendrycks et al. 2019).

    Wraps the scorer kind "rotation".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    part : "both", "turns"; default "both"
        turns: without the softmax of the classes
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already; its output is rotation, whatever it says.
        None: the rows are such outputs
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "rotation"
    _outputs: ClassVar[tuple[str, ...]] = ("rotation",)

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        part: Literal["both", "turns"] = "both",
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.part = part
        self.encoder = encoder
        self.contamination = contamination


class SamplingDistance(Detector):
    """Distance to the nearest row of one small sample (Sugiyama & Borgwardt 2013).

    Wraps the scorer kind "sp".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    scaling : "none", "minmax", "zscore", "unit"; default "none"
        of the columns, by the training rows: to 0 to 1, or to mean 0 and deviation 1; a constant column to 0; unit:
        of each row, to length 1
    sample : 1 to 1e+06; default 20
        rows, or all where there are fewer
    seed : 0 to 9.0072e+15; default 0
        of all random numbers
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "sp"

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        scaling: Literal["none", "minmax", "zscore", "unit"] = "none",
        sample: int = 20,
        seed: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.scaling = scaling
        self.sample = sample
        self.seed = seed
        self.encoder = encoder
        self.contamination = contamination


class TemperatureUncertainty(Detector):
    """What an encoder with uncertainty says of an input (Zhang et al. 2021).

    Wraps the scorer kind "uncertainty".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already; its output is uncertainty, whatever it
        says. None: the rows are such outputs
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "uncertainty"
    _outputs: ClassVar[tuple[str, ...]] = ("uncertainty",)

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.encoder = encoder
        self.contamination = contamination


class ViM(Detector):
    """Residual of the features, scaled like a logit, less the energy (Wang et al. 2022).

    Wraps the scorer kind "vim".

    Parameters
    ----------
    holdout : 0 to 0.9; default 0.0
        share of the rows that fit keeps out of training to calibrate
    components : 0 to 4095; default 0
        of the features that are left out, less than there are; 0: 1000 of 2048 features, 512 of 768, else half
    classes : 0 to 65536; default 0
        how many of the last columns are logits; 0: as the encoder says
    encoder : Encoder; default None
        below the detector, which then takes its inputs; trained already; its output is joint, whatever it says.
        None: the rows are such outputs
    contamination : "auto", or a share in (0, 0.5]; default "auto"
        share of the training rows that count as anomalous; auto: a tenth
    """

    _kind: ClassVar[str] = "vim"
    _outputs: ClassVar[tuple[str, ...]] = ("joint",)

    def __init__(
        self,
        *,
        holdout: float = 0.0,
        components: int = 0,
        classes: int = 0,
        encoder: EncoderBase | None = None,
        contamination: float | Literal["auto"] = "auto",
    ) -> None:
        self.holdout = holdout
        self.components = components
        self.classes = classes
        self.encoder = encoder
        self.contamination = contamination
