"""LOG_SOFTMAX of int8, over the last dimension."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import as_operand, check_array, check_rounding
from kernels.fixed_point import (
    INT32_MAX,
    exp_on_negative,
    high_product,
    one_over_one_plus,
    round_shift,
    saturate,
)
from kernels.quantization import INT8_MAX, INT8_MIN, SOFTMAX_INTEGER_BITS, softmax_parameters
from kernels.requantize import (
    Integer,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)

INT32_MIN = -(1 << 31)
# sums of exponentials are Q12.19, logarithms Q5.26, the output Q4.4
SUM_INTEGER_BITS, OUTPUT_INTEGER_BITS = np.int64(12), np.int64(4)
LOG_2, SQRT_HALF, SQRT_SQRT_HALF = map(np.int64, (1488522236, 1518500250, 1805811301))
# the rational function that approximates the logarithm around the fourth root of 1/2, in Q0.31
ALPHA_N, ALPHA_D, ALPHA_I, ALPHA_F = map(np.int64, (117049297, 127690142, 1057819769, 638450708))


class LogSoftmaxParameters(NamedTuple):
    """Input differences to Q5.26 and back; differences up to `diff_min` do not count."""

    multiplier: int
    shift: int
    inverse_multiplier: int
    inverse_shift: int
    diff_min: int


def log_softmax_parameters(ifm_scale: float) -> LogSoftmaxParameters:
    """Rescaling of LOG_SOFTMAX. Source: `PreprocessLogSoftmaxScalingExp`.

    Raises ValueError for a scale of 2**-26 and less, which TFLM cannot invert.
    """
    forward = softmax_parameters(1.0, ifm_scale)
    real = 2.0 ** (31 - forward.shift) / forward.multiplier
    if real >= 1:
        raise ValueError(f"IFM scale is {ifm_scale}; allowed is more than {2.0**-26}")
    return LogSoftmaxParameters(
        forward.multiplier, forward.shift, *quantize_multiplier(real), forward.diff_min
    )


def log_softmax(
    ifm: NDArray[np.int8],
    *,
    parameters: LogSoftmaxParameters,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """LOG_SOFTMAX over the last dimension; the OFM's scale is 1/16, its zero point 127.

    Bit-exact with TFLM's `reference_ops::LogSoftmax`.
    Raises ValueError for a wrong dtype, or a scalar.
    """
    check_array("ifm", ifm, np.int8)
    if ifm.ndim == 0:
        raise ValueError("ifm is a scalar; allowed are 1 or more dimensions")
    ofm = np.empty(ifm.shape, np.int8)
    shape = -1, ifm.shape[-1]
    _log_softmax(
        as_operand(ifm.reshape(shape)), parameters, check_rounding(rounding), ofm.reshape(shape)
    )
    return ofm


@njit(cache=True, nogil=True)
def _log_softmax(
    ifm: NDArray[np.int8], parameters: LogSoftmaxParameters, rounding: int, ofm: NDArray[np.int8]
) -> None:
    multiplier, shift = parameters.multiplier, parameters.shift
    rows, channels = ifm.shape
    for row in range(rows):
        greatest = np.int64(ifm[row, 0])
        for channel in range(channels):
            greatest = max(greatest, np.int64(ifm[row, channel]))
        total = np.int64(0)
        for channel in range(channels):
            difference = np.int64(ifm[row, channel]) - greatest
            if difference >= parameters.diff_min:
                scaled = multiply_by_quantized_multiplier(difference, multiplier, shift, rounding)
                exponential = exp_on_negative(scaled, np.int64(SOFTMAX_INTEGER_BITS))
                total += round_shift(exponential, SUM_INTEGER_BITS)
        log_total = _logarithm(total)
        least = max(
            np.int64(parameters.diff_min - 1),
            multiply_by_quantized_multiplier(
                log_total + INT32_MIN,
                parameters.inverse_multiplier,
                parameters.inverse_shift,
                rounding,
            ),
        )
        for channel in range(channels):
            difference = np.int64(ifm[row, channel]) - greatest
            value = np.int64(INT8_MIN)
            if difference > least:
                scaled = multiply_by_quantized_multiplier(difference, multiplier, shift, rounding)
                fraction_bits = 31 - SOFTMAX_INTEGER_BITS - OUTPUT_INTEGER_BITS
                value = round_shift(scaled - log_total, fraction_bits) + INT8_MAX
            ofm[row, channel] = min(max(value, np.int64(INT8_MIN)), np.int64(INT8_MAX))


@njit(cache=True, nogil=True)
def _logarithm(x: Integer) -> np.int64:
    """log of `x` >= 1 in Q12.19, as Q5.26.

    Source: `log_x_for_x_greater_than_or_equal_to_1_impl`, which accumulates in Q6.25: `x` is a
    power of 2 times `r` around the fourth root of 1/2, on either side of which it has one formula.
    """
    fraction_bits = 30 - SOFTMAX_INTEGER_BITS
    quarter = np.int64(1) << (fraction_bits - 2)
    above = _leading_zeros(x)
    r_above = _shift_left(high_product(_shift_left(x, above - 1), SQRT_HALF), 1)
    power_above = _shift_left(SUM_INTEGER_BITS - above, fraction_bits) + quarter
    below = _leading_zeros(high_product(x, SQRT_HALF)) - 1
    r_below = _shift_left(x, below)
    power_below = _shift_left(SUM_INTEGER_BITS - below, fraction_bits) - quarter
    r, power = min(r_above, r_below), max(power_above, power_below)

    total = r + SQRT_SQRT_HALF
    mean = (total + 1) >> 1
    q = (r - SQRT_SQRT_HALF) * 2
    square = high_product(q, q)
    numerator = high_product(q, r) + high_product(high_product(q, square), ALPHA_N)
    denominator = high_product(mean, ALPHA_I + q + high_product(ALPHA_D, square)) + high_product(
        ALPHA_F, q
    )
    ratio = high_product(
        round_shift(numerator, np.int64(SOFTMAX_INTEGER_BITS + 1)), one_over_one_plus(denominator)
    )
    return saturate((high_product(power, LOG_2) + ratio) << 1)


@njit(cache=True, nogil=True)
def _leading_zeros(x: Integer) -> int:
    """Of a positive int32."""
    count = 32
    value = np.int64(x)
    while value > 0:
        value >>= 1
        count -= 1
    return count


@njit(cache=True, nogil=True)
def _shift_left(x: Integer, exponent: int) -> np.int64:
    """`x * 2**exponent`, saturated to int32."""
    return min(max(np.int64(x) << exponent, np.int64(INT32_MIN)), np.int64(INT32_MAX))
