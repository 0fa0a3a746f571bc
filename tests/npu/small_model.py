"""A small network with most operators, for tests of the user's side that need some model."""

import numpy as np

from tests.support.random_layers import random_conv2d, random_depthwise_conv2d
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

CLASSES = 5


def classifier(
    seed: int = 1,
    *,
    input_shape: tuple[int, ...] = (1, 9, 8, 3),
    scale: float = 1 / 255,
    zero_point: int = -128,
) -> bytes:
    """CONV, DEPTHWISE, ADD, pool, RESHAPE, FULLY_CONNECTED and SOFTMAX in a row: 7 operators."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = m.input(input_shape, scale=scale, zero_point=zero_point, name="image")
    y = random_conv2d(m, rng, x, 6, activation="RELU")
    z = random_depthwise_conv2d(m, rng, y)
    s = m.add(y, z, scale=2 * y.scale, zero_point=3)
    p = m.average_pool2d(s, window=(s.shape[1], s.shape[2]))
    return m.build([_head(m, rng, m.reshape(p, (1, 6)))])


def _head(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> Tensor:
    weights = rng.integers(-127, 128, (CLASSES, x.shape[-1])).astype(np.int8)
    bias = rng.integers(-200, 200, CLASSES).astype(np.int32)
    y = m.fully_connected(x, weights, bias, weight_scales=0.01, scale=0.2, zero_point=5)
    return m.softmax(y)
