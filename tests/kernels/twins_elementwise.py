"""Plain-Python twins of SUB, MUL, MAXIMUM, MINIMUM and PRELU; see `tests.kernels.twins`."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.kernels.twins import multiply_by_quantized_multiplier, output


def _each(
    a: NDArray[np.int8], b: NDArray[np.int8], function: Callable[[int, int], int]
) -> NDArray[np.int8]:
    ofm = np.empty(np.broadcast_shapes(a.shape, b.shape), np.int8)
    wide_a, wide_b = np.broadcast_to(a, ofm.shape), np.broadcast_to(b, ofm.shape)
    for index in np.ndindex(ofm.shape):
        ofm[index] = function(int(wide_a[index]), int(wide_b[index]))
    return ofm


def sub(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: Any,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int8]:
    """SUB."""
    p = parameters

    def one(x: int, y: int) -> int:
        minuend = multiply_by_quantized_multiplier(
            (x - a_zero_point) * 2**20, p.multiplier_a, p.shift_a
        )
        subtrahend = multiply_by_quantized_multiplier(
            (y - b_zero_point) * 2**20, p.multiplier_b, p.shift_b
        )
        return output(
            minuend - subtrahend,
            p.multiplier,
            p.shift,
            ofm_zero_point,
            activation_min,
            activation_max,
        )

    return _each(a, b, one)


def mul(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int8]:
    """MUL."""

    def one(x: int, y: int) -> int:
        product = (x - a_zero_point) * (y - b_zero_point)
        return output(product, multiplier, shift, ofm_zero_point, activation_min, activation_max)

    return _each(a, b, one)


def maximum(a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
    """MAXIMUM."""
    return _each(a, b, max)


def minimum(a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
    """MINIMUM."""
    return _each(a, b, min)


def prelu(
    ifm: NDArray[np.int8],
    alpha: NDArray[np.int8],
    *,
    ifm_zero_point: int,
    alpha_zero_point: int,
    ofm_zero_point: int,
    parameters: Any,
) -> NDArray[np.int8]:
    """PRELU."""
    p = parameters

    def one(x: int, slope: int) -> int:
        value = x - ifm_zero_point
        if value >= 0:
            return output(value, p.multiplier, p.shift, ofm_zero_point, -128, 127)
        product = value * (slope - alpha_zero_point)
        return output(product, p.multiplier_alpha, p.shift_alpha, ofm_zero_point, -128, 127)

    return _each(ifm, alpha, one)
