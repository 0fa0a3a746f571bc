"""Comparisons against TFLM."""

from typing import Any

import numpy as np
import pytest

from kernels.comparison import COMPARISONS, compare, compare_quantized
from tests.kernels.layers import seeds
from tests.kernels.one_operator import Given, Made, every_value, float32_scale, in_tflm
from tests.support.random_layers import random_zero_point

SHAPE = (2, 3, 8)
BROADCAST = [(2, 3, 8), (8,), (2, 1, 1), ()]


@pytest.mark.parametrize("kind", COMPARISONS)
@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
def test_quantized(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scales = [float32_scale(rng, -9, -1) for _ in range(2)]
    zero_points = [random_zero_point(rng) for _ in range(2)]
    a, b = every_value(rng, SHAPE), every_value(rng, BROADCAST[seed % len(BROADCAST)])
    if seed % 2 and a.shape == b.shape:
        # nearly equal numbers
        real = (a.astype(np.int64) - zero_points[0]) * scales[0]
        b = np.clip(np.round(real / scales[1]) + zero_points[1], -128, 127).astype(np.int8)
    computed = compare_quantized(
        kind,
        a,
        b,
        a_scale=scales[0],
        a_zero_point=zero_points[0],
        b_scale=scales[1],
        b_zero_point=zero_points[1],
    )
    operands = [Given(x, s, z) for x, s, z in zip((a, b), scales, zero_points, strict=True)]
    expected = in_tflm(kind, operands, Made(SHAPE, np.bool_))
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("kind", COMPARISONS)
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.bool_])
def test_plain_numbers(kind: str, dtype: Any) -> None:
    if dtype == np.bool_ and kind not in ("EQUAL", "NOT_EQUAL"):
        pytest.skip("TFLM has no order of bool")
    rng = np.random.default_rng(0)
    a, b = rng.integers(-2, 3, SHAPE).astype(dtype), rng.integers(-2, 3, (3, 1)).astype(dtype)
    if dtype == np.float32:
        a.reshape(-1)[:4] = np.nan, np.inf, -np.inf, -0.0
    computed = compare(kind, a, b)
    expected = in_tflm(kind, [Given(a), Given(b)], Made(SHAPE, np.bool_))
    np.testing.assert_array_equal(computed, expected, strict=True)


def test_what_no_kernel_takes() -> None:
    x = np.zeros(3, np.int8)
    with pytest.raises(ValueError, match="kind is 'ALIKE'; allowed are EQUAL, NOT_EQUAL"):
        compare("ALIKE", x, x)
    with pytest.raises(ValueError, match="inputs are int8 and int32; allowed is one type"):
        compare("LESS", x, x.astype(np.int32))
    quantization: dict[str, Any] = {"a_zero_point": 0, "b_scale": 0.5, "b_zero_point": 0}
    with pytest.raises(ValueError, match=r"scale is 1\.0; allowed is less than 1"):
        compare_quantized("LESS", x, x, a_scale=1.0, **quantization)
