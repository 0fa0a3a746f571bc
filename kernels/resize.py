"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR, in TFLM's float32 and fixed-point coordinates."""

from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import Pair, as_operand, check_array, check_pair, check_quantized

Value = TypeVar("Value", np.int8, np.int16)

COORDINATE_BITS = 10
"""Fraction bits of the coordinates of RESIZE_BILINEAR."""


def resize_nearest_neighbor(
    ifm: NDArray[Value], ofm_hw: Pair, *, align_corners: bool, half_pixel_centers: bool
) -> NDArray[Value]:
    """RESIZE_NEAREST_NEIGHBOR of int8 or int16 `ifm` (N, H, W, C) to `ofm_hw` rows and columns.

    Bit-exact with TFLM's `reference_ops::ResizeNearestNeighbor`.
    Raises ValueError for a wrong dtype, rank or size.
    """
    check_quantized("ifm", ifm, 4)
    rows, columns = (
        nearest_indices(ifm.shape[1 + axis], size, align_corners, half_pixel_centers)
        for axis, size in enumerate(check_pair("ofm_hw", ofm_hw, 1))
    )
    return np.ascontiguousarray(ifm[:, rows[:, None], columns])


def resize_bilinear(
    ifm: NDArray[np.int8], ofm_hw: Pair, *, align_corners: bool, half_pixel_centers: bool
) -> NDArray[np.int8]:
    """RESIZE_BILINEAR of `ifm` (N, H, W, C) to `ofm_hw` rows and columns.

    Bit-exact with TFLM's `reference_ops::ResizeBilinearInteger`.
    Raises ValueError for a wrong dtype, rank or size, or where TFLM reads beyond the input: its
    coordinates have 10 fraction bits, too few for an enlargement of more than about 1000.
    """
    check_array("ifm", ifm, np.int8, 4)
    height, width = check_pair("ofm_hw", ofm_hw, 1)
    ofm = np.empty((ifm.shape[0], height, width, ifm.shape[3]), np.int8)
    _bilinear(
        as_operand(ifm),
        *interpolation(ifm.shape[1], height, align_corners, half_pixel_centers),
        *interpolation(ifm.shape[2], width, align_corners, half_pixel_centers),
        ofm,
    )
    return ofm


def nearest_indices(
    size: int, ofm_size: int, align_corners: bool, half_pixel_centers: bool
) -> NDArray[np.int64]:
    """RESIZE_NEAREST_NEIGHBOR: the input row (or column) of each output row (or column), int64."""
    if align_corners and ofm_size > 1:
        scale = np.float32(size - 1) / np.float32(ofm_size - 1)
    else:
        scale = np.float32(size) / np.float32(ofm_size)
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    scaled = (np.arange(ofm_size).astype(np.float32) + offset) * scale
    # rounding of halves upwards: there is nothing negative
    whole = np.floor(scaled.astype(np.float64) + 0.5) if align_corners else np.floor(scaled)
    return np.clip(whole.astype(np.int64), 0, size - 1)


def interpolation(
    size: int, ofm_size: int, align_corners: bool, half_pixel_centers: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The two input rows (or columns) around each output row, and its distance from the first.

    Three int64 arrays `[ofm_size]`; the distance has `COORDINATE_BITS` fraction bits. Raises
    ValueError as `resize_bilinear` does.
    """
    one = 1 << COORDINATE_BITS
    if align_corners and ofm_size > 1:
        scale = (one * (size - 1) + (ofm_size - 1) // 2) // (ofm_size - 1)
    else:
        scale = (one * size + ofm_size // 2) // ofm_size
    shift = scale // 2 - one // 2 if half_pixel_centers else 0
    scaled = np.arange(ofm_size, dtype=np.int64) * scale + shift
    # C's division, towards zero: only a coordinate before the first row is negative
    first = np.maximum(scaled // one, 0)
    if first[-1] >= size:
        raise ValueError(f"{size} rows or columns are enlarged to {ofm_size}: too far for TFLM")
    second = np.minimum(np.maximum(scaled + one - 1, 0) // one, size - 1)
    return as_operand(first), as_operand(second), as_operand(scaled - one * first)


@njit(cache=True, nogil=True)
def _bilinear(
    ifm: NDArray[np.int8],
    above: NDArray[np.int64],
    below: NDArray[np.int64],
    down: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    across: NDArray[np.int64],
    ofm: NDArray[np.int8],
) -> None:
    one = np.int64(1 << COORDINATE_BITS)
    half = np.int64(1 << (2 * COORDINATE_BITS - 1))
    for n in range(ofm.shape[0]):
        for y in range(ofm.shape[1]):
            upper, lower = ifm[n, above[y]], ifm[n, below[y]]
            for x in range(ofm.shape[2]):
                for c in range(ofm.shape[3]):
                    top = upper[left[x], c] * (one - across[x]) + upper[right[x], c] * across[x]
                    bottom = lower[left[x], c] * (one - across[x]) + lower[right[x], c] * across[x]
                    total = top * (one - down[y]) + bottom * down[y]
                    # rounds half away from zero
                    magnitude = (abs(total) + half) >> (2 * COORDINATE_BITS)
                    ofm[n, y, x, c] = magnitude if total > 0 else -magnitude
