"""Checks of what the kernels are given; every message says what is wrong and what is allowed."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.quantization import INT8_MAX, INT8_MIN
from kernels.requantize import MAX_SHIFT, MIN_SHIFT

Pair = tuple[int, int]


def check_array(name: str, array: NDArray[Any], dtype: DTypeLike, rank: int | None = None) -> None:
    """ValueError unless `array` has `dtype`, `rank` dimensions if given, and no empty one."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        given = getattr(array, "dtype", type(array).__name__)
        raise ValueError(f"{name} is {given}; allowed is {np.dtype(dtype)}")
    if rank is not None and array.ndim != rank:
        raise ValueError(f"{name} has shape {array.shape}; allowed are {rank} dimensions")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; allowed are dimensions of 1 or more")


def check_zero_point(name: str, value: int) -> None:
    """ValueError unless `value` is an int8."""
    if not INT8_MIN <= value <= INT8_MAX:
        raise ValueError(f"{name} is {value}; allowed is {INT8_MIN} to {INT8_MAX}")


def check_activation(low: int, high: int) -> None:
    """ValueError unless [low, high] is a range in int8."""
    if not INT8_MIN <= low <= high <= INT8_MAX:
        raise ValueError(
            f"activation range is {low} to {high}; allowed is a range in {INT8_MIN} to {INT8_MAX}"
        )


def check_pair(name: str, pair: Pair, minimum: int) -> None:
    """ValueError unless `pair` is (vertical, horizontal), both at least `minimum`."""
    if len(pair) != 2 or min(pair) < minimum:
        raise ValueError(f"{name} is {pair}; allowed are two numbers of {minimum} or more")


def check_scalar_multiplier(multiplier: int, shift: int) -> None:
    """ValueError unless (multiplier, shift) is what `quantize_multiplier` can give."""
    if not 0 <= multiplier < 1 << 31:
        raise ValueError(f"multiplier is {multiplier}; allowed is 0 to 2**31 - 1")
    if not MIN_SHIFT <= shift <= MAX_SHIFT:
        raise ValueError(f"shift is {shift}; allowed is {MIN_SHIFT} to {MAX_SHIFT}")


def check_output_stage(
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    channels: int,
    activation_min: int,
    activation_max: int,
) -> None:
    """ValueError unless there are a legal multiplier and shift per channel, and a legal range."""
    for name, array in (("multiplier", multiplier), ("shift", shift)):
        check_array(name, array, np.int32, 1)
        if array.size != channels:
            raise ValueError(
                f"{name} has {array.size} values; allowed is one per channel: {channels}"
            )
    check_scalar_multiplier(int(multiplier.min()), int(shift.min()))
    check_scalar_multiplier(int(multiplier.max()), int(shift.max()))
    check_activation(activation_min, activation_max)


def check_bias(bias: NDArray[np.int32] | None, channels: int) -> NDArray[np.int32]:
    """`bias`, or zeros in its place; ValueError unless int32 of shape (channels,)."""
    if bias is None:
        return np.zeros(channels, np.int32)
    check_array("bias", bias, np.int32, 1)
    if bias.size != channels:
        raise ValueError(f"bias has {bias.size} values; allowed is one per channel: {channels}")
    return np.ascontiguousarray(bias)


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
) -> None:
    """ValueError unless every window of the OFM touches the IFM."""
    check_pair("ofm_hw", ofm_hw, 1)
    check_pair("padding", padding, 0)
    for axis, name in enumerate(("vertical", "horizontal")):
        extent = (kernel[axis] - 1) * dilation[axis] + 1
        if padding[axis] >= extent:
            raise ValueError(
                f"{name} padding is {padding[axis]}; allowed is less than the window's {extent}"
            )
        most = (ifm_hw[axis] + padding[axis] - 1) // stride[axis] + 1
        if ofm_hw[axis] > most:
            raise ValueError(f"{name} OFM size is {ofm_hw[axis]}; allowed is at most {most}")
