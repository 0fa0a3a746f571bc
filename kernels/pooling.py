"""AVERAGE_POOL_2D and MAX_POOL_2D, int8. Neither rescales: OFM and IFM share a quantization."""

from collections.abc import Callable

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
from kernels.quantization import INT8_MIN


def average_pool2d(
    ifm: NDArray[np.int8],
    *,
    window: Pair,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int8]:
    """AVERAGE_POOL_2D of `ifm` (N, H, W, C), to (N, *ofm_hw, C).

    Divides by the number of taps inside the IFM, rounding half away from zero. `padding` is
    (top, left). Bit-exact with TFLM's `reference_integer_ops::AveragePool`.
    Raises ValueError for a wrong dtype, rank, or range.
    """
    return _pool(
        average_windows, ifm, window, stride, padding, ofm_hw, (activation_min, activation_max)
    )


def max_pool2d(
    ifm: NDArray[np.int8],
    *,
    window: Pair,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int8]:
    """MAX_POOL_2D of `ifm` (N, H, W, C), to (N, *ofm_hw, C); padding never wins.

    `padding` is (top, left). Bit-exact with TFLM's `reference_integer_ops::MaxPool`.
    Raises ValueError for a wrong dtype, rank, or range.
    """
    return _pool(
        maximum_windows, ifm, window, stride, padding, ofm_hw, (activation_min, activation_max)
    )


def _pool(
    kernel: Callable[..., None],
    ifm: NDArray[np.int8],
    window: Pair,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    activation: Pair,
) -> NDArray[np.int8]:
    check_array("ifm", ifm, np.int8, 4)
    window = check_pair("window", window, 1)
    ifm_hw = ifm.shape[1], ifm.shape[2]
    placement = check_placement(ifm_hw, window, stride, (1, 1), padding, ofm_hw)
    activation = check_activation(*activation)
    ofm = np.empty((ifm.shape[0], *placement.ofm_hw, ifm.shape[3]), np.int8)
    kernel(as_operand(ifm), window, placement, activation, ofm)
    return ofm


@njit(cache=True, nogil=True)
def average_windows(
    ifm: NDArray[np.int8],
    window: Pair,
    placement: WindowPlacement,
    activation: Pair,
    ofm: NDArray[np.int8],
) -> None:
    batches, height, width, channels = ifm.shape
    stride, padding = placement.stride, placement.padding
    low, high = np.int64(activation[0]), np.int64(activation[1])
    acc = np.empty(channels, np.int32)
    for n in range(batches):
        for oy in range(ofm.shape[1]):
            top = oy * stride[0] - padding[0]
            for ox in range(ofm.shape[2]):
                left = ox * stride[1] - padding[1]
                acc[:] = 0
                count = 0
                for y in range(max(top, 0), min(top + window[0], height)):
                    for x in range(max(left, 0), min(left + window[1], width)):
                        count += 1
                        for c in range(channels):
                            acc[c] = np.int32(acc[c] + np.int32(ifm[n, y, x, c]))
                for c in range(channels):
                    # the remainder of a division of magnitudes is what rounds half away from zero
                    magnitude = (abs(np.int64(acc[c])) + count // 2) // count
                    value = magnitude if acc[c] > 0 else -magnitude
                    ofm[n, oy, ox, c] = min(max(value, low), high)


@njit(cache=True, nogil=True)
def maximum_windows(
    ifm: NDArray[np.int8],
    window: Pair,
    placement: WindowPlacement,
    activation: Pair,
    ofm: NDArray[np.int8],
) -> None:
    batches, height, width, channels = ifm.shape
    stride, padding = placement.stride, placement.padding
    low, high = np.int8(activation[0]), np.int8(activation[1])
    best = np.empty(channels, np.int8)
    for n in range(batches):
        for oy in range(ofm.shape[1]):
            top = oy * stride[0] - padding[0]
            for ox in range(ofm.shape[2]):
                left = ox * stride[1] - padding[1]
                best[:] = INT8_MIN
                for y in range(max(top, 0), min(top + window[0], height)):
                    for x in range(max(left, 0), min(left + window[1], width)):
                        for c in range(channels):
                            best[c] = max(best[c], ifm[n, y, x, c])
                for c in range(channels):
                    ofm[n, oy, ox, c] = min(max(best[c], low), high)
