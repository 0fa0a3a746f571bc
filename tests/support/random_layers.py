"""Random but plausible layers for `ModelBuilder`: weights, bias and quantization from a generator.

Output scales are chosen so that the results spread over the whole int8 range and a little beyond
it: that exercises rounding and saturation, and keeps deep random graphs from going constant.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflite_file import Tensor

Rng = np.random.Generator
# the standard deviation of a uniformly distributed int8
INT8_DEVIATION = 74.0


def random_int8(rng: Rng, shape: tuple[int, ...], *, low: int = -128) -> NDArray[np.int8]:
    """Uniform int8 values from `low` to 127."""
    return rng.integers(low, 128, shape).astype(np.int8)


def random_scale(rng: Rng, low: float = 2.0**-8, high: float = 2.0**-3) -> float:
    """A scale, log-uniform, exact in float32."""
    return float(np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))))


def random_zero_point(rng: Rng) -> int:
    """A zero point over all of int8."""
    return int(rng.integers(-128, 128))


def random_input(m: ModelBuilder, rng: Rng, shape: tuple[int, ...]) -> Tensor:
    """An int8 model input with a random quantization."""
    return m.input(shape, scale=random_scale(rng), zero_point=random_zero_point(rng))


def random_conv2d(
    m: ModelBuilder,
    rng: Rng,
    x: Tensor,
    channels: int,
    kernel: Pair = (3, 3),
    *,
    groups: int = 1,
    bias: bool = True,
    per_channel: bool = True,
    **attributes: Any,
) -> Tensor:
    """CONV_2D to `channels` outputs; `attributes` as for `ModelBuilder.conv2d`."""
    inputs = x.shape[3] // groups
    weights = random_int8(rng, (channels, *kernel, inputs), low=-127)
    parameters = _weighted(rng, x, channels, kernel[0] * kernel[1] * inputs, bias, per_channel)
    return m.conv2d(x, weights, **(parameters | attributes))


def random_depthwise_conv2d(
    m: ModelBuilder,
    rng: Rng,
    x: Tensor,
    kernel: Pair = (3, 3),
    *,
    multiplier: int = 1,
    bias: bool = True,
    per_channel: bool = True,
    **attributes: Any,
) -> Tensor:
    """DEPTHWISE_CONV_2D; `attributes` as for `ModelBuilder.depthwise_conv2d`."""
    channels = x.shape[3] * multiplier
    weights = random_int8(rng, (1, *kernel, channels), low=-127)
    parameters = _weighted(rng, x, channels, kernel[0] * kernel[1], bias, per_channel)
    return m.depthwise_conv2d(x, weights, **(parameters | attributes))


def random_fully_connected(
    m: ModelBuilder,
    rng: Rng,
    x: Tensor,
    outputs: int,
    *,
    inputs: int | None = None,
    bias: bool = True,
    per_channel: bool = False,
    **attributes: Any,
) -> Tensor:
    """FULLY_CONNECTED over `inputs` (default: the last dimension) of `x`."""
    inputs = inputs or x.shape[-1]
    weights = random_int8(rng, (outputs, inputs), low=-127)
    parameters = _weighted(rng, x, outputs, inputs, bias, per_channel)
    return m.fully_connected(x, weights, **(parameters | attributes))


def random_add(m: ModelBuilder, rng: Rng, a: Tensor, b: Tensor, **attributes: Any) -> Tensor:
    """ADD; `attributes` as for `ModelBuilder.add`."""
    scale = float(np.float32(np.hypot(a.scale, b.scale) * rng.uniform(0.6, 1.3)))
    return m.add(a, b, **({"scale": scale, "zero_point": random_zero_point(rng)} | attributes))


def _weighted(
    rng: Rng, x: Tensor, channels: int, taps: int, bias: bool, per_channel: bool
) -> dict[str, Any]:
    scales = np.exp(rng.uniform(np.log(2.0**-9), np.log(2.0**-6), channels if per_channel else 1))
    scales = scales.astype(np.float32)
    deviation = INT8_DEVIATION**2 * np.sqrt(taps)
    scale = x.scale * float(scales.max()) * deviation / INT8_DEVIATION
    values = rng.normal(0, deviation / 2, channels).astype(np.int32)
    return {
        "bias": values if bias else None,
        "weight_scales": scales,
        "scale": float(np.float32(scale * rng.uniform(0.4, 1.0))),
        "zero_point": random_zero_point(rng),
    }
