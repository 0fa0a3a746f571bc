"""Requantization against the C function that the tflite-micro wheel exports."""

import ctypes
import math

import numpy as np
import pytest
from numpy.typing import ArrayLike
from tflite_micro.python.tflite_micro import _runtime

from kernels.requantize import quantize_multiplier, requantize_and_clamp, requantize_array
from tests.kernels import twins
from tests.kernels.layers import seeds

multiply_in_c = ctypes.CDLL(_runtime.__file__)._ZN6tflite5micro29MultiplyByQuantizedMultiplierEiii
multiply_in_c.restype = ctypes.c_int
multiply_in_c.argtypes = [ctypes.c_int] * 3


def check(acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> None:
    arrays = [np.asarray(a, np.int32) for a in (acc, multiplier, shift)]
    computed = requantize_array(*arrays)
    rows = zip(*(a.tolist() for a in np.broadcast_arrays(*arrays)), strict=True)
    expected = [multiply_in_c(*row) for row in rows]
    wrong = np.nonzero(computed != expected)[0]
    assert wrong.size == 0, [tuple(int(a[i]) for a in arrays) for i in wrong[:5]]


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
def test_random_values_match_the_c_function(seed: int) -> None:
    rng = np.random.default_rng(seed)
    acc = rng.integers(-(2**31), 2**31, 5000) >> rng.integers(0, 31, 5000)
    check(acc, rng.integers(2**30, 2**31, 5000), rng.integers(-31, 31, 5000))


@pytest.mark.parametrize("right", [1, 2, 5, 11, 20, 30, 31])
@pytest.mark.parametrize("multiplier", [2**30, 2**30 + 1, 3 << 29, 2**31 - 1])
def test_ties_and_their_neighbours_match_the_c_function(multiplier: int, right: int) -> None:
    halves = 2 * np.arange(-40, 41) + 1
    exact = halves * 2.0 ** (right - 1) * 2.0**31 / multiplier
    acc = np.concatenate([np.rint(exact) + d for d in (-2, -1, 0, 1, 2)])
    acc = acc[np.abs(acc) < 2**31].astype(np.int64)
    check(acc, np.full(acc.size, multiplier), np.full(acc.size, -right))


@pytest.mark.quick
@pytest.mark.parametrize("shift", [-31, -1, 0, 1, 7, 30])
def test_extreme_accumulators_match_the_c_function(shift: int) -> None:
    acc = np.array([-(2**31), -(2**31) + 1, -(2**30), -1, 0, 1, 2**30, 2**31 - 1])
    for multiplier in (0, 1, 2**30, 2**31 - 1):
        check(acc, np.full(acc.size, multiplier), np.full(acc.size, shift))


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
def test_the_twin_matches_the_c_function(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(300):
        acc = int(rng.integers(-(2**31), 2**31)) >> int(rng.integers(0, 31))
        row = acc, int(rng.integers(2**30, 2**31)), int(rng.integers(-31, 31))
        assert twins.multiply_by_quantized_multiplier(*row) == multiply_in_c(*row), row


def test_the_zero_point_is_added_in_32_bits() -> None:
    assert requantize_and_clamp(2**31 - 1, 2**31 - 1, 0, 127, -128, 127) == -128
    assert requantize_and_clamp(2**31 - 1, 2**31 - 1, 0, 0, -128, 127) == 127


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (2**30, 1)),
        (0.5, (2**30, 0)),
        (0.75, (3 << 29, 0)),
        # the mantissa rounds up to 2**31, which moves to the exponent
        (math.nextafter(1.0, 0), (2**30, 1)),
        (2.0**-32, (2**30, -31)),
        (math.nextafter(2.0**-32, 0), (2**30, -31)),
        (2.0**-33, (0, 0)),
        (5e-324, (0, 0)),
        (2.0**29, (2**30, 30)),
    ],
)
def test_quantize_multiplier(real: float, expected: tuple[int, int]) -> None:
    assert quantize_multiplier(real) == expected


@pytest.mark.parametrize("real", [-1.0, math.inf, math.nan, 2.0**30])
def test_quantize_multiplier_refuses(real: float) -> None:
    with pytest.raises(ValueError, match=r"multiplier is .*; allowed is"):
        quantize_multiplier(real)


def test_requantize_array_broadcasts() -> None:
    acc = np.arange(-6, 6, dtype=np.int32).reshape(2, 2, 3)
    multiplier, shift = np.full(3, 2**30, np.int32), np.array([0, 1, 2], np.int32)
    expected = np.vectorize(twins.multiply_by_quantized_multiplier)(
        *(a.astype(object) for a in (acc, multiplier, shift))
    )
    np.testing.assert_array_equal(requantize_array(acc, multiplier, shift), expected)


def test_requantize_array_refuses() -> None:
    good = np.zeros(2, np.int32)
    with pytest.raises(ValueError, match="acc is int64; allowed is int32"):
        requantize_array(good.astype(np.int64), good, good)
    with pytest.raises(ValueError, match="shift spans 0 to 31; allowed is -31 to 30"):
        requantize_array(good, good, np.array([0, 31], np.int32))
