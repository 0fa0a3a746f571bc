"""DEPTHWISE_CONV_2D, int8, any depth multiplier, vectorized over channels."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    OutputStage,
    Pair,
    Placement,
    as_operand,
    check_array,
    check_bias,
    check_output_stage,
    check_placement,
    check_zero_point,
)
from kernels.image import (
    copy_tile,
    fill_rows,
    fold_zero_point,
    pad_image,
    padded_size,
    window_origins,
)
from kernels.requantize import Rounding, requantize_tile
from kernels.tiles import DEPTHWISE_PIXELS, EXACT_TAPS, LANES, depthwise_tile


def depthwise_conv2d(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    ofm_hw: Pair,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """DEPTHWISE_CONV_2D of `ifm` (N, H, W, C) with `weights` (1, kh, kw, O), to (N, *ofm_hw, O).

    O is C times the depth multiplier m; output channel o reads input channel o // m. `bias`,
    `multiplier` and `shift` have shape (O,), int32; `padding` is (top, left). Bit-exact with
    TFLM's `reference_integer_ops::DepthwiseConvPerChannel`.
    Raises ValueError for a wrong dtype, rank, shape or range.
    """
    check_array("ifm", ifm, np.int8, 4)
    check_array("weights", weights, np.int8, 4)
    batches, height, width, ifm_channels = ifm.shape
    leading, kernel_h, kernel_w, channels = weights.shape
    if leading != 1 or channels % ifm_channels:
        raise ValueError(
            f"weights have shape {weights.shape}; allowed is 1, kh, kw, and a multiple of the "
            f"IFM's {ifm_channels} channels"
        )
    bias = check_bias(bias, channels)
    stage = check_output_stage(
        ofm_zero_point, multiplier, shift, channels, activation_min, activation_max, rounding
    )
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    placement = check_placement(
        (height, width), (kernel_h, kernel_w), stride, dilation, padding, ofm_hw
    )
    ofm = np.empty((batches, *placement.ofm_hw, channels), np.int8)
    # with every input channel repeated, a depth multiplier is the plain case
    repeats = channels // ifm_channels
    expanded = ifm if repeats == 1 else np.repeat(ifm, repeats, axis=3)
    operands = as_operand(expanded), as_operand(weights[0]), bias
    _depthwise(*operands, placement, ifm_zero_point, stage, ofm)
    return ofm


@njit(cache=True, nogil=True)
def _depthwise(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    placement: Placement,
    ifm_zero_point: int,
    stage: OutputStage,
    ofm: NDArray[np.int8],
) -> None:
    stride, dilation = placement.stride, placement.dilation
    batches, ofm_h, ofm_w, channels = ofm.shape
    kernel_h, kernel_w, _ = weights.shape
    rows, columns = padded_size((ofm_h, ofm_w), (kernel_h, kernel_w), stride, dilation)
    # the last block of channels is read whole, beyond the last channel
    x = np.zeros(rows * columns * channels + LANES, np.float32)
    padded = x[: rows * columns * channels].reshape(rows, columns, channels)
    origins = window_origins(ofm_h, ofm_w, stride, columns * channels, channels)
    offsets, panels = _pack_taps(weights, dilation, columns * channels)
    folded = np.empty(channels, np.int32)
    fold_zero_point(weights.reshape(kernel_h * kernel_w, channels).T, bias, ifm_zero_point, folded)
    acc = np.empty((DEPTHWISE_PIXELS, LANES), np.int32)
    initial = np.zeros(acc.shape, np.int32)
    count = ofm_h * ofm_w
    for n in range(batches):
        pad_image(ifm[n], placement.padding, ifm_zero_point, padded)
        pixels = ofm[n].reshape(count, channels)
        for first in range(0, channels, LANES):
            last = min(first + LANES, channels)
            panel = panels[first // LANES]
            fill_rows(folded[first:last], initial)
            for pixel in range(0, count, DEPTHWISE_PIXELS):
                windows = origins[pixel : pixel + DEPTHWISE_PIXELS]
                copy_tile(initial, acc)
                for t in range(0, offsets.size, EXACT_TAPS):
                    taps = min(EXACT_TAPS, offsets.size - t)
                    depthwise_tile(x, windows, first, offsets, panel, t, taps, acc)
                requantize_tile(
                    acc,
                    stage.multiplier[first:last],
                    stage.shift[first:last],
                    stage.zero_point,
                    stage.low,
                    stage.high,
                    stage.rounding,
                    pixels[pixel : pixel + DEPTHWISE_PIXELS, first:last],
                )


@njit(cache=True, nogil=True)
def _pack_taps(
    weights: NDArray[np.int8], dilation: Pair, row_pitch: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(Offset of each tap in the padded image, float32 weights (blocks, taps, LANES))."""
    kernel_h, kernel_w, channels = weights.shape
    offsets = np.empty(kernel_h * kernel_w, np.int64)
    panels = np.zeros(((channels + LANES - 1) // LANES, offsets.size, LANES), np.float32)
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            t = ky * kernel_w + kx
            offsets[t] = ky * dilation[0] * row_pitch + kx * dilation[1] * channels
            for c in range(channels):
                panels[c // LANES, t, c % LANES] = np.float32(weights[ky, kx, c])
    return offsets, panels
