"""One-operator models with random or adversarial numbers, for the kernel tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import config
from numpy.typing import NDArray

from kernels.output_stage import OutputStage
from tests.support.random_layers import Rng, random_input, random_int8, random_zero_point
from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflite_file import Tensor

INTERPRETED = bool(getattr(config, "DISABLE_JIT", False))


def seeds(count: int) -> range:
    """Seeds 0 to `count`; a few of them when Numba is switched off and everything is slow."""
    return range(max(2, count // 10) if INTERPRETED else count)


@dataclass(frozen=True)
class Geometry:
    """A random sliding window over a random IFM (N, H, W, C)."""

    shape: tuple[int, int, int, int]
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: str


def pair(rng: Rng, low: int, high: int) -> Pair:
    """Two random numbers from `low` to `high`."""
    a, b = rng.integers(low, high + 1, 2)
    return int(a), int(b)


def random_geometry(rng: Rng, *, channels: int, dilated: bool = True) -> Geometry:
    """Kernels of 1x1 to 7x7, strides of 1 to 3, and VALID only where the window fits."""
    height, width = pair(rng, 1, 13)
    kernel, stride = pair(rng, 1, 7), pair(rng, 1, 3)
    # dilation of 1 half of the time: only then does a kernel row stay in one piece
    dilation = pair(rng, 1, 3) if dilated and rng.integers(2) else (1, 1)
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    fits = extents[0] <= height and extents[1] <= width
    padding = "VALID" if fits and rng.integers(2) else "SAME"
    batches = int(rng.integers(1, 3))
    return Geometry((batches, height, width, channels), kernel, stride, dilation, padding)


def random_activation(rng: Rng) -> str:
    """A fused activation."""
    return str(rng.choice(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"]))


@dataclass(frozen=True)
class Requantization:
    """Accumulators and the real multipliers they meet, one per channel."""

    bias: NDArray[np.int32]
    scales: NDArray[np.float32]


def ties(rng: Rng, channels: int) -> Requantization:
    """Accumulators that lie exactly between two outputs, of both signs."""
    exponents = rng.integers(1, 18, channels)
    odd = 2 * rng.integers(-130, 130, channels) + 1
    bias = (odd << (exponents - 1)).astype(np.int32)
    return Requantization(bias, (2.0**-exponents).astype(np.float32))


def near_ties(rng: Rng, channels: int) -> Requantization:
    """Accumulators next to a tie, where the first of the two roundings can decide."""
    scales = (2.0 ** -rng.uniform(3, 18, channels)).astype(np.float32)
    halves = rng.integers(-128, 128, channels) + 0.5
    bias = np.rint(halves / scales).astype(np.int32) + rng.integers(-1, 2, channels)
    return Requantization(bias.astype(np.int32), scales)


def left_shifts(rng: Rng, channels: int) -> Requantization:
    """Multipliers from 1/2 to 64: no right shift, up to six places left."""
    scales = (2.0 ** rng.uniform(-1, 6, channels)).astype(np.float32)
    return Requantization(rng.integers(-150, 150, channels).astype(np.int32), scales)


def extreme_shifts(rng: Rng, channels: int) -> Requantization:
    """Large accumulators and multipliers down to those that count as zero."""
    scales = (2.0 ** rng.uniform(-34, -20, channels)).astype(np.float32)
    bias = rng.integers(-(2**30), 2**30, channels).astype(np.int32)
    return Requantization(bias, scales)


REQUANTIZATIONS = {f.__name__: f for f in (ties, near_ties, left_shifts, extreme_shifts)}


def bias_conv2d(
    m: ModelBuilder, rng: Rng, x: Tensor, case: Requantization, activation: str = "NONE"
) -> Tensor:
    """A 1x1 CONV_2D over an IFM of scale 1 with mostly zero weights: the bias decides."""
    channels = case.bias.size
    weights = rng.integers(-1, 2, (channels, 1, 1, x.shape[3])).astype(np.int8)
    return m.conv2d(
        x,
        weights,
        case.bias,
        weight_scales=case.scales,
        scale=1.0,
        zero_point=random_zero_point(rng),
        activation=activation,
    )


STAGE = {
    "multiplier": "multiplier",
    "shift": "shift",
    "ofm_zero_point": "zero_point",
    "activation_min": "low",
    "activation_max": "high",
}
"""Fields of the output stage by the names under which tests vary them one by one."""


def staged(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` with those that `STAGE` names gathered in an output stage, their `stage`."""
    stage = OutputStage(**{STAGE[name]: arguments[name] for name in STAGE})
    rest = {name: value for name, value in arguments.items() if name not in STAGE}
    return {**rest, "stage": stage}


def single(rng: Rng, shape: tuple[int, ...]) -> tuple[ModelBuilder, Tensor, NDArray[np.int8]]:
    """(builder, int8 input with a random quantization, data for it)."""
    m = ModelBuilder()
    return m, random_input(m, rng, shape), random_int8(rng, shape)
