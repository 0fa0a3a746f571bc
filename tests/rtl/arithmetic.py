"""The output stage's arithmetic in plain integers, from rtl/ARCHITECTURE.md and nowhere else."""


def wrap32(value: int) -> int:
    """The low 32 bits, signed."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def round_half_up(numerator: int, places: int) -> int:
    """`numerator / 2**places`, ties towards plus infinity."""
    doubled = 2 * numerator + (1 << places)
    return doubled // (2 << places)


def round_half_away(numerator: int, places: int) -> int:
    """`numerator / 2**places`, ties away from zero."""
    size = round_half_up(abs(numerator), places)
    return -size if numerator < 0 else size


def rescale(product: int, places: int, right_shift: int, rounding: str) -> int:
    """`product / 2**(places + right_shift)`, rounded as the hardware does it."""
    if rounding == "single":
        return round_half_up(product, places + right_shift)
    high = round_half_up(product, places)
    last = {"double": round_half_away, "half_up": round_half_up}[rounding]
    return last(high, right_shift) if right_shift else high


def requantize(value: int, multiplier: int, shift: int, rounding: str) -> int:
    """An int32 times `multiplier * 2**(shift - 31)`."""
    return rescale(wrap32(value << max(shift, 0)) * multiplier, 31, max(-shift, 0), rounding)


def scale(value: int, zero_point: int, multiplier: int, right_shift: int, rounding: str) -> int:
    """An operand of ELEMENTWISE ADD or SUB."""
    return rescale((value - zero_point) * multiplier, 11, right_shift, rounding)
