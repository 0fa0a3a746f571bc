"""Weights of four bits: two in a byte, computed with as int8."""

import numpy as np
from numpy.typing import NDArray

from kernels.checks import check_array


def unpack_int4(packed: NDArray[np.uint8], count: int) -> NDArray[np.int8]:
    """The first `count` signed four-bit values of `packed` (bytes), -8 to 7, as int8 (count,).

    The low half of a byte comes first, as in TFLM's `UnpackDenseInt4IntoInt8`.
    Raises ValueError for a wrong dtype or rank, or a number of bytes that does not hold `count`.
    """
    check_array("packed", packed, np.uint8, 1)
    if packed.size != (count + 1) // 2:
        raise ValueError(
            f"packed has {packed.size} bytes; allowed for {count} values is {(count + 1) // 2}"
        )
    halves = np.empty((packed.size, 2), np.uint8)
    halves[:, 0], halves[:, 1] = packed & 15, packed >> 4
    # into the upper half of an int8 and back, which extends the sign
    values: NDArray[np.int8] = (halves << 4).view(np.int8) >> 4
    return values.reshape(-1)[:count]
