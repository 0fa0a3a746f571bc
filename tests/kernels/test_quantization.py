"""Quantization parameters: closed forms, and the errors. TFLM itself checks them per operator."""

import math

import numpy as np
import pytest

from kernels import quantization as q
from kernels.requantize import quantize_multiplier


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "expected"),
    [
        ("NONE", 0.1, 5, (-128, 127)),
        ("RELU", 0.1, -128, (-128, 127)),
        ("RELU", 0.1, 127, (127, 127)),
        ("RELU6", 0.1, -10, (-10, 50)),
        ("RELU6", 0.01, -10, (-10, 127)),
        ("RELU_N1_TO_1", 0.1, 3, (-7, 13)),
        # 1/0.4 is 2.5 in float32: half away from zero on both sides
        ("RELU_N1_TO_1", 0.4, 0, (-3, 3)),
        ("RELU_N1_TO_1", 1e-3, 0, (-128, 127)),
    ],
)
def test_activation_range(
    activation: str, scale: float, zero_point: int, expected: tuple[int, int]
) -> None:
    assert q.activation_range(activation, scale, zero_point) == expected


def test_activation_range_refuses() -> None:
    with pytest.raises(ValueError, match="activation is 'TANH'; allowed are NONE, RELU"):
        q.activation_range("TANH", 0.1, 0)
    with pytest.raises(ValueError, match="does not fit int32"):
        q.activation_range("RELU6", 1e-10, 0)
    for scale in (0.0, -1.0, math.nan, math.inf, 1e-60):
        with pytest.raises(ValueError, match=r"scale is .*; allowed is a positive finite float32"):
            q.activation_range("RELU", scale, 0)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
def test_window_covers_what_it_should(
    padding: str, stride: int, kernel: int, dilation: int
) -> None:
    extent = (kernel - 1) * dilation + 1
    for size in range(extent, 15):
        w = q.window(size, kernel, stride, dilation, padding)
        end = (w.output - 1) * stride + extent - w.before
        if padding == "VALID":
            assert w.before == w.after == 0
            assert end <= size < end + stride
        else:
            assert w.output == math.ceil(size / stride)
            assert w.after - w.before in (0, 1)
            assert end == size + w.after or (w.after == 0 and end <= size)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1, 1, "SAME"), "size is 0; allowed is 1 or more"),
        ((4, 0, 1, 1, "SAME"), "kernel is 0"),
        ((4, 1, 0, 1, "SAME"), "stride is 0"),
        ((4, 1, 1, 0, "SAME"), "dilation is 0"),
        ((4, 1, 1, 1, "FULL"), "padding is 'FULL'; allowed are SAME, VALID"),
        ((4, 3, 1, 2, "VALID"), "the window spans 5 inputs; VALID padding allows 4"),
    ],
)
def test_window_refuses(arguments: tuple[int, int, int, int, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        q.window(*arguments)


def test_conv_multipliers_repeat_one_scale() -> None:
    multiplier, shift = q.conv_multipliers(0.5, 0.25, 1.0, 3)
    np.testing.assert_array_equal(multiplier, np.full(3, 2**30, np.int32))
    np.testing.assert_array_equal(shift, np.full(3, -2, np.int32))
    assert multiplier.dtype == shift.dtype == np.int32


def test_conv_multipliers_are_computed_in_double() -> None:
    a, b = float(np.float32(0.1)), float(np.float32(0.3))
    assert float(np.float32(0.1) * np.float32(0.3)) != a * b
    assert [int(v[0]) for v in q.conv_multipliers(a, b, 1.0)] == list(quantize_multiplier(a * b))


def test_conv_multipliers_refuse() -> None:
    with pytest.raises(ValueError, match=r"weight scales have shape \(2,\); allowed are \(1,\)"):
        q.conv_multipliers(0.1, [0.1, 0.2], 0.1, 3)
    for scales in ((0.0, 0.1, 0.1), (0.1, 0.0, 0.1), (0.1, 0.1, 0.0)):
        with pytest.raises(ValueError, match=r"scale is 0\.0; allowed is a positive"):
            q.conv_multipliers(*scales)


def test_add_parameters() -> None:
    p = q.add_parameters(0.25, 0.5, 1.0)
    assert (p.multiplier_a, p.shift_a) == (2**30, -1)
    assert (p.multiplier_b, p.shift_b) == (2**30, 0)
    assert (p.multiplier, p.shift) == (2**30, -19)
    with pytest.raises(ValueError, match=r"OFM scale is 1e-07; allowed for input scales 1.0 and"):
        q.add_parameters(1.0, 1.0, 1e-7)
    with pytest.raises(ValueError, match=r"scale of input 1 is 0\.0"):
        q.add_parameters(1.0, 0.0, 1.0)


def test_mean_multiplier_folds_the_division() -> None:
    for count in (1, 2, 3, 49, 4096, 50176):
        multiplier, shift = q.mean_multiplier(0.1, 0.3, count)
        real = multiplier * 2.0 ** (shift - 31)
        assert real == pytest.approx(0.1 / 0.3 / count, rel=2e-7)
        assert 0 < multiplier < 2**31
    # the division truncates: 2**31 / 3 is not whole
    assert q.mean_multiplier(1.0, 1.0, 3) == (715827882, 0)
    with pytest.raises(ValueError, match="elements to average are 0; allowed is 1 or more"):
        q.mean_multiplier(0.1, 0.1, 0)


def test_softmax_parameters() -> None:
    p = q.softmax_parameters(1.0, 0.5)
    assert (p.multiplier, p.shift, p.diff_min) == (2**30, 26, -31)
    saturated = q.softmax_parameters(100.0, 10.0)
    assert (saturated.multiplier, saturated.shift, saturated.diff_min) == (2**31 - 1, 31, 0)
    with pytest.raises(ValueError, match=r"beta times IFM scale is 0\.0; allowed is more than"):
        q.softmax_parameters(0.0, 0.5)


def test_resolve_axes() -> None:
    assert q.resolve_axes((-1, 1, 3), 4) == (1, 3)
    assert q.resolve_axes((), 2) == ()
    for axis in (-3, 2):
        with pytest.raises(ValueError, match=f"axis is {axis}; allowed is -2 to 1"):
            q.resolve_axes((axis,), 2)
