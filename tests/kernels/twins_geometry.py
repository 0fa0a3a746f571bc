"""Plain-Python twins of TRANSPOSE_CONV, BATCH_MATMUL and the resizing operators."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.output_stage import OutputStage
from tests.kernels.twins import Pair, output, staged_output, truncating_division


def transpose_conv(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    ifm_zero_point: int,
    stage: OutputStage,
) -> NDArray[np.int8]:
    """TRANSPOSE_CONV, gathering for each output what the kernel scatters."""
    channels, kernel_h, kernel_w, depth = weights.shape
    ofm = np.empty((ifm.shape[0], *ofm_hw, channels), np.int8)
    for n, oy, ox, k in np.ndindex(ofm.shape):
        acc = 0 if bias is None else int(bias[k])
        for y, x in itertools.product(range(ifm.shape[1]), range(ifm.shape[2])):
            ky = oy + padding[0] - y * stride[0]
            kx = ox + padding[1] - x * stride[1]
            if 0 <= ky < kernel_h and 0 <= kx < kernel_w:
                for c in range(depth):
                    acc += (int(ifm[n, y, x, c]) - ifm_zero_point) * int(weights[k, ky, kx, c])
        ofm[n, oy, ox, k] = staged_output(acc, k, stage)
    return ofm


def batch_matmul(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    adj_a: bool,
    adj_b: bool,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
) -> NDArray[np.int8]:
    """BATCH_MATMUL."""
    rows, depth = a.shape[-1 if adj_a else -2], a.shape[-2 if adj_a else -1]
    columns = b.shape[-2 if adj_b else -1]
    batches = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    wide_a = np.broadcast_to(a, batches + a.shape[-2:])
    wide_b = np.broadcast_to(b, batches + b.shape[-2:])
    ofm = np.empty((*batches, rows, columns), np.int8)
    for *n, r, c in np.ndindex(ofm.shape):
        acc = 0
        for i in range(depth):
            x = int(wide_a[(*n, i, r) if adj_a else (*n, r, i)])
            y = int(wide_b[(*n, c, i) if adj_b else (*n, i, c)])
            acc += (x - a_zero_point) * (y - b_zero_point)
        ofm[(*n, r, c)] = output(acc, multiplier, shift, ofm_zero_point, -128, 127)
    return ofm


def _interpolation(
    position: int, size: int, ofm_size: int, align_corners: bool, half_pixel_centers: bool
) -> tuple[int, int, int]:
    if align_corners and ofm_size > 1:
        scale = (1024 * (size - 1) + (ofm_size - 1) // 2) // (ofm_size - 1)
    else:
        scale = (1024 * size + ofm_size // 2) // ofm_size
    value = position * scale
    if half_pixel_centers:
        value += scale // 2 - 512
    lower = max(truncating_division(value, 1024), 0)
    upper = min(truncating_division(value + 1023, 1024), size - 1)
    return lower, upper, value - 1024 * lower


def resize_bilinear(ifm: NDArray[np.int8], ofm_hw: Pair, **modes: Any) -> NDArray[np.int8]:
    """RESIZE_BILINEAR."""
    ofm = np.empty((ifm.shape[0], *ofm_hw, ifm.shape[3]), np.int8)
    for n, y, x, c in np.ndindex(ofm.shape):
        top, bottom, down = _interpolation(y, ifm.shape[1], ofm_hw[0], **modes)
        left, right, across = _interpolation(x, ifm.shape[2], ofm_hw[1], **modes)
        total = (
            int(ifm[n, top, left, c]) * (1024 - down) * (1024 - across)
            + int(ifm[n, bottom, left, c]) * down * (1024 - across)
            + int(ifm[n, top, right, c]) * (1024 - down) * across
            + int(ifm[n, bottom, right, c]) * down * across
        )
        ofm[n, y, x, c] = truncating_division(total + (2**19 if total > 0 else -(2**19)), 2**20)
    return ofm
