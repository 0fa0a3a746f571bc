"""The inverse square root in fixed point, for RSQRT and L2_NORMALIZATION."""

import numpy as np
from numba import njit

from kernels.fixed_point import INT32_MAX, high_product, round_shift, saturate
from kernels.requantize import Integer

# 1.5 in Q3.28, sqrt(2) / 2 in Q0.31
HALF_THREE, HALF_SQRT_2 = np.int64((1 << 28) + (1 << 27)), np.int64(1518500250)
NEWTON_STEPS = 5


@njit(cache=True, nogil=True)
def inverse_sqrt(x: Integer) -> tuple[np.int64, np.int64]:
    """(Q31 multiplier, shift) of `1 / sqrt(x)` for an int32 from 0; 0 counts as 1.

    Source: `GetInvSqrtQuantizedMultiplierExp`: five Newton steps from 1, in Q3.28.
    """
    if x <= 1:
        return INT32_MAX, np.int64(0)
    value, exponent = np.int64(x), 11
    while value >= 1 << 29:
        value //= 4
        exponent += 1
    # by pairs of bits, to between 2**27 and 2**29
    while value < 1 << 27:
        value <<= 2
        exponent -= 1
    value >>= 1
    half = round_shift(value, np.int64(1))
    y = np.int64(1 << 28)
    for _ in range(NEWTON_STEPS):
        cube = saturate(high_product(high_product(y, y), y) << 6)
        y = saturate((high_product(HALF_THREE, y) - high_product(half, cube)) << 3)
    y = high_product(y, HALF_SQRT_2)
    if exponent < 0:
        return y << -exponent, np.int64(0)
    return y, np.int64(-exponent)
