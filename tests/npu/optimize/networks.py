"""Networks and data for the tests of optimization."""

import numpy as np

from npu.optimize.data import Split
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder

CLASSES = 10


def two_convolutions(
    seed: int = 3, *, channels: int = 16, per_channel: bool = True, real: bool = False
) -> bytes:
    """CONV, CONV, pool, FULLY_CONNECTED; between the first and the last, one that is pruned.

    With `real`, scores leave the network in floating point.
    """
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = m.input((1, 8, 8, 3), scale=1 / 255, zero_point=-128)
    y = random_conv2d(m, rng, x, channels, activation="RELU")
    z = random_conv2d(m, rng, y, channels, activation="RELU", per_channel=per_channel)
    p = m.reshape(m.average_pool2d(z, window=(z.shape[1], z.shape[2])), (1, channels))
    weights = rng.integers(-127, 128, (CLASSES, channels)).astype(np.int8)
    bias = rng.integers(-200, 200, CLASSES).astype(np.int32)
    out = m.fully_connected(p, weights, bias, weight_scales=0.01, scale=0.2, zero_point=5)
    return m.build([m.dequantize(out) if real else out])


def random_split(count: int = 40, seed: int = 4) -> Split:
    """Samples for `two_convolutions`, with labels that nothing has learnt."""
    rng = np.random.default_rng(seed)
    x = rng.random((count, 8, 8, 3), np.float32)
    return Split(x, rng.integers(0, CLASSES, count).astype(np.int64))
