"""AVERAGE_POOL_2D and MAX_POOL_2D of int16. Neither rescales."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    WindowPlacement,
    as_operand,
    check_activation,
    check_array,
    check_pair,
    check_placement,
)


def average_pool2d_int16(
    ifm: NDArray[np.int16],
    *,
    window: Pair,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int16]:
    """AVERAGE_POOL_2D of int16, otherwise as `kernels.pooling.average_pool2d`."""
    return _run(ifm, window, stride, padding, ofm_hw, (activation_min, activation_max), True)


def max_pool2d_int16(
    ifm: NDArray[np.int16],
    *,
    window: Pair,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int16]:
    """MAX_POOL_2D of int16, otherwise as `kernels.pooling.max_pool2d`."""
    return _run(ifm, window, stride, padding, ofm_hw, (activation_min, activation_max), False)


def _run(
    ifm: NDArray[np.int16],
    window: Pair,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    activation: Pair,
    average: bool,
) -> NDArray[np.int16]:
    check_array("ifm", ifm, np.int16, 4)
    window = check_pair("window", window, 1)
    ifm_hw = ifm.shape[1], ifm.shape[2]
    placement = check_placement(ifm_hw, window, stride, (1, 1), padding, ofm_hw)
    activation = check_activation(*activation, np.int16)
    ofm = np.empty((ifm.shape[0], *placement.ofm_hw, ifm.shape[3]), np.int16)
    _pool(as_operand(ifm), window, placement, activation, average, ofm)
    return ofm


@njit(cache=True, nogil=True)
def _pool(
    ifm: NDArray[np.int16],
    window: Pair,
    placement: WindowPlacement,
    activation: Pair,
    average: bool,
    ofm: NDArray[np.int16],
) -> None:
    stride, padding = placement.stride, placement.padding
    low, high = np.int64(activation[0]), np.int64(activation[1])
    for n in range(ofm.shape[0]):
        for oy in range(ofm.shape[1]):
            top = oy * stride[0] - padding[0]
            first_row, last_row = max(top, 0), min(top + window[0], ifm.shape[1])
            for ox in range(ofm.shape[2]):
                left = ox * stride[1] - padding[1]
                first, last = max(left, 0), min(left + window[1], ifm.shape[2])
                count = (last_row - first_row) * (last - first)
                for c in range(ofm.shape[3]):
                    total, greatest = np.int64(0), low
                    for y in range(first_row, last_row):
                        for x in range(first, last):
                            total += ifm[n, y, x, c]
                            greatest = max(greatest, np.int64(ifm[n, y, x, c]))
                    value = greatest
                    if average:
                        # half away from zero
                        magnitude = (abs(total) + count // 2) // count
                        value = magnitude if total > 0 else -magnitude
                    ofm[n, oy, ox, c] = min(max(value, low), high)
