"""CONV, DEPTHWISE and MAX_POOL: what the grid computes, gathered by rows instead of windows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.jit import typed
from rtl.registers import ErrorCode
from sim.functional.output import channel_parameters, parameters_in_bounds, write_row
from sim.functional.transfer import ADDRESS_MASK
from sim.jit import entry, jit, larger, smaller
from sim.step_list import kept_words, step_masks

_OK = int(ErrorCode.NONE)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)
_BUFFER_BOUNDS = int(ErrorCode.BUFFER_BOUNDS)
_ZERO = typed(0)
_LOWEST = np.iinfo(np.int32).min
_ALL = np.zeros(0, np.bool_)
"""All windows are fetched."""


@jit
def _windows_in_bounds(
    commands: NDArray[Any],
    row: int,
    channel_words: int,
    banks: int,
    scratchpad_words: int,
    fetched: NDArray[np.bool_],
) -> bool:
    """Whether every window word that lies in the image also lies in the scratchpad.

    `channel_words`: input words per pixel (CONV: channel_steps, otherwise blocks). `fetched` :
    which windows are fetched, `[ky * kx * channel_words]`; empty if all are.
    """
    c = commands[row]
    groups = (c.ofm_width + c.group_pixels - 1) // c.group_pixels
    for oy in range(c.ofm_height):
        for ky in range(c.kernel_height):
            iy = oy * c.stride_y - c.pad_top + ky * c.dilation_y
            if iy < 0 or iy >= c.ifm_height:
                continue
            origin = c.ifm_origin + oy * c.ifm_row_step + ky * c.ifm_tap_row_step
            for g in range(groups):
                for kx in range(c.kernel_width):
                    step = g * c.group_step + kx * c.tap_step
                    ix = step - c.pad_left
                    low = larger(-ix, _ZERO)
                    high = smaller(c.ifm_width - ix, banks)
                    for word in range(channel_words if low < high else 0):
                        place = (ky * c.kernel_width + kx) * channel_words + word
                        if fetched.shape[0] > 0 and not fetched[place]:
                            continue
                        first = origin + step + word * c.ifm_plane_pitch + low
                        if (first & ADDRESS_MASK) + high - low > scratchpad_words:
                            return False
    return True


def execute_conv(
    scratchpad: NDArray[np.int8],
    weights: NDArray[np.int8],
    parameters: NDArray[np.uint8],
    commands: NDArray[Any],
    row: int,
    channels: int,
    banks: int,
    rounding: int,
    masks: NDArray[np.uint8],
) -> int:
    """Execute CONV `commands[row]`; returns an ErrorCode, NONE when all is well.

    Shapes, with C lanes and K `channels`: scratchpad `[words, C]`, weights `[words * K, C]`,
    parameters `[blocks, 9, C]`, masks (the step list) `[LIST_ROWS, C]`. `rounding` : a `Rounding`.
    """
    c = commands[row]
    lanes = scratchpad.shape[1]
    fetched: NDArray[np.bool_] = _ALL
    steps = int(c["kernel_height"] * c["kernel_width"] * c["channel_steps"])
    width, outputs = int(c["ofm_width"]), int(c["blocks"] * c["depth"]) * channels
    first = int(c["weight_base"]) * channels
    if c["listed"]:
        kept = kept_words(step_masks(masks, c), int(c["depth"]))
        words = weights[first : first + int(kept.sum()) * channels].reshape(-1, channels, lanes)
        if len(words) < kept.sum():
            return _BUFFER_BOUNDS
        fetched = np.asarray(kept.any(axis=(0, 2)))
        units = np.zeros((*kept.shape, channels, lanes), np.int8)
        units[kept] = words
    else:
        units = weights[first : first + steps * outputs]
        if len(units) < steps * outputs:
            return _BUFFER_BOUNDS
    if not parameters_in_bounds(parameters, c, outputs // lanes):
        return _BUFFER_BOUNDS
    # [block][step][d][k][c] to a row for each output channel
    blocks = units.reshape(int(c["blocks"]), steps, -1, lanes).transpose(0, 2, 1, 3)
    return int(
        _conv_rows(
            scratchpad,
            blocks.astype(np.int16, order="C").reshape(outputs, steps * lanes),
            channel_parameters(parameters, c, outputs // lanes),
            np.empty((width, steps * lanes), dtype=np.int16),
            np.empty((width, outputs), dtype=np.int32),
            commands,
            row,
            banks,
            rounding,
            fetched,
        )
    )


@entry
def _conv_rows(
    scratchpad: NDArray[np.int8],
    weights: NDArray[np.int16],
    output: NDArray[np.int32],
    patches: NDArray[np.int16],
    accumulators: NDArray[np.int32],
    commands: NDArray[Any],
    row: int,
    banks: int,
    rounding: int,
    fetched: NDArray[np.bool_],
) -> int:
    """All output rows; `patches` and `accumulators` are room for one of them."""
    c = commands[row]
    words = scratchpad.shape[0]
    if not _windows_in_bounds(commands, row, c.channel_steps, banks, words, fetched):
        return _SCRATCHPAD_BOUNDS
    for oy in range(c.ofm_height):
        _gather_patches(scratchpad, commands, row, oy, patches)
        _dot_rows(patches, weights, accumulators)
        base = c.ofm_base + oy * c.ofm_row_pitch
        error = write_row(scratchpad, accumulators, output, _ZERO, commands, row, base, rounding)
        if error != _OK:
            return error
    return _OK


@jit
def _gather_patches(
    scratchpad: NDArray[np.int8],
    commands: NDArray[Any],
    row: int,
    oy: int,
    patches: NDArray[np.int16],
) -> None:
    """Gather the input of output row `oy`: int16 `[ofm_width, ky * kx * cs * C]`."""
    c = commands[row]
    lanes = scratchpad.shape[1]
    zero_point = np.int16(c.ifm_zero_point)
    for ox in range(c.ofm_width):
        group = ox // c.group_pixels
        column = group * c.group_step + (ox - group * c.group_pixels) * c.window_stride
        at = 0
        for ky in range(c.kernel_height):
            iy = oy * c.stride_y - c.pad_top + ky * c.dilation_y
            origin = c.ifm_origin + oy * c.ifm_row_step + ky * c.ifm_tap_row_step + column
            for kx in range(c.kernel_width):
                tap = kx * c.tap_step
                ix = column - c.pad_left + tap
                inside = iy >= 0 and iy < c.ifm_height and ix >= 0 and ix < c.ifm_width
                for cs in range(c.channel_steps):
                    word = origin + tap + cs * c.ifm_plane_pitch & ADDRESS_MASK
                    for lane in range(lanes):
                        patches[ox, at + lane] = scratchpad[word, lane] if inside else zero_point
                    at += lanes


@jit
def _dot_rows(
    patches: NDArray[np.int16], weights: NDArray[np.int16], accumulators: NDArray[np.int32]
) -> None:
    """`accumulators[x, n] = sum over i of patches[x, i] * weights[n, i]`, modulo 2**32."""
    for n in range(weights.shape[0]):
        for x in range(patches.shape[0]):
            total = np.int32(0)
            for i in range(patches.shape[1]):
                total = np.int32(total + np.int32(patches[x, i]) * np.int32(weights[n, i]))
            accumulators[x, n] = total


def execute_depthwise(
    scratchpad: NDArray[np.int8],
    weights: NDArray[np.int8],
    parameters: NDArray[np.uint8],
    commands: NDArray[Any],
    row: int,
    channels: int,
    banks: int,
    rounding: int,
    maximum: bool,
) -> int:
    """Execute DEPTHWISE, or MAX_POOL with `maximum`; shapes and result as in `execute_conv`."""
    c = commands[row]
    lanes, width, group = scratchpad.shape[1], int(c["ofm_width"]), int(c["group_pixels"])
    words = weights.reshape(-1, lanes, channels)[int(c["weight_base"]) :]
    if not maximum and len(words) < c["blocks"] * c["kernel_height"] * c["kernel_width"]:
        return _BUFFER_BOUNDS
    if not parameters_in_bounds(parameters, c, int(c["blocks"])):
        return _BUFFER_BOUNDS
    stride = int(c["window_stride"])
    taps = 1 if maximum else min(channels, banks - (banks // 2 - 1) * stride)
    columns = (width - 1) // group * int(c["group_step"]) + (group - 1) * stride
    columns += int((c["kernel_width"] - 1) * c["tap_step"]) + taps
    output = channel_parameters(parameters, c, int(c["blocks"]))
    line = np.empty((columns, lanes), dtype=np.int32)
    sums = np.empty((width, lanes), dtype=np.int32)
    command = (commands, row, banks, rounding)
    if maximum:
        return int(_max_pool_rows(scratchpad, output, line, sums, *command))
    return int(_depthwise_rows(scratchpad, output, line, sums, *command, words, taps))


@entry
def _depthwise_rows(
    scratchpad: NDArray[np.int8],
    output: NDArray[np.int32],
    line: NDArray[np.int32],
    accumulators: NDArray[np.int32],
    commands: NDArray[Any],
    row: int,
    banks: int,
    rounding: int,
    weights: NDArray[np.int8],
    taps: int,
) -> int:
    """All output rows of DEPTHWISE; `line` and `accumulators` are room for one of them.

    `weights` : int8 `[steps, C, K]` from the command's first; a step has `taps` taps.
    """
    c = commands[row]
    if not _windows_in_bounds(commands, row, c.blocks, banks, scratchpad.shape[0], _ALL):
        return _SCRATCHPAD_BOUNDS
    for block in range(c.blocks):
        for oy in range(c.ofm_height):
            _fill(accumulators, np.int32(0))
            for ky in range(c.kernel_height):
                _gather_line(scratchpad, commands, row, oy, ky, block, line)
                for kx in range(c.kernel_width):
                    step = (block * c.kernel_height + ky) * c.kernel_width + kx
                    tap = kx * c.tap_step
                    _accumulate_taps(line, weights, step, commands, row, tap, taps, accumulators)
            base = c.ofm_base + block * c.ofm_plane_pitch + oy * c.ofm_row_pitch
            first = block * scratchpad.shape[1]
            error = write_row(
                scratchpad, accumulators, output, first, commands, row, base, rounding
            )
            if error != _OK:
                return error
    return _OK


@entry
def _max_pool_rows(
    scratchpad: NDArray[np.int8],
    output: NDArray[np.int32],
    line: NDArray[np.int32],
    accumulators: NDArray[np.int32],
    commands: NDArray[Any],
    row: int,
    banks: int,
    rounding: int,
) -> int:
    """All output rows of MAX_POOL; `line` and `accumulators` are room for one of them."""
    c = commands[row]
    if not _windows_in_bounds(commands, row, c.blocks, banks, scratchpad.shape[0], _ALL):
        return _SCRATCHPAD_BOUNDS
    for block in range(c.blocks):
        for oy in range(c.ofm_height):
            _fill(accumulators, np.int32(_LOWEST))
            for ky in range(c.kernel_height):
                _gather_line(scratchpad, commands, row, oy, ky, block, line)
                for kx in range(c.kernel_width):
                    _take_maximum(line, commands, row, kx * c.tap_step, accumulators)
            base = c.ofm_base + block * c.ofm_plane_pitch + oy * c.ofm_row_pitch
            first = block * scratchpad.shape[1]
            error = write_row(
                scratchpad, accumulators, output, first, commands, row, base, rounding
            )
            if error != _OK:
                return error
    return _OK


@jit
def _fill(accumulators: NDArray[np.int32], value: np.int32) -> None:
    for x in range(accumulators.shape[0]):
        for lane in range(accumulators.shape[1]):
            accumulators[x, lane] = value


@jit
def _gather_line(
    scratchpad: NDArray[np.int8],
    commands: NDArray[Any],
    row: int,
    oy: int,
    ky: int,
    block: int,
    line: NDArray[np.int32],
) -> None:
    """Gather one input row of a channel word, padding included: int32 `[columns, C]`."""
    c = commands[row]
    iy = oy * c.stride_y - c.pad_top + ky * c.dilation_y
    origin = c.ifm_origin + oy * c.ifm_row_step + ky * c.ifm_tap_row_step
    origin += block * c.ifm_plane_pitch
    zero_point = np.int32(c.ifm_zero_point)
    for column in range(line.shape[0]):
        ix = column - c.pad_left
        inside = iy >= 0 and iy < c.ifm_height and ix >= 0 and ix < c.ifm_width
        word = origin + column & ADDRESS_MASK
        for lane in range(scratchpad.shape[1]):
            line[column, lane] = scratchpad[word, lane] if inside else zero_point


@jit
def _accumulate_taps(
    line: NDArray[np.int32],
    weights: NDArray[np.int8],
    step: int,
    commands: NDArray[Any],
    row: int,
    tap: int,
    taps: int,
    accumulators: NDArray[np.int32],
) -> None:
    """Add one step's taps: weights int8 `[steps, C, K]`; tap k of `taps` reads column `tap + k`."""
    c = commands[row]
    for x in range(accumulators.shape[0]):
        group = x // c.group_pixels
        column = group * c.group_step + (x - group * c.group_pixels) * c.window_stride + tap
        for k in range(taps):
            for lane in range(line.shape[1]):
                product = line[column + k, lane] * np.int32(weights[step, lane, k])
                accumulators[x, lane] += product


@jit
def _take_maximum(
    line: NDArray[np.int32],
    commands: NDArray[Any],
    row: int,
    tap: int,
    accumulators: NDArray[np.int32],
) -> None:
    c = commands[row]
    for x in range(accumulators.shape[0]):
        group = x // c.group_pixels
        column = group * c.group_step + (x - group * c.group_pixels) * c.window_stride + tap
        for lane in range(line.shape[1]):
            if line[column, lane] > accumulators[x, lane]:
                accumulators[x, lane] = line[column, lane]
