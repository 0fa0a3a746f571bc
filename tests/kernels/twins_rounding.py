"""The three roundings of the requantizer on exact fractions; see `tests.kernels.twins`."""

from fractions import Fraction
from math import floor

from kernels.requantize import Rounding
from tests.kernels.twins import wrap32


def half_up(value: Fraction) -> int:
    """The nearest integer, halves upwards."""
    return floor(value + Fraction(1, 2))


def half_away(value: Fraction) -> int:
    """The nearest integer, halves away from zero."""
    magnitude = half_up(abs(value))
    return magnitude if value >= 0 else -magnitude


def rescale(acc: int, multiplier: int, shift: int, *, rounding: Rounding) -> int:
    """`acc * multiplier * 2**(shift - 31)`; what a left shift pushes out of 32 bits is lost."""
    product = Fraction(wrap32(acc * 2 ** max(shift, 0)) * multiplier, 2**31)
    divisor = 2 ** max(-shift, 0)
    if rounding is Rounding.SINGLE:
        return half_up(product / divisor)
    second = half_away if rounding is Rounding.DOUBLE else half_up
    return second(Fraction(half_up(product), divisor))
