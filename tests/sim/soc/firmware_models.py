"""Random layers that take every path of the firmware's kernels."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.support.operators import elementwise, unary
from tests.support.random_layers import (
    Rng,
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
    random_int8,
    random_scale,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder

Layer = Callable[[ModelBuilder, Rng], object]


def _pair(rng: Rng, low: int, high: int) -> tuple[int, int]:
    return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))


def _window(rng: Rng, *, stride: int = 3) -> dict[str, Any]:
    padding = str(rng.choice(["SAME", "VALID"]))
    activation = str(rng.choice(["NONE", "RELU", "RELU6"]))
    return {"stride": _pair(rng, 1, stride), "padding": padding, "activation": activation}


def _quantization(rng: Rng) -> dict[str, Any]:
    return {"scale": random_scale(rng), "zero_point": random_zero_point(rng)}


def conv_2d(m: ModelBuilder, rng: Rng) -> None:
    """Any kernel, odd and even channels, dilation or stride."""
    channels = int(rng.choice([1, 2, 3, 4, 7, 8, 12]))
    x = random_input(m, rng, (1, *_pair(rng, 5, 9), channels))
    options: dict[str, Any] = _window(rng)
    if rng.random() < 0.3:
        options |= {"stride": (1, 1), "dilation": _pair(rng, 1, 2)}
    random_conv2d(m, rng, x, int(rng.integers(1, 14)), _pair(rng, 1, 3), **options)


def grouped_conv_2d(m: ModelBuilder, rng: Rng) -> None:
    """2 or 3 groups, and a batch of 2."""
    groups = int(rng.integers(2, 4))
    x = random_input(m, rng, (2, 5, 6, groups * int(rng.choice([1, 4, 5]))))
    channels = groups * int(rng.integers(1, 7))
    random_conv2d(m, rng, x, channels, (3, 2), groups=groups, **_window(rng))


def large_scale_conv_2d(m: ModelBuilder, rng: Rng) -> None:
    """Multipliers of 1 and more: a left shift, and no second rounding."""
    x = m.input((1, 3, 4, 4), scale=0.5, zero_point=3)
    weights = random_int8(rng, (6, 1, 1, 4))
    scales = 2.0 ** rng.integers(-2, 3, 6)
    bias = rng.integers(-9, 9, 6).astype(np.int32)
    m.conv2d(x, weights, bias, weight_scales=scales, scale=0.5, zero_point=-4)


def depthwise_3x3(m: ModelBuilder, rng: Rng) -> None:
    """What the planes are for, with strides that fit them and that do not."""
    x = random_input(
        m, rng, (int(rng.integers(1, 3)), *_pair(rng, 3, 12), int(rng.integers(1, 10)))
    )
    random_depthwise_conv2d(m, rng, x, (3, 3), **_window(rng))


def wide_depthwise_3x3(m: ModelBuilder, rng: Rng) -> None:
    """Rows longer than the sums that are kept at once."""
    x = random_input(m, rng, (1, 5, 70, 4))
    options: dict[str, Any] = {"stride": (1, int(rng.integers(1, 3))), "padding": "SAME"}
    random_depthwise_conv2d(m, rng, x, (3, 3), **options)


def depthwise(m: ModelBuilder, rng: Rng) -> None:
    """Any kernel and depth multiplier."""
    x = random_input(m, rng, (1, *_pair(rng, 4, 9), int(rng.integers(1, 7))))
    options: dict[str, Any] = _window(rng)
    if rng.random() < 0.3:
        options |= {"stride": (1, 1), "dilation": _pair(rng, 1, 2)}
    multiplier = int(rng.choice([1, 2, 4, 8]))
    random_depthwise_conv2d(m, rng, x, _pair(rng, 1, 4), multiplier=multiplier, **options)


def fully_connected(m: ModelBuilder, rng: Rng) -> None:
    """One row or several."""
    x = random_input(m, rng, (int(rng.integers(1, 9)), int(rng.integers(1, 40))))
    outputs = int(rng.integers(1, 12))
    random_fully_connected(m, rng, x, outputs, per_channel=bool(rng.integers(2)))


def pool(m: ModelBuilder, rng: Rng) -> None:
    """Average and maximum."""
    x = random_input(m, rng, (2, *_pair(rng, 4, 9), int(rng.integers(1, 9))))
    build = m.average_pool2d if rng.random() < 0.5 else m.max_pool2d
    build(x, window=_pair(rng, 1, 4), **_window(rng))


def mean(m: ModelBuilder, rng: Rng) -> None:
    """Over neighbouring axes."""
    x = random_input(m, rng, (2, 3, 5, int(rng.integers(1, 10))))
    axes = [(1, 2), (3,), (1,), (-1, 2), (0, 1, 2, 3)][int(rng.integers(5))]
    m.mean(x, axes, keep_dims=bool(rng.integers(2)), **_quantization(rng))


def two_operands(m: ModelBuilder, rng: Rng) -> None:
    """Both from outside, one smaller, or one constant."""
    code = str(rng.choice(["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"]))
    quantization = _quantization(rng)
    x = m.input((1, 3, 4, 5), **quantization)
    shape = [(1, 3, 4, 5), (1, 1, 1, 5), (1, 3, 1, 1)][int(rng.integers(3))]
    other = quantization if code.endswith("IMUM") else _quantization(rng)
    if rng.random() < 0.3:
        y = m.constant(random_int8(rng, shape), **other)
    else:
        y = m.input(shape, **other)
    # ADD's output cannot be much finer than its operands
    scale = x.scale * 4 if code in ("ADD", "SUB") else quantization["scale"]
    zero_point = quantization["zero_point"]
    if code == "MUL":
        scale = x.scale * y.scale * 64
    elementwise(m, code, x, y, scale=scale, zero_point=zero_point)


def softmax(m: ModelBuilder, rng: Rng) -> None:
    """Some rows."""
    x = random_input(m, rng, (int(rng.integers(1, 4)), int(rng.integers(1, 30))))
    m.softmax(x, beta=float(rng.choice([0.5, 1.0])))


def quantize(m: ModelBuilder, rng: Rng) -> None:
    """From one quantization to another."""
    m.quantize(random_input(m, rng, (1, 4, 33)), **_quantization(rng))


def function(m: ModelBuilder, rng: Rng) -> None:
    """Functions of one value."""
    x = m.input((1, 4, 16), scale=0.05, zero_point=5)
    code = str(rng.choice(["LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "ELU", "ABS"]))
    unary(m, code, x, scale=0.04, zero_point=-128 if code == "LOGISTIC" else -20)


def pad(m: ModelBuilder, rng: Rng) -> None:
    """Any amounts, also none."""
    x = random_input(m, rng, (1, 3, 4, 5))
    m.pad(x, [(0, 0), *(_pair(rng, 0, 2) for _ in range(3))])


def concatenation(m: ModelBuilder, rng: Rng) -> None:
    """Three inputs of which two are one tensor."""
    axis = int(rng.integers(-1, 4))
    x = m.input((1, 3, 4, 5), scale=0.5, zero_point=1)
    y = m.input((1, 3, 4, 5), scale=0.5, zero_point=1)
    shape = [1, 3, 4, 5]
    shape[axis] *= 3
    z = m.tensor(shape, scale=0.5, zero_point=1)
    options: dict[str, Any] = {"axis": axis}
    m.operator("CONCATENATION", [x, y, x], [z], options, options_type="ConcatenationOptions")


LAYERS: dict[str, Layer] = {
    layer.__name__: layer
    for layer in (
        *(conv_2d, grouped_conv_2d, large_scale_conv_2d),
        *(depthwise_3x3, wide_depthwise_3x3, depthwise),
        *(fully_connected, pool, mean, two_operands),
        *(softmax, quantize, function, pad, concatenation),
    )
}


def model(name: str, seed: int) -> bytes:
    """A model of one layer of `LAYERS`."""
    m = ModelBuilder()
    LAYERS[name](m, np.random.default_rng(seed))
    return m.build()
