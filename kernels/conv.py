"""CONV_2D, int8, per-channel or per-tensor weights, grouped or not.

The IFM is copied once into a padded float32 image. The taps of a kernel row that lie next to each
other in it are one run, so the convolution is a matrix product straight on the image: no im2col.
The zero point of the IFM is folded into the bias: padding holds the zero point, so
`sum((x - zp) * w) = sum(x * w) - zp * sum(w)` holds at the borders as well.
"""

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
    check_channels,
    check_output_stage,
    check_placement,
    check_zero_point,
)
from kernels.fully_connected import dot_rows
from kernels.image import (
    TILE_SLACK,
    copy_tile,
    fill_rows,
    fold_zero_point,
    pad_image,
    padded_size,
    window_origins,
)
from kernels.requantize import Rounding, requantize_tile
from kernels.tiles import EXACT_TAPS, LANES, NARROW, WIDE, narrow_tile, wide_tile

WIDE_OUTPUTS = WIDE[1] * LANES
# taps that are transposed together, so that the lines written stay in the first-level cache
PACK_BLOCK = 64


def conv2d(
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
    """CONV_2D of `ifm` (N, H, W, C) with `weights` (O, kh, kw, C // groups), to (N, *ofm_hw, O).

    `bias`, `multiplier` and `shift` have shape (O,), int32. `padding` is (top, left); what lies
    below and to the right follows from `ofm_hw`. See `kernels.quantization` for `multiplier`,
    `shift` and the activation range. Bit-exact with TFLM's `reference_integer_ops::ConvPerChannel`.
    Raises ValueError for a wrong dtype, rank, shape or range.
    """
    check_array("ifm", ifm, np.int8, 4)
    check_array("weights", weights, np.int8, 4)
    batches, height, width, ifm_channels = ifm.shape
    channels, kernel_h, kernel_w, group_channels = weights.shape
    groups = check_channels(ifm_channels, channels, group_channels)
    bias = check_bias(bias, channels)
    stage = check_output_stage(
        ofm_zero_point, multiplier, shift, channels, activation_min, activation_max, rounding
    )
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    placement = check_placement(
        (height, width), (kernel_h, kernel_w), stride, dilation, padding, ofm_hw
    )
    ofm = np.empty((batches, *placement.ofm_hw, channels), np.int8)
    if placement.ofm_hw == (1, 1) and groups == 1 and ifm.shape[1:3] == weights.shape[1:3]:
        # one window that covers the whole IFM is a matrix product
        rows, matrix = ifm.reshape(batches, -1), weights.reshape(channels, -1)
        flat = ofm.reshape(batches, channels)
        dot_rows(as_operand(rows), as_operand(matrix), bias, ifm_zero_point, stage, flat)
    else:
        operands = as_operand(ifm), as_operand(weights), bias
        _conv2d(*operands, groups, placement, ifm_zero_point, stage, ofm)
    return ofm


@njit(cache=True, nogil=True)
def _conv2d(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    groups: int,
    placement: Placement,
    ifm_zero_point: int,
    stage: OutputStage,
    ofm: NDArray[np.int8],
) -> None:
    stride, dilation = placement.stride, placement.dilation
    batches, ofm_h, ofm_w, channels = ofm.shape
    _, kernel_h, kernel_w, group_channels = weights.shape
    ifm_channels = group_channels * groups
    outputs = channels // groups
    taps = kernel_h * kernel_w * group_channels
    rows, columns = padded_size(ofm.shape[1:3], (kernel_h, kernel_w), stride, dilation)
    padded = np.empty((rows, columns, ifm_channels), np.float32)
    x = padded.reshape(padded.size)
    runs = _tap_runs(kernel_h, kernel_w, group_channels, groups, dilation, columns)
    origins = window_origins(ofm_h, ofm_w, stride, columns * ifm_channels, ifm_channels)
    folded = np.empty(channels, np.int32)
    fold_zero_point(weights.reshape(channels, taps), bias, ifm_zero_point, folded)
    panels = _pack_panels(weights.reshape(channels, taps), groups)
    for n in range(batches):
        pad_image(ifm[n], placement.padding, ifm_zero_point, padded)
        pixels = ofm[n].reshape(ofm_h * ofm_w, channels)
        for group in range(groups):
            base = group * group_channels
            done = 0
            while done < outputs:
                c = group * outputs + done
                width = _panel_width(outputs - done)
                end = c + min(width, outputs - done)
                panel = panels[(group * _padded_outputs(outputs) + done) * taps :]
                _multiply_panel(
                    x,
                    origins,
                    base,
                    panel,
                    runs,
                    width,
                    folded[c:end],
                    stage.multiplier[c:end],
                    stage.shift[c:end],
                    stage,
                    pixels[:, c:end],
                )
                done += width


@njit(cache=True, nogil=True)
def _multiply_panel(
    x: NDArray[np.float32],
    origins: NDArray[np.int64],
    base: int,
    panel: NDArray[np.float32],
    runs: NDArray[np.int64],
    width: int,
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    stage: OutputStage,
    pixels: NDArray[np.int8],
) -> None:
    """All output pixels of up to `width` channels."""
    rows = WIDE[0] if width == WIDE_OUTPUTS else NARROW[0]
    acc = np.empty((rows, width), np.int32)
    initial = np.zeros(acc.shape, np.int32)
    fill_rows(bias, initial)
    count = origins.size - TILE_SLACK
    for pixel in range(0, count, rows):
        copy_tile(initial, acc)
        offsets = origins[pixel : pixel + rows]
        for i in range(runs.shape[0]):
            first = base + runs[i, 0]
            if width == WIDE_OUTPUTS:
                wide_tile(x, offsets, first, panel, runs[i, 1], runs[i, 2], acc)
            else:
                narrow_tile(x, offsets, first, panel, runs[i, 1], runs[i, 2], acc)
        requantize_tile(
            acc,
            multiplier,
            shift,
            stage.zero_point,
            stage.low,
            stage.high,
            stage.rounding,
            pixels[pixel : pixel + rows],
        )


@njit(cache=True, nogil=True)
def _panel_width(outputs: int) -> int:
    return WIDE_OUTPUTS if outputs > LANES else LANES


@njit(cache=True, nogil=True)
def _padded_outputs(outputs: int) -> int:
    return (outputs + LANES - 1) // LANES * LANES


@njit(cache=True, nogil=True)
def _tap_runs(
    kernel_h: int, kernel_w: int, group_channels: int, groups: int, dilation: Pair, columns: int
) -> NDArray[np.int64]:
    """Rows of (offset in the padded image, first tap, taps): taps that lie next to each other.

    Without dilation and groups, a whole row of the kernel does. No run is longer than is exact.
    """
    pitch = group_channels * groups
    joined = kernel_w if dilation[1] == 1 and groups == 1 else 1
    length = joined * group_channels
    pieces = (length + EXACT_TAPS - 1) // EXACT_TAPS
    runs = np.empty((kernel_h * (kernel_w // joined) * pieces, 3), np.int64)
    i = 0
    for ky in range(kernel_h):
        for kx in range(0, kernel_w, joined):
            offset = (ky * dilation[0] * columns + kx * dilation[1]) * pitch
            tap = (ky * kernel_w + kx) * group_channels
            for piece in range(pieces):
                done = piece * EXACT_TAPS
                runs[i, 0] = offset + done
                runs[i, 1] = tap + done
                runs[i, 2] = min(EXACT_TAPS, length - done)
                i += 1
    return runs


@njit(cache=True, nogil=True)
def _pack_panels(weights: NDArray[np.int8], groups: int) -> NDArray[np.float32]:
    """Weights (O, taps) as float32 panels (taps, width), one after the other; zeros at the end."""
    channels, taps = weights.shape
    outputs = channels // groups
    panels = np.zeros(groups * _padded_outputs(outputs) * taps, np.float32)
    start = 0
    for group in range(groups):
        done = 0
        while done < outputs:
            width = _panel_width(outputs - done)
            panel = panels[start : start + taps * width].reshape(taps, width)
            first = group * outputs + done
            for begin in range(0, taps, PACK_BLOCK):
                for k in range(min(width, outputs - done)):
                    for t in range(begin, min(begin + PACK_BLOCK, taps)):
                        panel[t, k] = np.float32(weights[first + k, t])
            start += taps * width
            done += width
    return panels
