"""SQUARED_DIFFERENCE, RSQRT, DIV, L2_NORMALIZATION, LOG_SOFTMAX, CUMSUM and ADD_N against TFLM."""

from typing import Any

import numpy as np
import pytest

from kernels.div import div, div_multiplier
from kernels.l2_normalization import l2_normalization
from kernels.log_softmax import log_softmax, log_softmax_parameters
from kernels.quantization import activation_range, add_parameters
from kernels.rsqrt import rsqrt, rsqrt_multiplier
from kernels.running_sum import add_n, cumsum
from kernels.squared_difference import squared_difference, squared_difference_parameters
from tests.kernels.layers import seeds
from tests.kernels.one_operator import (
    Given,
    Made,
    every_value,
    float32_scale,
    in_tflm,
    indices,
)
from tests.support.random_layers import random_zero_point

pytestmark = pytest.mark.interpreted

SHAPE = (1, 3, 4, 8)
BROADCAST = [(1, 3, 4, 8), (1, 1, 1, 8), (8,), (1, 3, 4, 1), ()]
ZERO: dict[str, Any] = {"a_zero_point": 0, "b_zero_point": 0, "ofm_zero_point": 0}


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_squared_difference(seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    bits = 8 * np.dtype(dtype).itemsize
    scales = [float32_scale(rng, -9, -1) for _ in range(2)]
    zero_points = [random_zero_point(rng) if bits == 8 else 0 for _ in range(3)]
    ofm_scale = float(np.float32(max(scales) ** 2 * 2.0 ** (bits + rng.uniform(0, 6))))
    a = every_value(rng, SHAPE, dtype)
    b = every_value(rng, BROADCAST[seed % len(BROADCAST)], dtype)
    computed = squared_difference(
        a,
        b,
        a_zero_point=zero_points[0],
        b_zero_point=zero_points[1],
        ofm_zero_point=zero_points[2],
        parameters=squared_difference_parameters(scales[0], scales[1], ofm_scale, bits=bits),
    )
    operands = [Given(x, s, z) for x, s, z in zip((a, b), scales, zero_points, strict=False)]
    made = Made(SHAPE, dtype, ofm_scale, zero_points[2])
    expected = in_tflm("SQUARED_DIFFERENCE", operands, made, {}, "SquaredDifferenceOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_rsqrt(seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    bits = 8 * np.dtype(dtype).itemsize
    scale = float32_scale(rng, -9, -1)
    ifm_zero_point, ofm_zero_point = (random_zero_point(rng) if bits == 8 else 0 for _ in range(2))
    ifm = np.maximum(every_value(rng, (400,), dtype), ifm_zero_point).astype(dtype)
    ifm[:3] = ifm_zero_point, min(ifm_zero_point + 1, 127), min(ifm_zero_point + 2, 127)
    ofm_scale = float(np.float32(2.0 ** rng.uniform(-4, 4) / (np.sqrt(scale) * 2**bits)))
    multiplier, shift = rsqrt_multiplier(scale, ofm_scale)
    computed = rsqrt(
        ifm,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
    )
    made = Made(ifm.shape, dtype, ofm_scale, ofm_zero_point)
    expected = in_tflm("RSQRT", [Given(ifm, scale, ifm_zero_point)], made)
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("activation", [(0, "NONE"), (3, "RELU6")], ids="{0[1]}".format)
@pytest.mark.parametrize("seed", seeds(30), ids="seed{}".format)
def test_div(seed: int, activation: tuple[int, str]) -> None:
    rng = np.random.default_rng(seed)
    scales = [float32_scale(rng, -9, -1) for _ in range(2)]
    zero_points = [random_zero_point(rng) for _ in range(3)]
    # the largest make quotients so small that TFLM shifts by 32 and more
    ofm_scale = float(np.float32(scales[0] / scales[1] * 2.0 ** rng.uniform(-9, 3)))
    a = every_value(rng, SHAPE)
    b = every_value(rng, BROADCAST[seed % len(BROADCAST)])
    b.reshape(-1)[::5] = zero_points[1]
    multiplier, shift = div_multiplier(scales[0], scales[1], ofm_scale)
    low, high = activation_range(activation[1], ofm_scale, zero_points[2])
    computed = div(
        a,
        b,
        a_zero_point=zero_points[0],
        b_zero_point=zero_points[1],
        ofm_zero_point=zero_points[2],
        multiplier=multiplier,
        shift=shift,
        activation_min=low,
        activation_max=high,
    )
    operands = [Given(x, s, z) for x, s, z in zip((a, b), scales, zero_points, strict=False)]
    made = Made(SHAPE, np.int8, ofm_scale, zero_points[2])
    options = {"fusedActivationFunction": activation[0]}
    expected = in_tflm("DIV", operands, made, options, "DivOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_l2_normalization(seed: int) -> None:
    rng = np.random.default_rng(seed)
    zero_point = random_zero_point(rng)
    ifm = every_value(rng, (7, int(rng.integers(1, 60))))
    ifm[0], ifm[1, 1:] = zero_point, zero_point
    computed = l2_normalization(ifm, ifm_zero_point=zero_point)
    made = Made(ifm.shape, np.int8, 1 / 128)
    operands = [Given(ifm, 0.02, zero_point)]
    expected = in_tflm("L2_NORMALIZATION", operands, made, {}, "L2NormOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("seed", seeds(30), ids="seed{}".format)
def test_log_softmax(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = float32_scale(rng, -12, 3)
    ifm = every_value(rng, (7, int(rng.integers(1, 200))))
    computed = log_softmax(ifm, parameters=log_softmax_parameters(scale))
    made = Made(ifm.shape, np.int8, 1 / 16, 127)
    operands = [Given(ifm, scale, random_zero_point(rng))]
    expected = in_tflm("LOG_SOFTMAX", operands, made, {}, "LogSoftmaxOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("exclusive", [False, True], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("seed", seeds(8), ids="seed{}".format)
def test_cumsum(seed: int, exclusive: bool, reverse: bool) -> None:
    rng = np.random.default_rng(seed)
    scale = float32_scale(rng, -9, -1)
    ofm_scale = float(np.float32(scale * 2.0 ** rng.uniform(0, 5)))
    ifm_zero_point, ofm_zero_point = random_zero_point(rng), random_zero_point(rng)
    # long enough for sums that wrap
    ifm, axis = every_value(rng, (2, int(rng.integers(1, 60)), 3)), int(rng.integers(-3, 3))
    computed = cumsum(
        ifm,
        axis,
        exclusive=exclusive,
        reverse=reverse,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        parameters=add_parameters(scale, scale, ofm_scale),
    )
    options = {"exclusive": exclusive, "reverse": reverse}
    operands = [Given(ifm, scale, ifm_zero_point), indices(axis)]
    made = Made(ifm.shape, np.int8, ofm_scale, ofm_zero_point)
    expected = in_tflm("CUMSUM", operands, made, options, "CumsumOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("seed", seeds(12), ids="seed{}".format)
def test_add_n(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = float32_scale(rng, -9, -1)
    ofm_scale = float(np.float32(scale * 2.0 ** rng.uniform(0, 5)))
    ifm_zero_point, ofm_zero_point = random_zero_point(rng), random_zero_point(rng)
    parts = [every_value(rng, (3, 5)) for _ in range(2 + seed % 5)]
    computed = add_n(
        parts,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        parameters=add_parameters(scale, scale, ofm_scale),
    )
    operands = [Given(part, scale, ifm_zero_point) for part in parts]
    made = Made((3, 5), np.int8, ofm_scale, ofm_zero_point)
    expected = in_tflm("ADD_N", operands, made, {}, "AddNOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


def test_what_no_kernel_takes() -> None:
    x = np.zeros((2, 3), np.int8)
    with pytest.raises(ValueError, match="has the value -5; allowed is its zero point -4 or more"):
        rsqrt(x - np.int8(5), ifm_zero_point=-4, ofm_zero_point=0, multiplier=1 << 30, shift=-19)
    with pytest.raises(ValueError, match=r"shape \(\); allowed are 1 to 33025 channels"):
        l2_normalization(np.zeros((), np.int8), ifm_zero_point=0)
    with pytest.raises(ValueError, match="is a scalar; allowed are 1 or more dimensions"):
        log_softmax(np.zeros((), np.int8), parameters=log_softmax_parameters(1.0))
    with pytest.raises(ValueError, match=r"IFM scale is .*; allowed is more than"):
        log_softmax_parameters(2.0**-26)
    sums: dict[str, Any] = {
        "ifm_zero_point": 0,
        "ofm_zero_point": 0,
        "parameters": add_parameters(1.0, 1.0, 1.0),
    }
    with pytest.raises(ValueError, match="axis is 2; allowed is -2 to 1"):
        cumsum(x, 2, exclusive=False, reverse=False, **sums)
    with pytest.raises(ValueError, match=r"parts have shapes \[\(2,\), \(3,\)\]; allowed is one"):
        add_n([x[0], x[0, :2]], **sums)
    parameters = squared_difference_parameters(1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="inputs are int8 and int16; allowed is one type"):
        squared_difference(x, x.astype(np.int16), **ZERO, parameters=parameters)
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2,\); allowed are shapes that"):
        squared_difference(x, x[:, 0], **ZERO, parameters=parameters)
    with pytest.raises(ValueError, match="multiplier is inf; allowed is a finite value"):
        div_multiplier(1.0, 1e-30, 1e-30)
