"""Convolutions of every kernel, stride, dilation and grouping against TFLM."""

import numpy as np
import pytest

from tests.npu.compiler.support import CONFIGS, check_model
from tests.support.random_layers import random_conv2d, random_depthwise_conv2d, random_input
from tests.support.tflite_builder import ModelBuilder


def pair(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    first, second = (int(n) for n in rng.integers(low, high, 2))
    return first, second


def depthwise(seed: int) -> bytes:
    """A kernel of up to 16 x 16, any stride and dilation, a multiplier of up to 4."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    kernel = pair(rng, 1, 17)
    # TFLM dilates without striding or strides without dilating, as TensorFlow does
    stride, dilation = ((1, 1), pair(rng, 1, 4)) if seed % 2 else (pair(rng, 1, 6), (1, 1))
    height, width = (
        (k - 1) * d + 1 + int(rng.integers(0, 9)) for k, d in zip(kernel, dilation, strict=True)
    )
    x = random_input(m, rng, (1, height, width, int(rng.integers(1, 14))))
    random_depthwise_conv2d(
        m,
        rng,
        x,
        kernel,
        multiplier=int(rng.choice([1, 1, 2, 4])),
        stride=stride,
        dilation=dilation,
        padding=("SAME", "VALID")[int(rng.integers(2))],
    )
    return m.build()


def grouped(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    groups = int(rng.choice([2, 3, 4, 8, 16]))
    channels = groups * int(rng.integers(1, 9))
    x = random_input(m, rng, (1, *pair(rng, 4, 12), channels))
    outputs = groups * int(rng.integers(1, 7))
    random_conv2d(m, rng, x, outputs, pair(rng, 1, 4), groups=groups, stride=pair(rng, 1, 3))
    return m.build()


@pytest.mark.parametrize("config", ["npu32", "npu256", "wide"])
@pytest.mark.parametrize("seed", range(20))
def test_depthwise_equals_tflm(seed: int, config: str) -> None:
    assert not check_model(depthwise(seed), CONFIGS[config], seed).reasons


@pytest.mark.parametrize("config", ["npu256", "narrow", "wide"])
@pytest.mark.parametrize("seed", range(8))
def test_grouped_equals_tflm(seed: int, config: str) -> None:
    assert not check_model(grouped(seed), CONFIGS[config], seed).reasons
