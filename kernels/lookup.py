"""Int8 functions of one int8 (LOGISTIC, TANH, HARD_SWISH, ...) as tables of all 256 results.

Each table holds what TFLM computes for each value, whichever way it computes it. A table is int8 of
shape (256,), and entry `value + 128` is the result for `value`.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import as_operand, check_array, check_rounding, check_zero_point
from kernels.fixed_point import INT32_MAX, logistic, round_shift, tanh
from kernels.quantization import (
    INT8_MAX,
    INT8_MIN,
    activation_range,
    rescale_multiplier,
    scale_float32,
)
from kernels.requantize import (
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    split_multiplier,
)

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
# LOGISTIC and TANH take their argument as Q4.27
ARGUMENT_INTEGER_BITS = 4


class Scales(NamedTuple):
    """The quantization of IFM and OFM (scales exact in float32), and how rescaling rounds."""

    ifm: float
    ifm_zero_point: int
    ofm: float
    ofm_zero_point: int
    rounding: int


Function = Callable[[int], int]


@lru_cache(maxsize=256)
def unary_table(
    kind: str,
    *,
    ifm_scale: float,
    ifm_zero_point: int,
    ofm_scale: float,
    ofm_zero_point: int,
    alpha: float = 0.0,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """The table of an operator of one of `UNARY_KINDS`, read-only.

    `alpha` is the slope of LEAKY_RELU. Bit-exact with TFLM, which ignores the OFM's quantization
    for RELU6 and TANH, and its scale for LOGISTIC. `rounding` matters where TFLM rescales with
    `MultiplyByQuantizedMultiplier`: RELU, ABS, LEAKY_RELU and QUANTIZE.
    Raises ValueError for another kind or rounding, for a bad scale, zero point or alpha, and for
    what TFLM refuses or leaves undefined.
    """
    if kind not in _FUNCTIONS:
        raise ValueError(f"kind is {kind!r}; allowed are {', '.join(UNARY_KINDS)}")
    if not math.isfinite(alpha):
        raise ValueError(f"alpha is {alpha}; allowed is a finite number")
    scales = Scales(
        scale_float32(ifm_scale, "IFM scale"),
        check_zero_point("ifm_zero_point", ifm_zero_point),
        scale_float32(ofm_scale, "OFM scale"),
        check_zero_point("ofm_zero_point", ofm_zero_point),
        check_rounding(rounding),
    )
    function = _FUNCTIONS[kind](scales, alpha)
    results = [min(max(function(value), INT8_MIN), INT8_MAX) for value in range(-128, 128)]
    table = np.array(results, np.int8)
    table.flags.writeable = False
    return table


def apply_table(ifm: NDArray[np.int8], table: NDArray[np.int8]) -> NDArray[np.int8]:
    """The entry of `table` for every value of `ifm` (any shape).

    Raises ValueError for a wrong dtype, or a table of another shape than (256,).
    """
    check_array("ifm", ifm, np.int8)
    check_array("table", table, np.int8, 1)
    if table.size != 256:
        raise ValueError(f"table has {table.size} entries; allowed is 256")
    ofm = np.empty(ifm.shape, np.int8)
    look_up(as_operand(ifm.reshape(-1)), as_operand(table), ofm.reshape(-1))
    return ofm


@njit(cache=True, nogil=True)
def look_up(ifm: NDArray[np.int8], table: NDArray[Any], ofm: NDArray[np.int8]) -> None:
    for i in range(ifm.size):
        ofm[i] = table[np.int64(ifm[i]) + 128]


def _multiply(value: int, multiplier: tuple[int, int], rounding: int) -> int:
    return int(multiply_by_quantized_multiplier(value, *multiplier, rounding))


def _requantize(scales: Scales, _: float) -> Function:
    multiplier = rescale_multiplier(scales.ifm, scales.ofm)

    def function(x: int) -> int:
        scaled = _multiply(x - scales.ifm_zero_point, multiplier, scales.rounding)
        return scaled + scales.ofm_zero_point

    return function


def _relu(scales: Scales, _: float) -> Function:
    low, high = activation_range("RELU", scales.ofm, scales.ofm_zero_point)
    rescaled = _requantize(scales, _)
    return lambda x: min(max(rescaled(x), low), high)


def _relu6(scales: Scales, _: float) -> Function:
    # `Relu6Quantized` clamps its input, and rescales nothing
    _, six = activation_range("RELU6", scales.ifm, scales.ifm_zero_point)
    return lambda x: min(max(x, scales.ifm_zero_point), six)


def _abs(scales: Scales, _: float) -> Function:
    multiplier = rescale_multiplier(scales.ifm, scales.ofm)

    def function(x: int) -> int:
        magnitude = abs(x - scales.ifm_zero_point)
        if scales.ifm != scales.ofm:
            magnitude = _multiply(magnitude, multiplier, scales.rounding)
        return magnitude + scales.ofm_zero_point

    return function


def _leaky_relu(scales: Scales, alpha: float) -> Function:
    slope = scales.ifm * float(np.float32(alpha)) / scales.ofm
    identity = rescale_multiplier(scales.ifm, scales.ofm)
    multiplier, shift = quantize_multiplier(abs(slope))
    negative = (-multiplier if slope < 0 else multiplier, shift)

    def function(x: int) -> int:
        value = x - scales.ifm_zero_point
        scaled = _multiply(value, identity if value >= 0 else negative, scales.rounding)
        return scaled + scales.ofm_zero_point

    return function


def _elu(scales: Scales, _: float) -> Function:
    # float32 throughout, but for the exponential, which C rounds to float32 correctly
    ifm, zero_point = np.float32(scales.ifm), np.float32(scales.ofm_zero_point)
    inverse = np.float32(1) / np.float32(scales.ofm)

    def function(x: int) -> int:
        value = ifm * np.float32(x - scales.ifm_zero_point)
        if value < 0:
            value = np.float32(math.exp(value)) - np.float32(1)
        scaled = float(value * inverse)
        rounded = np.float32(math.copysign(math.floor(abs(scaled) + 0.5), scaled))
        quantized = rounded + zero_point
        if not abs(quantized) < 2.0**31:
            raise ValueError(f"IFM scale over OFM scale is {scales.ifm / scales.ofm}; too large")
        return int(quantized)

    return function


def _argument(scales: Scales) -> tuple[tuple[int, int], int]:
    """(Multiplier and shift to Q4.27, the difference from which the function is constant)."""
    fraction_bits = 31 - ARGUMENT_INTEGER_BITS
    real = scales.ifm * 2.0**fraction_bits
    if real < 0.5:
        raise ValueError(
            f"IFM scale is {scales.ifm}; allowed is {2.0 ** -(fraction_bits + 1)} or more"
        )
    multiplier, shift = split_multiplier(real)
    largest = ((1 << ARGUMENT_INTEGER_BITS) - 1) * 2.0**fraction_bits
    return (multiplier, shift), math.floor(largest / 2.0**shift)


def _saturating(
    scales: Scales, function: Callable[[int], np.int64], fraction_bits: int, zero_point: int
) -> Function:
    multiplier, radius = _argument(scales)

    def result(x: int) -> int:
        difference = x - scales.ifm_zero_point
        if abs(difference) >= radius:
            return INT8_MAX if difference > -radius else INT8_MIN
        exact = function(_multiply(difference, multiplier, scales.rounding))
        return int(round_shift(exact, 31 - fraction_bits)) + zero_point

    return result


def _logistic(scales: Scales, _: float) -> Function:
    if scales.ofm_zero_point != INT8_MIN:
        raise ValueError(f"ofm_zero_point is {scales.ofm_zero_point}; allowed is {INT8_MIN}")
    return _saturating(scales, logistic, 8, INT8_MIN)


def _tanh(scales: Scales, _: float) -> Function:
    return _saturating(scales, tanh, 7, 0)


def _hard_swish(scales: Scales, _: float) -> Function:
    # x * relu6(x + 3) / 6 in 16 bits, the input with 7 more bits
    ifm = scales.ifm / 128
    multiplier, exponent = _int16_multiplier(ifm / scales.ofm)
    reluish_multiplier, reluish_exponent = _int16_multiplier(ifm / (3 / 32768))
    if exponent > 0:
        raise ValueError(
            f"OFM scale is {scales.ofm}; allowed for IFM scale {scales.ifm} is more than "
            f"{scales.ifm / 128}"
        )

    def function(x: int) -> int:
        value = (x - scales.ifm_zero_point) * 128
        reluish = value
        if reluish_exponent > 0:
            reluish = _saturate16(reluish << (reluish_exponent - 1))
        reluish = _high_product16(reluish, reluish_multiplier)
        if reluish_exponent > 0:
            reluish = _saturate16(reluish << 1)
        elif reluish_exponent < 0:
            reluish = _round_shift16(reluish, -reluish_exponent)
        # from [-1, 1] to [0, 1]
        gate = (reluish + (1 << 15)) >> 1
        product = gate * _high_product16(value, multiplier)
        # C's division, towards zero
        high = product >> 15 if product >= 0 else -(-product >> 15)
        return _round_shift16(high, -exponent) + scales.ofm_zero_point

    return function


def _int16_multiplier(real: float) -> tuple[int, int]:
    multiplier, shift = quantize_multiplier(real)
    if multiplier >= INT32_MAX - (1 << 15):
        return INT16_MAX, shift
    return (multiplier + (1 << 15)) >> 16, shift


def _saturate16(x: int) -> int:
    return min(max(x, INT16_MIN), INT16_MAX)


def _high_product16(a: int, b: int) -> int:
    """Rounding doubling high multiply of an int16 and a positive int16."""
    return (a * b + (1 << 14)) >> 15


def _round_shift16(x: int, exponent: int) -> int:
    """Division by `2**exponent`; gemmlowp's mask has 16 bits, too few for exponents from 16 on."""
    if exponent > 15:
        return 1 if x >= 0 else -1
    return int(round_shift(x, exponent))


_FUNCTIONS: dict[str, Callable[[Scales, float], Function]] = {
    "ABS": _abs,
    "ELU": _elu,
    "HARD_SWISH": _hard_swish,
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _logistic,
    "QUANTIZE": _requantize,
    "RELU": _relu,
    "RELU6": _relu6,
    "TANH": _tanh,
}

UNARY_KINDS: tuple[str, ...] = tuple(_FUNCTIONS)
"""The operators of which `unary_table` makes tables."""
