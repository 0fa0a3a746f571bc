"""Checks of what the kernels are given; every message says what is wrong and what is allowed.

What passes is handed back in one canonical type, so that Numba compiles each kernel only once.
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.quantization import INT8_MAX, INT8_MIN
from kernels.requantize import MAX_SHIFT, MAX_WIDE_SHIFT, MIN_SHIFT, Rounding

Pair = tuple[int, int]
RANGES: dict[Any, Pair] = {
    np.dtype(np.int8): (INT8_MIN, INT8_MAX),
    np.dtype(np.int16): (-(1 << 15), (1 << 15) - 1),
}
"""The least and greatest value of each type of quantized activations."""
Scalar = TypeVar("Scalar", bound=np.generic)


class WindowPlacement(NamedTuple):
    """Where a window moves, each (vertical, horizontal); `padding` is before the first row."""

    stride: Pair
    dilation: Pair
    padding: Pair
    ofm_hw: Pair


def check_array(name: str, array: NDArray[Any], dtype: DTypeLike, rank: int | None = None) -> None:
    """ValueError unless `array` has `dtype`, `rank` dimensions if given, and no empty one."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        given = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"{name} is {given}; allowed is {np.dtype(dtype)}")
    if rank is not None and array.ndim != rank:
        raise ValueError(f"{name} has shape {array.shape}; allowed are {rank} dimensions")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; allowed are dimensions of 1 or more")


def check_quantized(name: str, array: NDArray[Any], rank: int | None = None) -> np.dtype[Any]:
    """The dtype of `array`; ValueError unless it is int8 or int16, otherwise as `check_array`."""
    if not isinstance(array, np.ndarray) or array.dtype not in RANGES:
        given = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"{name} is {given}; allowed are int8, int16")
    check_array(name, array, array.dtype, rank)
    return array.dtype


def as_operand(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """`array` C-contiguous and read-only, so that Numba compiles for one type of array only."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def check_zero_point(name: str, value: int, dtype: DTypeLike = np.int8) -> int:
    """`value` as a Python int; ValueError unless it is in the range of `dtype`, int8 or int16."""
    least, greatest = RANGES[np.dtype(dtype)]
    if not least <= value <= greatest:
        raise ValueError(f"{name} is {value}; allowed is {least} to {greatest}")
    return int(value)


def check_activation(low: int, high: int, dtype: DTypeLike = np.int8) -> Pair:
    """(low, high) as Python ints; ValueError unless they are a range in `dtype`, int8 or int16."""
    least, greatest = RANGES[np.dtype(dtype)]
    if not least <= low <= high <= greatest:
        raise ValueError(
            f"activation range is {low} to {high}; allowed is a range in {least} to {greatest}"
        )
    return int(low), int(high)


def check_pair(name: str, pair: Pair, minimum: int) -> Pair:
    """(vertical, horizontal) as Python ints; ValueError unless both are at least `minimum`."""
    if len(pair) != 2 or min(pair) < minimum:
        raise ValueError(f"{name} is {pair}; allowed are two numbers of {minimum} or more")
    return int(pair[0]), int(pair[1])


def check_multiplier(multiplier: int, shift: int) -> Pair:
    """(multiplier, shift) as Python ints; ValueError unless `quantize_multiplier` can give them."""
    if not 0 <= multiplier < 1 << 31:
        raise ValueError(f"multiplier is {multiplier}; allowed is 0 to 2**31 - 1")
    if not MIN_SHIFT <= shift <= MAX_SHIFT:
        raise ValueError(f"shift is {shift}; allowed is {MIN_SHIFT} to {MAX_SHIFT}")
    return int(multiplier), int(shift)


def check_wide_shift(shift: int) -> None:
    """ValueError when `multiply_by_reduced_multiplier` cannot shift so far to the left."""
    if shift > MAX_WIDE_SHIFT:
        raise ValueError(
            f"shift is {shift}; allowed for an int64 accumulator is at most {MAX_WIDE_SHIFT}"
        )


def check_rounding(rounding: int) -> int:
    """`rounding` as a Python int; ValueError unless it is a `Rounding`."""
    if rounding not in tuple(Rounding):
        raise ValueError(f"rounding is {rounding!r}; allowed are {', '.join(map(str, Rounding))}")
    return int(rounding)


def check_bias(bias: NDArray[np.int32] | None, channels: int) -> NDArray[np.int32]:
    """`bias`, or zeros in its place; ValueError unless int32 of shape (channels,)."""
    if bias is None:
        return as_operand(np.zeros(channels, np.int32))
    check_array("bias", bias, np.int32, 1)
    if bias.size != channels:
        raise ValueError(f"bias has {bias.size} values; allowed is one per channel: {channels}")
    return as_operand(bias)


def check_channels(ifm_channels: int, ofm_channels: int, group_channels: int) -> int:
    """The number of groups; ValueError when the channels do not divide into groups."""
    groups = ifm_channels // group_channels
    if ifm_channels % group_channels or ofm_channels % groups:
        raise ValueError(
            f"weights take {group_channels} channels to {ofm_channels}; allowed for an IFM of "
            f"{ifm_channels} channels are divisors of it with OFM channels a multiple of the groups"
        )
    return groups


def check_placement(
    ifm_hw: Pair, kernel: Pair, stride: Pair, dilation: Pair, padding: Pair, ofm_hw: Pair
) -> WindowPlacement:
    """The window's attributes as Python ints; ValueError unless each window touches the IFM."""
    stride, dilation = check_pair("stride", stride, 1), check_pair("dilation", dilation, 1)
    padding, ofm_hw = check_pair("padding", padding, 0), check_pair("ofm_hw", ofm_hw, 1)
    for axis, name in enumerate(("vertical", "horizontal")):
        extent = (kernel[axis] - 1) * dilation[axis] + 1
        if padding[axis] >= extent:
            raise ValueError(
                f"{name} padding is {padding[axis]}; allowed is less than the window's {extent}"
            )
        most = (ifm_hw[axis] + padding[axis] - 1) // stride[axis] + 1
        if ofm_hw[axis] > most:
            raise ValueError(f"{name} OFM size is {ofm_hw[axis]}; allowed is at most {most}")
    return WindowPlacement(stride, dilation, padding, ofm_hw)
