"""16x8 kernels against TFLM and against plain Python."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.int16.conv import conv2d_16x8, depthwise_conv2d_16x8
from kernels.int16.fully_connected import fully_connected_16x8
from kernels.requantize import multiply_by_reduced_multiplier
from tests.kernels.layers import STAGE, random_activation, random_geometry, seeds, staged
from tests.kernels.reference import Operator
from tests.kernels.twins import multiply_by_quantized_multiplier
from tests.support.random_layers import Rng, random_int8, random_scale
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

KINDS = [
    pytest.param(depthwise, bias, id=f"{'depthwise' if depthwise else 'conv'}-{name}")
    for depthwise, bias, name in (
        (False, np.int64, "int64"),
        (False, np.int32, "int32"),
        (False, None, "no_bias"),
        (True, np.int64, "int64"),
        (True, None, "no_bias"),
    )
]


def random_int16(rng: Rng, shape: tuple[int, ...]) -> NDArray[np.int16]:
    return rng.integers(-(2**15), 2**15, shape).astype(np.int16)


def numbers(
    rng: Rng,
    channels: int,
    taps: int,
    bias_type: type[np.signedinteger[Any]] | None,
    ifm_scale: float,
) -> tuple[NDArray[Any] | None, NDArray[np.float32], float]:
    """(bias, weight scales, OFM scale) that spread the OFM over int16 and a little beyond."""
    scales = np.exp(rng.uniform(-6, -4, channels)).astype(np.float32)
    deviation = 2**15 / 1.7 * 74 * np.sqrt(taps)
    limit = 2.0**31 - 1 if bias_type is np.int32 else 2.0**40
    bias = None
    if bias_type is not None:
        bias = rng.normal(0, deviation / 2, channels).clip(-limit / 2, limit / 2).astype(bias_type)
    scale = ifm_scale * float(scales.max()) * deviation / 2**14 * float(rng.uniform(0.4, 1.0))
    return bias, scales, float(np.float32(scale))


def convolution(
    seed: int, bias_type: type[np.signedinteger[Any]] | None, *, depthwise: bool
) -> tuple[bytes, NDArray[np.int16]]:
    """(model, IFM)."""
    rng = np.random.default_rng(seed)
    depth, outputs = (int(n) for n in rng.integers(1, 7, 2))
    g = random_geometry(rng, channels=depth)
    m = ModelBuilder()
    x = m.input(g.shape, scale=random_scale(rng, 2.0**-16, 2.0**-10), dtype=np.int16)
    channels = depth * int(rng.integers(1, 4)) if depthwise else outputs
    shape = (1, *g.kernel, channels) if depthwise else (channels, *g.kernel, depth)
    taps = g.kernel[0] * g.kernel[1] * (1 if depthwise else depth)
    # an int32 accumulator has no room for large sums
    amplitude = 20 if bias_type is np.int32 else 127
    weights = np.clip(random_int8(rng, shape, low=-127), -amplitude, amplitude)
    bias, scales, scale = numbers(rng, channels, taps, bias_type, x.scale)
    build = m.depthwise_conv2d if depthwise else m.conv2d
    build(
        x,
        weights,
        bias,
        weight_scales=scales,
        scale=scale * amplitude / 127,
        zero_point=0,
        stride=g.stride,
        dilation=g.dilation,
        padding=g.padding,
        activation=random_activation(rng),
    )
    return m.build(), random_int16(rng, g.shape)


def connected(seed: int, *, per_channel: bool) -> tuple[bytes, NDArray[np.int16]]:
    rng = np.random.default_rng(seed)
    rows, inputs, outputs = (int(n) for n in rng.integers(1, 40, 3))
    m = ModelBuilder()
    x = m.input((rows, inputs), scale=random_scale(rng, 2.0**-16, 2.0**-10), dtype=np.int16)
    bias, scales, scale = numbers(rng, outputs, inputs, np.int64, x.scale)
    m.fully_connected(
        x,
        random_int8(rng, (outputs, inputs), low=-127),
        bias if rng.integers(4) else None,
        weight_scales=scales if per_channel else scales[:1],
        scale=scale,
        zero_point=0,
        activation=random_activation(rng),
    )
    return m.build(), random_int16(rng, (rows, inputs))


def arguments(model: bytes) -> tuple[list[Any], dict[str, Any]]:
    """(weights and bias, keyword arguments)."""
    op = Operator(model)
    weights = op.constant(1, np.int8)
    bias = None
    if len(op.inputs) > 2:
        bias = op.constant(2, np.int64 if op.inputs[2].type == 4 else np.int32)
    assert weights is not None
    depthwise = hasattr(op.options, "depthMultiplier")
    channels = weights.shape[3 if depthwise else 0]
    keywords: dict[str, Any] = {"stage": op.output_stage(channels, bits=16)}
    if weights.ndim == 4:
        dilation = op.options.dilationHFactor, op.options.dilationWFactor
        kernel = (weights.shape[1], weights.shape[2])
        keywords |= {**op.windows(kernel, dilation), "dilation": dilation}
    return [weights, bias], keywords


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(12), ids="seed{}".format)
@pytest.mark.parametrize(("depthwise", "bias_type"), KINDS)
def test_random_convolutions_match_tflm(
    depthwise: bool, bias_type: type[np.signedinteger[Any]] | None, seed: int
) -> None:
    model, ifm = convolution(seed, bias_type, depthwise=depthwise)
    operands, keywords = arguments(model)
    kernel = depthwise_conv2d_16x8 if depthwise else conv2d_16x8
    ofm = kernel(ifm, *operands, **keywords)
    assert ofm.dtype == np.int16
    np.testing.assert_array_equal(ofm, run_tflm(model, [ifm])[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
@pytest.mark.parametrize("per_channel", [False, True])
def test_random_fully_connected_layers_match_tflm(per_channel: bool, seed: int) -> None:
    model, ifm = connected(seed, per_channel=per_channel)
    operands, keywords = arguments(model)
    ofm = fully_connected_16x8(ifm, *operands, **keywords)
    np.testing.assert_array_equal(ofm, run_tflm(model, [ifm])[0])


def twin_rescale(acc: int, multiplier: int, shift: int) -> int:
    """TFLM's MultiplyByQuantizedMultiplier of an int64."""
    reduced = (multiplier + 2**15) >> 16 if multiplier < 0x7FFF0000 else 0x7FFF
    half: int = 2 ** (14 - shift)
    return (acc * reduced + half) >> (15 - shift)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(3), ids="seed{}".format)
