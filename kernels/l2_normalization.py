"""L2_NORMALIZATION of int8: each vector of channels is divided by its length."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import as_operand, check_array, check_rounding, check_zero_point
from kernels.inverse_sqrt import inverse_sqrt
from kernels.quantization import INT8_MAX, INT8_MIN
from kernels.requantize import Rounding, requantize_and_clamp

# the output has 7 fraction bits, whatever scale the file says
FRACTION_BITS = 7
# up to here sums of squares fit int32
MAX_CHANNELS = ((1 << 31) - 1) // (255 * 255)


def l2_normalization(
    ifm: NDArray[np.int8], *, ifm_zero_point: int, rounding: Rounding = Rounding.DOUBLE
) -> NDArray[np.int8]:
    """L2_NORMALIZATION over the last dimension of `ifm`; the OFM's scale is 1/128, zero point 0.

    Bit-exact with TFLM's `reference_integer_ops::L2Normalization`.
    Raises ValueError for a wrong dtype or value, a scalar, and channels whose squares may not fit.
    """
    check_array("ifm", ifm, np.int8)
    if ifm.ndim == 0 or ifm.shape[-1] > MAX_CHANNELS:
        raise ValueError(f"ifm has shape {ifm.shape}; allowed are 1 to {MAX_CHANNELS} channels")
    ofm = np.empty(ifm.shape, np.int8)
    channels = ifm.shape[-1]
    _l2_normalization(
        as_operand(ifm.reshape(-1, channels)),
        check_zero_point("ifm_zero_point", ifm_zero_point),
        check_rounding(rounding),
        ofm.reshape(-1, channels),
    )
    return ofm


@njit(cache=True, nogil=True)
def _l2_normalization(
    ifm: NDArray[np.int8], ifm_zero_point: int, rounding: int, ofm: NDArray[np.int8]
) -> None:
    rows, channels = ifm.shape
    for row in range(rows):
        total = np.int64(0)
        for channel in range(channels):
            value = np.int64(ifm[row, channel]) - ifm_zero_point
            total += value * value
        multiplier, shift = inverse_sqrt(total)
        for channel in range(channels):
            value = np.int64(ifm[row, channel]) - ifm_zero_point
            ofm[row, channel] = requantize_and_clamp(
                value, multiplier, shift + FRACTION_BITS, 0, INT8_MIN, INT8_MAX, rounding
            )
