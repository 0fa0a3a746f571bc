"""DEPTHWISE_CONV_2D, readable and prepared, against TFLM and the plain-Python twin."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.depthwise import depthwise_conv2d
from kernels.prepared.depthwise import prepare_depthwise_conv2d
from tests.kernels import twins
from tests.kernels.layers import (
    INTERPRETED,
    REQUANTIZATIONS,
    random_activation,
    random_geometry,
    seeds,
    single,
    staged,
)
from tests.kernels.reference import conv_arguments, run_depthwise
from tests.support.random_layers import random_depthwise_conv2d, random_int8
from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflm import run_tflm


def check(model: bytes, ifm: NDArray[Any]) -> None:
    """Both kernels against TFLM."""
    expected = run_tflm(model, [ifm])[0]
    np.testing.assert_array_equal(run_depthwise(model, ifm), expected)
    operands, arguments = conv_arguments(model)
    prepared = prepare_depthwise_conv2d(ifm.shape, *operands, **arguments)
    np.testing.assert_array_equal(prepared.run(ifm), expected)


def random_layer(seed: int, limit: int) -> tuple[bytes, NDArray[np.int8]]:
    """A random layer of up to `limit` IFM channels and a multiplier of 1 to 4: (model, IFM)."""
    rng = np.random.default_rng(seed)
    g = random_geometry(rng, channels=int(rng.integers(1, limit)))
    m, x, ifm = single(rng, g.shape)
    random_depthwise_conv2d(
        m,
        rng,
        x,
        g.kernel,
        multiplier=int(rng.choice([1, 1, 2, 3, 4])),
        bias=bool(rng.integers(4)),
        per_channel=bool(rng.integers(4)),
        stride=g.stride,
        dilation=g.dilation,
        padding=g.padding,
        activation=random_activation(rng),
    )
    return m.build(), ifm


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(120), ids="seed{}".format)
def test_random_layers_match_tflm(seed: int) -> None:
    model, ifm = random_layer(seed, 6 if INTERPRETED else 40)
    check(model, ifm)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_random_layers_match_the_twin(seed: int) -> None:
    model, ifm = random_layer(1000 + seed, 6)
    operands, arguments = conv_arguments(model)
    np.testing.assert_array_equal(
        depthwise_conv2d(ifm, *operands, **arguments),
        twins.depthwise_conv2d(ifm, *operands, **arguments),
    )


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (3, 3), (5, 5), (7, 2)], ids=str)
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 48])
@pytest.mark.parametrize("multiplier", [1, 8])
def test_kernel_and_channel_remainders_match_tflm(
    kernel: Pair, channels: int, multiplier: int
) -> None:
    rng = np.random.default_rng(channels)
    m, x, ifm = single(rng, (1, 9, 7, channels) if not INTERPRETED else (1, 3, 2, channels))
    random_depthwise_conv2d(m, rng, x, kernel, multiplier=multiplier)
    model = m.build()
    check(model, ifm)


@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("case", REQUANTIZATIONS)
def test_adversarial_requantization_matches_tflm(case: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    requantization = REQUANTIZATIONS[case](rng, 250)
    m = ModelBuilder()
    x = m.input((1, 1, 2, 125), scale=1.0, zero_point=int(rng.integers(-128, 128)))
    m.depthwise_conv2d(
        x,
        rng.integers(-1, 2, (1, 1, 1, 250)).astype(np.int8),
        requantization.bias,
        weight_scales=requantization.scales,
        scale=1.0,
        zero_point=int(rng.integers(-128, 128)),
        activation=random_activation(rng),
    )
    model, ifm = m.build(), random_int8(rng, x.shape)
    check(model, ifm)


@pytest.mark.parametrize("ofm_zero_point", [-128, 127])
@pytest.mark.parametrize("ifm_zero_point", [-128, 127])
@pytest.mark.parametrize("scale", [1e-3, 1e-1, 1e4])
def test_extreme_zero_points_and_saturation_match_tflm(
    ifm_zero_point: int, ofm_zero_point: int, scale: float
) -> None:
    rng = np.random.default_rng(0)
    m = ModelBuilder()
    x = m.input((1, 5, 6, 3), scale=0.02, zero_point=ifm_zero_point)
    random_depthwise_conv2d(m, rng, x, (3, 3), scale=scale, zero_point=ofm_zero_point)
    model, ifm = m.build(), random_int8(rng, x.shape)
    check(model, ifm)


@pytest.mark.quick
@pytest.mark.skipif(INTERPRETED, reason="too slow without Numba")
@pytest.mark.parametrize("kernel", [(32, 32), (33, 32), (40, 52)], ids=str)
def test_largest_sums_are_exact(kernel: Pair) -> None:
    """As many taps as a float32 sum holds exactly, and more, all products at their largest."""
    m = ModelBuilder()
    x = m.input((1, kernel[0], kernel[1] + 1, 2), scale=1.0, zero_point=0)
    weights = np.full((1, *kernel, 2), -128, np.int8)
    weights[0, -1, -1, 1] = 1
    bias = (128 * weights.astype(np.int64).sum((0, 1, 2))).astype(np.int32)
    m.depthwise_conv2d(
        x, weights, bias, weight_scales=0.25, scale=1.0, zero_point=0, padding="VALID"
    )
    model = m.build()
    ifm = np.full(x.shape, -128, np.int8)
    ifm[0, -1, -1] = -127
    check(model, ifm)


@pytest.mark.parametrize("shape", [(2, 3, 3, 4), (1, 3, 3, 6)], ids=str)
def test_bad_weights_are_refused(shape: tuple[int, ...]) -> None:
    model, _ = random_layer(3, 6)
    _, arguments = conv_arguments(model)
    with pytest.raises(ValueError, match=r"weights have shape .*; allowed is 1, kh, kw, and a mul"):
        depthwise_conv2d(
            np.zeros((1, 4, 4, 4), np.int8), np.zeros(shape, np.int8), None, **arguments
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((1, 4, 5, 4), np.int16)}, "ifm is int16; allowed is int8"),
        ({"weights": np.zeros((3, 3, 4), np.int8)}, r"weights has shape .*; allowed are 4 dim"),
        ({"bias": np.zeros(5, np.int32)}, "bias has 5 values; allowed is one per channel: 4"),
        ({"shift": np.full(4, 31, np.int32)}, "shift is 31; allowed is -31 to 30"),
        ({"ifm_zero_point": 128}, "ifm_zero_point is 128; allowed is -128 to 127"),
        ({"ofm_zero_point": -129}, "ofm_zero_point is -129; allowed is -128 to 127"),
        ({"stride": (1,)}, r"stride is \(1,\); allowed are two numbers of 1 or more"),
        ({"dilation": (0, 1)}, r"dilation is \(0, 1\); allowed are two numbers of 1 or more"),
        ({"ofm_hw": (4, 9)}, "horizontal OFM size is 9; allowed is at most 6"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    good = {
        "ifm": np.zeros((1, 4, 5, 4), np.int8),
        "weights": np.zeros((1, 3, 3, 4), np.int8),
        "bias": np.zeros(4, np.int32),
        "stride": (1, 1),
        "dilation": (1, 1),
        "padding": (1, 1),
        "ofm_hw": (4, 5),
        "ifm_zero_point": 0,
        "ofm_zero_point": 0,
        "multiplier": np.full(4, 2**30, np.int32),
        "shift": np.zeros(4, np.int32),
        "activation_min": -128,
        "activation_max": 127,
    }
    assert depthwise_conv2d(**staged(good)).shape == (1, 4, 5, 4)
    arguments = staged(good | change)
    with pytest.raises(ValueError, match=message):
        depthwise_conv2d(**arguments)
    if "ifm" not in change:
        shape = arguments.pop("ifm").shape
        with pytest.raises(ValueError, match=message):
            prepare_depthwise_conv2d(shape, **arguments)
