"""ADD, int8, with broadcasting."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    as_operand,
    check_activation,
    check_array,
    check_multiplier,
    check_zero_point,
)
from kernels.quantization import ADD_LEFT_SHIFT, AddParameters
from kernels.requantize import multiply_by_quantized_multiplier, requantize_to_int8


def add(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int8]:
    """ADD of `a` and `b`, int8 of shapes that broadcast together, to the broadcast shape.

    `parameters` come from `kernels.quantization.add_parameters`. Bit-exact with TFLM's
    `reference_integer_ops::Add`.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    check_array("a", a, np.int8)
    check_array("b", b, np.int8)
    a_zero_point = check_zero_point("a_zero_point", a_zero_point)
    b_zero_point = check_zero_point("b_zero_point", b_zero_point)
    ofm_zero_point = check_zero_point("ofm_zero_point", ofm_zero_point)
    low, high = check_activation(activation_min, activation_max)
    p = parameters
    rescale_a = check_multiplier(p.multiplier_a, p.shift_a)
    rescale_b = check_multiplier(p.multiplier_b, p.shift_b)
    rescale = check_multiplier(p.multiplier, p.shift)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"inputs have shapes {a.shape} and {b.shape}; allowed are shapes that broadcast"
        ) from None
    ofm = np.empty(shape, np.int8)
    _add(
        as_operand(np.broadcast_to(a, shape).reshape(-1)),
        as_operand(np.broadcast_to(b, shape).reshape(-1)),
        _rescale_table(a_zero_point, *rescale_a),
        _rescale_table(b_zero_point, *rescale_b),
        ofm_zero_point,
        *rescale,
        low,
        high,
        ofm.reshape(-1),
    )
    return ofm


@njit(cache=True, nogil=True)
def _rescale_table(zero_point: int, multiplier: int, shift: int) -> NDArray[np.int32]:
    """Every int8 (index + 128) on the common scale."""
    table = np.empty(256, np.int32)
    for index in range(256):
        value = np.int64(index - 128 - zero_point) << ADD_LEFT_SHIFT
        table[index] = np.int32(multiply_by_quantized_multiplier(value, multiplier, shift))
    return table


@njit(cache=True, nogil=True)
def _add(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    table_a: NDArray[np.int32],
    table_b: NDArray[np.int32],
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    low: int,
    high: int,
    ofm: NDArray[np.int8],
) -> None:
    for i in range(ofm.size):
        total = table_a[np.int64(a[i]) + 128] + table_b[np.int64(b[i]) + 128]
        ofm[i] = requantize_to_int8(total, multiplier, shift, ofm_zero_point, low, high)
