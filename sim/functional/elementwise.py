"""ADD of two tensors with their own scales."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.requantize import Integer, multiply_by_quantized_multiplier
from rtl.registers import ErrorCode
from sim.functional.transfer import ADDRESS_MASK

_OK = int(ErrorCode.NONE)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)


@njit(cache=True, nogil=True)
def _scale(value: Integer, zero_point: int, multiplier: int, right_shift: int) -> Integer:
    high = ((value - zero_point) * multiplier + (1 << 10)) >> 11
    if right_shift == 0:
        return high
    return (high + (1 << right_shift - 1) - (1 if high < 0 else 0)) >> right_shift


@njit(cache=True, nogil=True)
def execute_add(scratchpad: NDArray[np.int8], commands: NDArray[Any], row: int) -> int:
    """Execute ADD `commands[row]` on the scratchpad, int8 `[words, C]`; returns an ErrorCode."""
    c = commands[row]
    lanes = scratchpad.shape[1]
    for i in range(c.words):
        first = c.ifm_base + i & ADDRESS_MASK
        second = c.ifm2_base + i & ADDRESS_MASK
        target = c.ofm_base + i & ADDRESS_MASK
        if max(first, second, target) >= len(scratchpad):
            return _SCRATCHPAD_BOUNDS
        for lane in range(lanes):
            total = np.int32(
                _scale(
                    np.int64(scratchpad[first, lane]),
                    c.ifm_zero_point,
                    c.ifm_multiplier,
                    c.ifm_right_shift,
                )
                + _scale(
                    np.int64(scratchpad[second, lane]),
                    c.ifm2_zero_point,
                    c.ifm2_multiplier,
                    c.ifm2_right_shift,
                )
            )
            value = c.ofm_zero_point + multiply_by_quantized_multiplier(
                total, c.ofm_multiplier, c.ofm_shift
            )
            value = min(max(value, c.activation_min), c.activation_max)
            scratchpad[target, lane] = np.int8(value)
    return _OK
