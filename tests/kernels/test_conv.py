"""CONV_2D, readable and prepared, against TFLM and against the plain-Python twin."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.conv import conv2d
from kernels.prepared.conv import prepare_conv2d
from tests.kernels import twins
from tests.kernels.layers import (
    INTERPRETED,
    REQUANTIZATIONS,
    bias_conv2d,
    random_activation,
    random_geometry,
    seeds,
    single,
    staged,
)
from tests.kernels.reference import conv_arguments, run_conv2d
from tests.support.random_layers import random_conv2d, random_int8
from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflm import run_tflm

compiled_only = pytest.mark.skipif(INTERPRETED, reason="too slow without Numba")


def check(model: bytes, ifm: NDArray[Any]) -> None:
    """Both kernels against TFLM."""
    expected = run_tflm(model, [ifm])[0]
    np.testing.assert_array_equal(run_conv2d(model, ifm), expected)
    operands, arguments = conv_arguments(model)
    prepared = prepare_conv2d(ifm.shape, *operands, **arguments)
    np.testing.assert_array_equal(prepared.run(ifm), expected)


def random_layer(seed: int, limit: int) -> tuple[bytes, NDArray[np.int8]]:
    """A random grouped or plain layer of up to `limit` channels per group: (model, IFM)."""
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    g = random_geometry(rng, channels=groups * int(rng.integers(1, limit)))
    m, x, ifm = single(rng, g.shape)
    random_conv2d(
        m,
        rng,
        x,
        groups * int(rng.integers(1, 2 * limit)),
        g.kernel,
        groups=groups,
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
    model, ifm = random_layer(seed, 4 if INTERPRETED else 24)
    check(model, ifm)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_random_layers_match_the_twin(seed: int) -> None:
    model, ifm = random_layer(1000 + seed, 4)
    operands, arguments = conv_arguments(model)
    np.testing.assert_array_equal(
        conv2d(ifm, *operands, **arguments), twins.conv2d(ifm, *operands, **arguments)
    )


@pytest.mark.parametrize("kernel", [(1, 1), (1, 3), (3, 1), (2, 2), (3, 5), (7, 7)], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 16, 17])
@pytest.mark.parametrize("outputs", [1, 15, 16, 17, 33, 48])
def test_kernel_and_channel_remainders_match_tflm(
    kernel: Pair, channels: int, outputs: int
) -> None:
    rng = np.random.default_rng(outputs)
    m, x, ifm = single(rng, (1, 9, 7, channels) if not INTERPRETED else (1, 3, 2, channels))
    random_conv2d(m, rng, x, outputs, kernel)
    model = m.build()
    check(model, ifm)


@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("case", REQUANTIZATIONS)
def test_adversarial_requantization_matches_tflm(case: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = m.input((1, 2, 3, 2), scale=1.0, zero_point=int(rng.integers(-128, 128)))
    requantization = REQUANTIZATIONS[case](rng, 250)
    bias_conv2d(m, rng, x, requantization, random_activation(rng))
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
    random_conv2d(m, rng, x, 5, (3, 3), scale=scale, zero_point=ofm_zero_point)
    model, ifm = m.build(), random_int8(rng, x.shape)
    check(model, ifm)


@compiled_only
@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize("channels", [1023, 1024, 1025, 2500])
def test_largest_sums_are_exact(channels: int, weight: int) -> None:
    """All products at their largest: no sum on the way may saturate or lose a bit."""
    m = ModelBuilder()
    x = m.input((1, 2, 2, channels), scale=1.0, zero_point=0)
    weights = np.full((3, 1, 1, channels), weight, np.int8)
    weights[1, ..., -1] = 1
    weights[2, ..., 0] = -1
    # a multiplier of 1/4: the lowest bits of the sum are seen once the bias cancels the rest
    bias = 128 * weights.astype(np.int64).sum((1, 2, 3))
    m.conv2d(x, weights, bias.astype(np.int32), weight_scales=0.25, scale=1.0, zero_point=0)
    model = m.build()
    ifm = np.full(x.shape, -128, np.int8)
    ifm[0, 0, 1, -1] = -127
    ifm[0, 1, 0, 0] = -127
    ifm[0, 1, 1, :2] = [-126, -127]
    check(model, ifm)


@pytest.mark.quick
@compiled_only
def test_large_reductions_match_tflm() -> None:
    rng = np.random.default_rng(0)
    m, x, ifm = single(rng, (1, 6, 5, 150))
    random_conv2d(m, rng, x, 20, (3, 3))
    model = m.build()
    check(model, ifm)


@pytest.mark.quick
def test_inputs_need_not_be_contiguous() -> None:
    model, ifm = random_layer(7, 8)
    operands, arguments = conv_arguments(model)
    expected = conv2d(ifm, *operands, **arguments)
    weights = np.asfortranarray(operands[0])
    read_only = np.ascontiguousarray(ifm.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    read_only.flags.writeable = False
    np.testing.assert_array_equal(conv2d(read_only, weights, operands[1], **arguments), expected)


GOOD = {
    "ifm": np.zeros((1, 4, 5, 4), np.int8),
    "weights": np.zeros((6, 3, 2, 2), np.int8),
    "bias": np.zeros(6, np.int32),
    "stride": (1, 1),
    "dilation": (1, 1),
    "padding": (1, 0),
    "ofm_hw": (4, 4),
    "ifm_zero_point": 0,
    "ofm_zero_point": 0,
    "multiplier": np.full(6, 2**30, np.int32),
    "shift": np.zeros(6, np.int32),
    "activation_min": -128,
    "activation_max": 127,
}


def test_the_good_arguments_are_good() -> None:
    assert conv2d(**staged(GOOD)).shape == (1, 4, 4, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((1, 4, 5, 4), np.uint8)}, "ifm is uint8; allowed is int8"),
        ({"ifm": [[1]]}, "ifm is list; allowed is int8"),
        ({"ifm": np.zeros((4, 5, 4), np.int8)}, r"ifm has shape \(4, 5, 4\); allowed are 4 dim"),
        ({"ifm": np.zeros((0, 4, 5, 4), np.int8)}, "allowed are dimensions of 1 or more"),
        ({"weights": np.zeros((6, 3, 2, 2))}, "weights is float64; allowed is int8"),
        ({"weights": np.zeros((6, 3, 2, 3), np.int8)}, "weights take 3 channels to 6; allowed for"),
        ({"weights": np.zeros((5, 3, 2, 2), np.int8)}, "weights take 2 channels to 5; allowed for"),
        ({"bias": np.zeros(6, np.int64)}, "bias is int64; allowed is int32"),
        ({"bias": np.zeros(5, np.int32)}, "bias has 5 values; allowed is one per channel: 6"),
        ({"multiplier": np.zeros(5, np.int32)}, "multiplier has 5 values; allowed is one per"),
        ({"multiplier": np.full(6, -1, np.int32)}, "multiplier is -1; allowed is 0 to"),
        ({"shift": np.zeros((6, 1), np.int32)}, r"shift has shape \(6, 1\); allowed are 1 dim"),
        ({"shift": np.full(6, 31, np.int32)}, "shift is 31; allowed is -31 to 30"),
        ({"shift": np.full(6, -32, np.int32)}, "shift is -32; allowed is -31 to 30"),
        ({"activation_min": 5, "activation_max": 4}, "activation range is 5 to 4; allowed is"),
        ({"activation_max": 128}, "activation range is -128 to 128; allowed is"),
        ({"ifm_zero_point": -129}, "ifm_zero_point is -129; allowed is -128 to 127"),
        ({"ofm_zero_point": 128}, "ofm_zero_point is 128; allowed is -128 to 127"),
        ({"stride": (0, 1)}, r"stride is \(0, 1\); allowed are two numbers of 1 or more"),
        ({"dilation": (1, 0)}, r"dilation is \(1, 0\); allowed are two numbers of 1 or more"),
        ({"padding": (-1, 0)}, r"padding is \(-1, 0\); allowed are two numbers of 0 or more"),
        ({"padding": (0, 2)}, "horizontal padding is 2; allowed is less than the window's 2"),
        ({"ofm_hw": (4, 0)}, r"ofm_hw is \(4, 0\); allowed are two numbers of 1 or more"),
        ({"ofm_hw": (6, 4)}, "vertical OFM size is 6; allowed is at most 5"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    arguments = staged(GOOD | change)
    with pytest.raises(ValueError, match=message):
        conv2d(**arguments)
    if "ifm" not in change:
        shape = arguments.pop("ifm").shape
        with pytest.raises(ValueError, match=message):
            prepare_conv2d(shape, **arguments)
