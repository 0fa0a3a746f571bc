"""MEAN and SUM of int8 or int16; REDUCE_MAX, REDUCE_MIN, ARG_MAX and ARG_MIN of int8."""

from collections.abc import Sequence
from math import prod
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    RANGES,
    as_operand,
    check_array,
    check_multiplier,
    check_quantized,
    check_rounding,
    check_zero_point,
)
from kernels.quantization import resolve_axes
from kernels.requantize import Rounding, requantize_and_clamp

Value = TypeVar("Value", np.int8, np.int16)


def mean(
    ifm: NDArray[Value],
    axes: Sequence[int],
    *,
    keep_dims: bool,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Value]:
    """MEAN of `ifm` (any shape) over `axes`, which count from the end when negative.

    `multiplier` and `shift` come from `kernels.quantization.mean_multiplier` for the product of
    the reduced dimensions. Bit-exact with TFLM's `reference_ops::QuantizedMeanOrSum`.
    Raises ValueError for a wrong dtype, an axis that does not exist, or a value out of range.
    """
    dtype = check_quantized("ifm", ifm)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point, dtype)
    ofm_zero_point = check_zero_point("ofm_zero_point", ofm_zero_point, dtype)
    rescale = *check_multiplier(multiplier, shift), check_rounding(rounding)
    reduced = resolve_axes(axes, ifm.ndim)
    kept = [axis for axis in range(ifm.ndim) if axis not in reduced]
    groups = adjacent_groups(ifm.shape, reduced)
    if groups is not None:
        grouped = ifm.reshape(groups)
    else:
        moved = ifm.transpose(*kept, *reduced)
        grouped = moved.reshape(-1, prod(ifm.shape[axis] for axis in reduced), 1)
    ofm = np.empty((grouped.shape[0], grouped.shape[2]), dtype)
    mean_groups(as_operand(grouped), ifm_zero_point, ofm_zero_point, *rescale, *RANGES[dtype], ofm)
    if keep_dims:
        return ofm.reshape([1 if axis in reduced else n for axis, n in enumerate(ifm.shape)])
    return ofm.reshape([ifm.shape[axis] for axis in kept])


def reduce_sum(
    ifm: NDArray[Value],
    axes: Sequence[int],
    *,
    keep_dims: bool,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Value]:
    """SUM, as `mean`, but with `kernels.quantization.rescale_multiplier`: there is no division."""
    return mean(
        ifm,
        axes,
        keep_dims=keep_dims,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
        rounding=rounding,
    )


def reduce_max(ifm: NDArray[np.int8], axes: Sequence[int], *, keep_dims: bool) -> NDArray[np.int8]:
    """REDUCE_MAX of `ifm` (any shape) over `axes`; nothing is rescaled.

    Raises ValueError for a wrong dtype, or an axis that does not exist.
    """
    check_array("ifm", ifm, np.int8)
    reduced = resolve_axes(axes, ifm.ndim)
    return np.asarray(ifm.max(axis=reduced, keepdims=keep_dims))


def reduce_min(ifm: NDArray[np.int8], axes: Sequence[int], *, keep_dims: bool) -> NDArray[np.int8]:
    """REDUCE_MIN, as `reduce_max`."""
    check_array("ifm", ifm, np.int8)
    reduced = resolve_axes(axes, ifm.ndim)
    return np.asarray(ifm.min(axis=reduced, keepdims=keep_dims))


def arg_max(ifm: NDArray[np.int8], axis: int) -> NDArray[np.int32]:
    """ARG_MAX along `axis`, which the result has not: the first index of the largest value.

    Raises ValueError for a wrong dtype, or an axis that does not exist.
    """
    check_array("ifm", ifm, np.int8)
    (axis,) = resolve_axes([axis], ifm.ndim)
    return np.asarray(ifm.argmax(axis)).astype(np.int32)


def arg_min(ifm: NDArray[np.int8], axis: int) -> NDArray[np.int32]:
    """ARG_MIN, as `arg_max`."""
    check_array("ifm", ifm, np.int8)
    (axis,) = resolve_axes([axis], ifm.ndim)
    return np.asarray(ifm.argmin(axis)).astype(np.int32)


def adjacent_groups(
    shape: tuple[int, ...], reduced: tuple[int, ...]
) -> tuple[int, int, int] | None:
    """(Elements before, in and behind the `reduced` axes); None unless these lie side by side."""
    first, last = (min(reduced), max(reduced) + 1) if reduced else (0, 0)
    if last - first != len(reduced):
        return None
    return prod(shape[:first]), prod(shape[first:last]), prod(shape[last:])


@njit(cache=True, nogil=True)
def mean_groups(
    grouped: NDArray[Any],
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    low: int,
    high: int,
    ofm: NDArray[Any],
) -> None:
    outer, count, inner = grouped.shape
    acc = np.empty(inner, np.int32)
    for n in range(outer):
        acc[:] = np.int32(-count * ifm_zero_point)
        for i in range(count):
            for c in range(inner):
                acc[c] = np.int32(acc[c] + np.int32(grouped[n, i, c]))
        for c in range(inner):
            ofm[n, c] = requantize_and_clamp(
                acc[c], multiplier, shift, ofm_zero_point, low, high, rounding
            )
