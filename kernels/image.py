"""The IFM as the convolutions read it: one padded float32 image, addressed by window."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import Pair
from kernels.tiles import DEPTHWISE_PIXELS, NARROW, WIDE

# a tile that begins at the last pixel reads this many origins behind it
TILE_SLACK = max(WIDE[0], NARROW[0], DEPTHWISE_PIXELS)


@njit(cache=True, nogil=True)
def padded_size(ofm_hw: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Pair:
    """Rows and columns that the windows of an OFM span, padding included."""
    return (
        (ofm_hw[0] - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1,
        (ofm_hw[1] - 1) * stride[1] + (kernel[1] - 1) * dilation[1] + 1,
    )


@njit(cache=True, nogil=True)
def pad_image(
    ifm: NDArray[np.int8], padding: Pair, zero_point: int, padded: NDArray[np.float32]
) -> None:
    """One image (H, W, C) as float32, with padding and without what no window reaches."""
    height, width, channels = ifm.shape
    rows, columns, _ = padded.shape
    left = min(padding[1], columns)
    right = min(columns, left + width)
    for row in range(rows):
        y = row - padding[0]
        outside = y < 0 or y >= height
        begin = columns * channels if outside else left * channels
        end = columns * channels if outside else right * channels
        target = padded[row].reshape(columns * channels)
        for i in range(begin):
            target[i] = np.float32(zero_point)
        for i in range(end, target.size):
            target[i] = np.float32(zero_point)
        if not outside:
            source = ifm[y].reshape(width * channels)
            for i in range(end - begin):
                target[begin + i] = np.float32(source[i])


@njit(cache=True, nogil=True)
def window_origins(
    ofm_h: int, ofm_w: int, stride: Pair, row_pitch: int, pixel_pitch: int
) -> NDArray[np.int64]:
    """Offset of each output pixel's window in the padded image, and slack to fill up a tile."""
    origins = np.zeros(ofm_h * ofm_w + TILE_SLACK, np.int64)
    for y in range(ofm_h):
        for x in range(ofm_w):
            origins[y * ofm_w + x] = y * stride[0] * row_pitch + x * stride[1] * pixel_pitch
    return origins


@njit(cache=True, nogil=True)
def fold_zero_point(
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    zero_point: int,
    folded: NDArray[np.int32],
) -> None:
    """`bias - zero_point * sum(weights)` of each channel."""
    for c in range(weights.shape[0]):
        total = np.int64(0)
        for t in range(weights.shape[1]):
            total += np.int64(weights[c, t])
        folded[c] = np.int32(np.int64(bias[c]) - np.int64(zero_point) * total)


@njit(cache=True, nogil=True)
def copy_tile(source: NDArray[np.int32], target: NDArray[np.int32]) -> None:
    """Copy a small C-contiguous array: a slice assignment costs more than the tile itself."""
    flat_source, flat_target = source.reshape(source.size), target.reshape(target.size)
    for i in range(flat_target.size):
        flat_target[i] = flat_source[i]


@njit(cache=True, nogil=True)
def fill_rows(values: NDArray[np.int32], rows: NDArray[np.int32]) -> None:
    """Begin every one of `rows` with `values`."""
    for r in range(rows.shape[0]):
        for k in range(values.size):
            rows[r, k] = values[k]
