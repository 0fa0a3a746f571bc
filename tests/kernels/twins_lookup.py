"""Plain-Python twins of the functions behind the tables; see `tests.kernels.twins`.

Each takes the value with its zero point taken off and the integers that TFLM's `Prepare` computes,
and returns the result before the OFM's zero point (if any) and clamping.
"""

from tests.kernels.twins import (
    doubling_high_product,
    multiply_by_quantized_multiplier,
    one_over_one_plus,
    rounding_shift,
    saturate,
    truncating_division,
)

# exp(-2**e) for e = -2 to 4, Q0.31
POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def exponential(a: int, integer_bits: int) -> int:
    """gemmlowp's exp_on_negative_values, to Q0.31."""
    if a == 0:
        return 2**31 - 1
    fraction_bits = 31 - integer_bits
    quarter = 2 ** (fraction_bits - 2)
    within = a % quarter - quarter
    x = saturate(within * 2**integer_bits) + 2**28
    squared = doubling_high_product(x, x)
    cubed = doubling_high_product(squared, x)
    fourth = rounding_shift(doubling_high_product(squared, squared), 2)
    tail = rounding_shift(doubling_high_product(fourth + cubed, 715827883) + squared, 1)
    result = 1895147668 + doubling_high_product(1895147668, x + tail)
    for i, factor in enumerate(POWERS):
        if integer_bits > i - 2 and (within - a) >> (fraction_bits - 2 + i) & 1:
            result = doubling_high_product(result, factor)
    return result


def logistic(a: int) -> int:
    """Q4.27 to Q0.31."""
    if a == 0:
        return 2**30
    positive = one_over_one_plus(exponential(-abs(a), 4))
    return positive if a > 0 else 2**31 - 1 - positive


def tanh(a: int) -> int:
    """Q4.27 to Q0.31."""
    if a == 0:
        return 0
    half = truncating_division(exponential(-abs(a), 5) + 2**31 - 1 + 1, 2)
    y = 1515870810 + doubling_high_product(half, -1010580540)
    for _ in range(3):
        y += saturate(4 * doubling_high_product(y, 2**29 - doubling_high_product(half, y)))
    positive = saturate((y - 2**29) * 4)
    return positive if a > 0 else -positive


def saturating(value: int, multiplier: int, shift: int, radius: int, bits: int, low: int) -> int:
    """LOGISTIC (8 `bits`, `low` -128) and TANH (7, 0)."""
    if value <= -radius:
        return -128
    if value >= radius:
        return 127
    function = logistic if bits == 8 else tanh
    scaled = function(multiply_by_quantized_multiplier(value, multiplier, shift))
    return rounding_shift(scaled, 31 - bits) + low


def high_product16(a: int, b: int) -> int:
    """gemmlowp's SaturatingRoundingDoublingHighMul of int16; -1 times -1 cannot occur."""
    product = a * b
    return truncating_division(product + (2**14 if product >= 0 else 1 - 2**14), 2**15)


def saturate16(x: int) -> int:
    """The nearest int16."""
    return min(max(x, -(2**15)), 2**15 - 1)


def rounding_shift16(x: int, exponent: int) -> int:
    """gemmlowp's RoundingDivideByPOT of int16, whose mask wraps to 16 bits."""
    mask = (2**exponent - 1 + 2**15) % 2**16 - 2**15
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def to_int16(multiplier: int) -> int:
    """TFLM's DownScaleInt32ToInt16Multiplier."""
    if multiplier >= 2**31 - 1 - 2**15:
        return 2**15 - 1
    return (multiplier + 2**15) >> 16


def hard_swish(
    value: int, multiplier: int, exponent: int, reluish_multiplier: int, reluish_exponent: int
) -> int:
    """HARD_SWISH."""
    wide = value * 128
    scaled = high_product16(wide, to_int16(multiplier))
    reluish = wide
    if reluish_exponent > 0:
        reluish = saturate16(reluish * 2 ** (reluish_exponent - 1))
    reluish = high_product16(reluish, to_int16(reluish_multiplier))
    if reluish_exponent > 0:
        reluish = saturate16(reluish * 2)
    if reluish_exponent < 0:
        reluish = rounding_shift16(reluish, -reluish_exponent)
    gate = (reluish + 2**15) >> 1
    return rounding_shift16(truncating_division(gate * scaled, 2**15), -exponent)