@pytest.mark.parametrize(("depthwise", "bias_type"), KINDS)
def test_random_convolutions_match_the_twin(
    depthwise: bool, bias_type: type[np.signedinteger[Any]] | None, seed: int
) -> None:
    model, ifm = convolution(1000 + seed, bias_type, depthwise=depthwise)
    (weights, bias), keywords = arguments(model)
    kernel = depthwise_conv2d_16x8 if depthwise else conv2d_16x8
    ofm = kernel(ifm, weights, bias, **keywords)
    if depthwise:
        weights = weights.transpose(3, 1, 2, 0)
    rescale = multiply_by_quantized_multiplier if bias_type is np.int32 else twin_rescale
    stride, dilation, padding = (keywords[name] for name in ("stride", "dilation", "padding"))
    channels, kernel_h, kernel_w, depth = weights.shape
    group_outputs = channels // (ifm.shape[3] // depth)
    for n, oy, ox, k in np.ndindex(ofm.shape):
        acc = 0 if bias is None else int(bias[k])
        for ky, kx, c in np.ndindex(kernel_h, kernel_w, depth):
            y = oy * stride[0] - padding[0] + ky * dilation[0]
            x = ox * stride[1] - padding[1] + kx * dilation[1]
            if 0 <= y < ifm.shape[1] and 0 <= x < ifm.shape[2]:
                value = int(ifm[n, y, x, k // group_outputs * depth + c])
                acc += value * int(weights[k, ky, kx, c])
        stage = keywords["stage"]
        scaled = rescale(acc, int(stage.multiplier[k]), int(stage.shift[k]))
        expected = min(max(scaled, stage.low), stage.high)
        assert ofm[n, oy, ox, k] == expected, f"seed {seed}"


@pytest.mark.quick
def test_rescaling_of_wide_accumulators() -> None:
    """Ties, both signs, the largest multipliers and every shift."""
    rng = np.random.default_rng(0)
    for shift in range(-31, 8):
        for multiplier in (
            2**30,
            2**31 - 1,
            0x7FFEFFFF,
            0x7FFF0000,
            *rng.integers(2**30, 2**31, 9),
        ):
            reach = 2 ** min(47, 16 - shift)
            accs = [0, 1, -1, 2**46, -(2**46), *rng.integers(-reach, reach, 20)]
            accs += [(2 * j + 1) << max(0, 13 - shift) for j in range(-3, 3)]
            for acc in map(int, accs):
                expected = twin_rescale(acc, int(multiplier), shift)
                assert multiply_by_reduced_multiplier(acc, int(multiplier), shift) == expected


CONV: dict[str, Any] = {
    "ifm": np.zeros((1, 2, 2, 3), np.int16),
    "weights": np.zeros((4, 1, 1, 3), np.int8),
    "bias": None,
    "stride": (1, 1),
    "dilation": (1, 1),
    "padding": (0, 0),
    "ofm_hw": (2, 2),
    "multiplier": np.full(4, 2**30, np.int32),
    "shift": np.zeros(4, np.int32),
    "ofm_zero_point": 0,
    "activation_min": -(2**15),
    "activation_max": 2**15 - 1,
}
DEPTHWISE = CONV | {
    "weights": np.zeros((1, 1, 1, 3), np.int8),
    "multiplier": np.full(3, 2**30, np.int32),
    "shift": np.zeros(3, np.int32),
}
CONNECTED = {name: CONV[name] for name in ("bias", *STAGE)} | {
    "ifm": np.zeros((2, 3), np.int16),
    "weights": np.zeros((4, 3), np.int8),
}


@pytest.mark.parametrize(
    ("kernel", "good", "change", "message"),
    [
        (conv2d_16x8, CONV, {"ifm": np.zeros((1, 2, 2, 3), np.int8)}, "ifm is int8; allowed is"),
        (
            conv2d_16x8,
            CONV,
            {"weights": np.zeros((4, 1, 1, 2), np.int8)},
            "weights take 2 channels",
        ),
        (conv2d_16x8, CONV, {"bias": np.zeros(4, np.int16)}, "bias is int16; allowed is int64"),
        (conv2d_16x8, CONV, {"bias": np.zeros(3, np.int64)}, "bias has 3 values; allowed is one"),
        (conv2d_16x8, CONV, {"shift": np.full(4, 8, np.int32)}, "allowed for an int64 accumulator"),
        (conv2d_16x8, CONV, {"activation_max": 2**15}, "activation range is -32768 to 32768"),
        (conv2d_16x8, CONV, {"ofm_zero_point": 5}, "ofm_zero_point is 5; allowed for int16 is 0"),
        (conv2d_16x8, CONV, {"ofm_hw": (3, 2)}, "vertical OFM size is 3; allowed is at most 2"),
        (
            depthwise_conv2d_16x8,
            DEPTHWISE,
            {"bias": np.zeros(3, np.int32)},
            "bias is int32; allowed is int64",
        ),
        (
            fully_connected_16x8,
            CONNECTED,
            {"bias": np.zeros(4, np.int32)},
            "bias is int32; allowed is int64",
        ),
        (
            fully_connected_16x8,
            CONNECTED,
            {"ifm": np.zeros(4, np.int16)},
            "ifm has 4 values; allowed are multiples of 3",
        ),
    ],
)
def test_bad_arguments_are_refused(
    kernel: Callable[..., Any], good: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    assert kernel(**staged(good)).dtype == np.int16
    with pytest.raises(ValueError, match=message):
        kernel(**staged(good | change))
