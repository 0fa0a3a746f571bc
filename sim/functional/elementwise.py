"""ELEMENTWISE: functions of two tensors, word by word, and the lookup table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import Integer, Rounding, multiply_by_quantized_multiplier
from rtl.isa import Function
from rtl.registers import ErrorCode
from sim.functional.transfer import ADDRESS_MASK
from sim.jit import entry, jit, larger, smaller

_OK = int(ErrorCode.NONE)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)
_ADD, _SUB, _MUL = int(Function.ADD), int(Function.SUB), int(Function.MUL)
_MAXIMUM, _MINIMUM = int(Function.MAXIMUM), int(Function.MINIMUM)
_DOUBLE, _SINGLE = int(Rounding.DOUBLE), int(Rounding.SINGLE)


@jit
def _scale(difference: Integer, multiplier: int, right_shift: int, rounding: int) -> Integer:
    product = difference * multiplier
    if rounding == _SINGLE:
        return (product + (1 << 10 + right_shift)) >> 11 + right_shift
    high = (product + (1 << 10)) >> 11
    if right_shift == 0:
        return high
    downwards = 1 if rounding == _DOUBLE and high < 0 else 0
    return (high + (1 << right_shift - 1) - downwards) >> right_shift


@jit
def _combine(
    a: Integer, b: Integer, table: NDArray[np.int8], commands: NDArray[Any], row: int, rounding: int
) -> Integer:
    """The function of two elements, before it is requantized."""
    c = commands[row]
    if c.function == _ADD or c.function == _SUB:
        first, second = a - c.ifm_zero_point, b - c.ifm2_zero_point
        if c.scale_second:
            first <<= 19
            second = _scale(second, c.operand_multiplier, c.operand_right_shift, rounding)
        else:
            first = _scale(first, c.operand_multiplier, c.operand_right_shift, rounding)
            second <<= 19
        return np.int64(np.int32(first + second if c.function == _ADD else first - second))
    if c.function == _MUL:
        return np.int64((a - c.ifm_zero_point) * (b - c.ifm2_zero_point))
    if c.function == _MAXIMUM:
        return a if a > b else b
    if c.function == _MINIMUM:
        return a if a < b else b
    return np.int64(table[a & 0xFF])


@entry
def execute_elementwise(
    scratchpad: NDArray[np.int8],
    table: NDArray[np.int8],
    commands: NDArray[Any],
    row: int,
    rounding: int,
) -> int:
    """Execute ELEMENTWISE `commands[row]`; returns an ErrorCode, NONE when all is well.

    Shapes, with C lanes: scratchpad `[words, C]`, table `[256]`. `rounding` : a `Rounding`.
    """
    c = commands[row]
    lanes = scratchpad.shape[1]
    for i in range(c.words):
        first = c.ifm_base + i & ADDRESS_MASK
        second = c.ifm2_base + (0 if c.ifm2_repeat else i) & ADDRESS_MASK
        target = c.ofm_base + i & ADDRESS_MASK
        if larger(larger(first, second), target) >= scratchpad.shape[0]:
            return _SCRATCHPAD_BOUNDS
        for lane in range(lanes):
            a, b = np.int64(scratchpad[first, lane]), np.int64(scratchpad[second, lane])
            value = c.ofm_zero_point + multiply_by_quantized_multiplier(
                _combine(a, b, table, commands, row, rounding),
                c.ofm_multiplier,
                c.ofm_shift,
                rounding,
            )
            value = smaller(larger(value, c.activation_min), c.activation_max)
            scratchpad[target, lane] = np.int8(value)
    return _OK
