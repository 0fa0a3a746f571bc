"""CUMSUM and ADD_N of int8: sums of values of one quantization, rescaled to another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernels.checks import check_array, check_zero_point
from kernels.quantization import INT8_MAX, INT8_MIN, AddParameters
from kernels.requantize import Rounding, requantize_array


def cumsum(
    ifm: NDArray[np.int8],
    axis: int,
    *,
    exclusive: bool,
    reverse: bool,
    ifm_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """CUMSUM along `axis`; `exclusive` leaves out the value itself, `reverse` sums from the end.

    `parameters` come from `kernels.quantization.add_parameters` with the IFM's scale twice.
    Bit-exact with TFLM's `reference_ops::CumSum`, which begins with `-ifm_zero_point` instead of 0,
    and whose sums wrap at 32 bits.
    Raises ValueError for a wrong dtype or value, or an axis that does not exist.
    """
    check_array("ifm", ifm, np.int8)
    if not -ifm.ndim <= axis < ifm.ndim:
        raise ValueError(f"axis is {axis}; allowed is {-ifm.ndim} to {ifm.ndim - 1}")
    values = np.moveaxis(ifm, axis, 0)
    if reverse:
        values = values[::-1]
    wide = _widened(values, ifm_zero_point, parameters, rounding)
    first = _widened(np.zeros((), np.int8), ifm_zero_point, parameters, rounding)
    sums = np.cumsum(wide, axis=0, dtype=np.int32) + first
    if exclusive:
        sums = np.concatenate([np.broadcast_to(first, sums[:1].shape), sums[:-1]])
    if reverse:
        sums = sums[::-1]
    ofm = _narrowed(sums, ofm_zero_point, parameters, rounding)
    return np.ascontiguousarray(np.moveaxis(ofm, 0, axis))


def add_n(
    parts: Sequence[NDArray[np.int8]],
    *,
    ifm_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """ADD_N: the sum of `parts`, which have one shape and one quantization.

    `parameters` come from `kernels.quantization.add_parameters` with the IFM's scale twice.
    Bit-exact with TFLM's `reference_ops::AddN`, which begins with `-ifm_zero_point` instead of 0,
    and whose sums wrap at 32 bits.
    Raises ValueError for a wrong dtype or value, or shapes that differ.
    """
    shapes = sorted({part.shape for part in parts})
    if len(shapes) != 1:
        raise ValueError(f"parts have shapes {shapes}; allowed is one shape")
    total = _widened(np.zeros((), np.int8), ifm_zero_point, parameters, rounding)
    for part in parts:
        check_array("part", part, np.int8)
        total = total + _widened(part, ifm_zero_point, parameters, rounding)
    return _narrowed(total, ofm_zero_point, parameters, rounding)


def _widened(
    x: NDArray[np.int8], zero_point: int, parameters: AddParameters, rounding: Rounding
) -> NDArray[np.int32]:
    offset = x.astype(np.int32) - np.int32(check_zero_point("ifm_zero_point", zero_point))
    multiplier, shift = np.int32(parameters.multiplier_a), np.int32(parameters.shift_a)
    return requantize_array(
        np.asarray(offset << parameters.left_shift),
        np.asarray(multiplier),
        np.asarray(shift),
        rounding=rounding,
    )


def _narrowed(
    x: NDArray[np.int32], zero_point: int, parameters: AddParameters, rounding: Rounding
) -> NDArray[np.int8]:
    multiplier, shift = np.int32(parameters.multiplier), np.int32(parameters.shift)
    scaled = requantize_array(
        np.ascontiguousarray(x), np.asarray(multiplier), np.asarray(shift), rounding=rounding
    )
    shifted = scaled + np.int32(check_zero_point("ofm_zero_point", zero_point))
    clamped: NDArray[np.int8] = np.clip(shifted, INT8_MIN, INT8_MAX).astype(np.int8)
    return clamped
