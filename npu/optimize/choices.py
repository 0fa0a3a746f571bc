"""What the user chooses from."""

from enum import StrEnum


class Method(StrEnum):
    """How weights are chosen that become zero."""

    MAGNITUDE = "magnitude"
    MULTISTAGE = "multistage"
    AUTOMATA = "automata"
    LASSO = "lasso"


class Granularity(StrEnum):
    """What is zero together."""

    WEIGHT = "weight"
    WORD = "word"
    CHANNEL = "channel"


class Start(StrEnum):
    """Where the centroids start."""

    LINEAR = "linear"
    DENSITY = "density"
    KMEANS_PP = "k-means++"


class Quantization(StrEnum):
    """Which integers the network computes with."""

    INT8 = "int8"
    INT16X8 = "int16x8"
    INT4 = "int4"
    MIXED = "mixed"


class Format(StrEnum):
    """What the file holds."""

    TFLITE = "tflite"
    TFLM_LUT = "tflm-lut"
