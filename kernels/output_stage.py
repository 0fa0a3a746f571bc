"""How an accumulator becomes an output, all channels alike or each by a scale of its own."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from kernels.checks import (
    as_operand,
    check_activation,
    check_array,
    check_multiplier,
    check_rounding,
    check_zero_point,
)
from kernels.requantize import (
    MAX_SHIFT,
    MIN_SHIFT,
    Integer,
    Rounding,
    multiply_by_reduced_multiplier,
    requantize_and_clamp,
)


class OutputStage(NamedTuple):
    """What follows the sums of an operator with weights.

    Parameters
    ----------
    multiplier, shift : the rescaling (Q31 mantissa and exponent) of each output channel, int32 of
        shape (channels,); `kernels.quantization.conv_multipliers` makes them.
    zero_point : of the output.
    low, high : the range to which a fused activation clamps it, see
        `kernels.quantization.activation_range`.
    rounding : how the rescaled accumulator is rounded.
    """

    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    zero_point: int
    low: int
    high: int
    rounding: int = Rounding.DOUBLE


def check_output_stage(
    stage: OutputStage, channels: int, dtype: DTypeLike = np.int8
) -> OutputStage:
    """`stage` in the types that compiled kernels take.

    ValueError unless there are a legal multiplier and shift for each of the `channels`, int32, a
    range and a zero point in `dtype` (int8 or int16), and a legal rounding.
    """
    for name, array in (("multiplier", stage.multiplier), ("shift", stage.shift)):
        check_array(name, array, np.int32, 1)
        if array.size != channels:
            raise ValueError(
                f"{name} has {array.size} values; allowed is one per channel: {channels}"
            )
    multiplier, shift = as_operand(stage.multiplier), as_operand(stage.shift)
    illegal = _first_illegal(multiplier, shift)
    if illegal >= 0:
        check_multiplier(int(multiplier[illegal]), int(shift[illegal]))
    return OutputStage(
        multiplier,
        shift,
        check_zero_point("ofm_zero_point", stage.zero_point, dtype),
        *check_activation(stage.low, stage.high, dtype),
        check_rounding(stage.rounding),
    )


@njit(cache=True, nogil=True)
def _first_illegal(multiplier: NDArray[np.int32], shift: NDArray[np.int32]) -> int:
    for i in range(multiplier.size):
        if multiplier[i] < 0 or shift[i] < MIN_SHIFT or shift[i] > MAX_SHIFT:
            return i
    return -1


@njit(cache=True, nogil=True)
def output_value(acc: Integer, channel: int, stage: OutputStage) -> np.int64:
    """The output of an int32 accumulator."""
    return requantize_and_clamp(
        acc,
        stage.multiplier[channel],
        stage.shift[channel],
        stage.zero_point,
        stage.low,
        stage.high,
        stage.rounding,
    )


@njit(cache=True, nogil=True)
def wide_output_value(acc: Integer, channel: int, stage: OutputStage) -> np.int64:
    """The output of an int64 accumulator, at zero point 0; rounds as its multiplier does."""
    value = multiply_by_reduced_multiplier(acc, stage.multiplier[channel], stage.shift[channel])
    return min(max(value, np.int64(stage.low)), np.int64(stage.high))
