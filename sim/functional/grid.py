"""CONV, DEPTHWISE and MAX_POOL: what the grid computes, gathered by rows instead of windows."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtl.registers import ErrorCode
from sim.functional.output import channel_parameters, parameters_in_bounds, write_row
from sim.functional.transfer import ADDRESS_MASK

_OK = int(ErrorCode.NONE)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)
_BUFFER_BOUNDS = int(ErrorCode.BUFFER_BOUNDS)


@njit(cache=True, nogil=True)
def windows_in_bounds(
    commands: NDArray[Any], row: int, channel_words: int, banks: int, scratchpad_words: int
) -> bool:
    """Whether every window word that lies in the image also lies in the scratchpad.

    `channel_words`: input words per pixel (CONV: channel_steps, otherwise blocks).
    """
    c = commands[row]
    groups = -(-c.ofm_width // c.group_pixels)
    for oy in range(c.ofm_height):
        for ky in range(c.kernel_height):
            iy = oy * c.stride_y - c.pad_top + ky * c.dilation_y
            if not 0 <= iy < c.ifm_height:
                continue
            origin = c.ifm_origin + oy * c.ifm_row_step + ky * c.ifm_tap_row_step
            for g in range(groups):
                for kx in range(c.kernel_width):
                    step = g * c.group_step + kx * c.tap_step
                    ix = step - c.pad_left
                    low = max(0, -ix)
                    high = min(banks, c.ifm_width - ix)
                    for word in range(channel_words if low < high else 0):
                        first = origin + step + word * c.ifm_plane_pitch + low
                        if (first & ADDRESS_MASK) + high - low > scratchpad_words:
                            return False
    return True


@njit(cache=True, nogil=True)
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
    for ox in range(c.ofm_width):
        group, pixel = divmod(ox, c.group_pixels)
        column = group * c.group_step + pixel * c.window_stride
        at = 0
        for ky in range(c.kernel_height):
            iy = oy * c.stride_y - c.pad_top + ky * c.dilation_y
            origin = c.ifm_origin + oy * c.ifm_row_step + ky * c.ifm_tap_row_step + column
            for kx in range(c.kernel_width):
                tap = kx * c.tap_step
                inside = 0 <= iy < c.ifm_height and 0 <= column - c.pad_left + tap < c.ifm_width
                for cs in range(c.channel_steps):
                    if inside:
                        word = scratchpad[origin + tap + cs * c.ifm_plane_pitch & ADDRESS_MASK]
                        for lane in range(lanes):
                            patches[ox, at + lane] = word[lane]
                    else:
                        patches[ox, at : at + lanes] = c.ifm_zero_point
                    at += lanes


@njit(cache=True, nogil=True)
def _weight_rows(
    weights: NDArray[np.int8], commands: NDArray[Any], row: int, channels: int
) -> NDArray[np.int16]:
    """Weights `[block][step][d][k][c]` as int16 `[block * d * k, step * c]`."""
    c = commands[row]
    lanes = weights.shape[1]
    steps = c.kernel_height * c.kernel_width * c.channel_steps
    per_block = c.depth * channels
    rows = np.empty((c.blocks * per_block, steps * lanes), dtype=np.int16)
    unit = c.weight_base * channels
    for block in range(c.blocks):
        for step in range(steps):
            for channel in range(per_block):
                for lane in range(lanes):
                    rows[block * per_block + channel, step * lanes + lane] = weights[unit, lane]
                unit += 1
    return rows


@njit(cache=True, nogil=True)
def _dot_rows(
    patches: NDArray[np.int16], weights: NDArray[np.int16], accumulators: NDArray[np.int32]
) -> None:
    """`accumulators[x, n] = sum over i of patches[x, i] * weights[n, i]`, modulo 2**32."""
    for n in range(weights.shape[0]):
        weight = weights[n]
        for x in range(patches.shape[0]):
            patch = patches[x]
            total = np.int32(0)
            for i in range(patch.shape[0]):
                total = np.int32(total + np.int32(patch[i]) * np.int32(weight[i]))
            accumulators[x, n] = total


@njit(cache=True, nogil=True)
def execute_conv(
    scratchpad: NDArray[np.int8],
    weights: NDArray[np.int8],
    parameters: NDArray[np.uint8],
    commands: NDArray[Any],
    row: int,
    channels: int,
    banks: int,
    rounding: int,
) -> int:
    """Execute CONV `commands[row]`; returns an ErrorCode, NONE when all is well.

    Shapes, with C lanes and K `channels`: scratchpad `[words, C]`, weights `[words * K, C]`,
    parameters `[blocks, 9, C]`. `rounding` : a `Rounding`.
    """
    c = commands[row]
    lanes = scratchpad.shape[1]
    steps = c.kernel_height * c.kernel_width * c.channel_steps
    words = c.blocks * c.depth * channels // lanes
    if (c.weight_base + c.blocks * steps * c.depth) * channels > len(weights):
        return _BUFFER_BOUNDS
    if not parameters_in_bounds(parameters, commands, row, words):
        return _BUFFER_BOUNDS
    if not windows_in_bounds(commands, row, c.channel_steps, banks, len(scratchpad)):
        return _SCRATCHPAD_BOUNDS
    weight_rows = _weight_rows(weights, commands, row, channels)
    output = channel_parameters(parameters, commands, row, 0, words)
    patches = np.empty((c.ofm_width, steps * lanes), dtype=np.int16)
    accumulators = np.empty((c.ofm_width, words * lanes), dtype=np.int32)
    for oy in range(c.ofm_height):
        _gather_patches(scratchpad, commands, row, oy, patches)
        _dot_rows(patches, weight_rows, accumulators)
        base = c.ofm_base + oy * c.ofm_row_pitch
        error = write_row(scratchpad, accumulators, output, commands, row, base, rounding)
        if error != _OK:
            return int(error)
    return _OK


@njit(cache=True, nogil=True)
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
    lanes = scratchpad.shape[1]
    iy = oy * c.stride_y - c.pad_top + ky * c.dilation_y
    origin = c.ifm_origin + oy * c.ifm_row_step + ky * c.ifm_tap_row_step
    origin += block * c.ifm_plane_pitch
    inside = 0 <= iy < c.ifm_height
    for column in range(line.shape[0]):
        if inside and 0 <= column - c.pad_left < c.ifm_width:
            word = scratchpad[origin + column & ADDRESS_MASK]
            for lane in range(lanes):
                line[column, lane] = word[lane]
        else:
            line[column, :] = c.ifm_zero_point


@njit(cache=True, nogil=True)
def _accumulate_taps(
    line: NDArray[np.int32],
    weight: NDArray[np.int8],
    commands: NDArray[Any],
    row: int,
    tap: int,
    taps: int,
    accumulators: NDArray[np.int32],
) -> None:
    """Add one step's taps: weight int8 `[C, K]`; tap k of `taps` reads column `tap + k`."""
    c = commands[row]
    lanes = line.shape[1]
    for x in range(accumulators.shape[0]):
        group, pixel = divmod(x, c.group_pixels)
        column = group * c.group_step + pixel * c.window_stride + tap
        for k in range(taps):
            for lane in range(lanes):
                accumulators[x, lane] += line[column + k, lane] * np.int32(weight[lane, k])


@njit(cache=True, nogil=True)
def _take_maximum(
    line: NDArray[np.int32],
    commands: NDArray[Any],
    row: int,
    tap: int,
    accumulators: NDArray[np.int32],
) -> None:
    c = commands[row]
    for x in range(accumulators.shape[0]):
        group, pixel = divmod(x, c.group_pixels)
        column = group * c.group_step + pixel * c.window_stride + tap
        for lane in range(line.shape[1]):
            accumulators[x, lane] = max(accumulators[x, lane], line[column, lane])


@njit(cache=True, nogil=True)
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
    lanes = scratchpad.shape[1]
    steps = c.kernel_height * c.kernel_width
    if not maximum and (c.weight_base + c.blocks * steps) * channels > len(weights):
        return _BUFFER_BOUNDS
    if not parameters_in_bounds(parameters, commands, row, c.blocks):
        return _BUFFER_BOUNDS
    if not windows_in_bounds(commands, row, c.blocks, banks, len(scratchpad)):
        return _SCRATCHPAD_BOUNDS
    taps = 1 if maximum else min(channels, banks - (banks // 2 - 1) * c.window_stride)
    last_group = (c.ofm_width - 1) // c.group_pixels
    columns = last_group * c.group_step + (c.group_pixels - 1) * c.window_stride
    columns += (c.kernel_width - 1) * c.tap_step + taps
    line = np.empty((columns, lanes), dtype=np.int32)
    accumulators = np.empty((c.ofm_width, lanes), dtype=np.int32)
    for block in range(c.blocks):
        output = channel_parameters(parameters, commands, row, block, 1)
        for oy in range(c.ofm_height):
            accumulators[:, :] = np.int32(-(2**31)) if maximum else np.int32(0)
            for ky in range(c.kernel_height):
                _gather_line(scratchpad, commands, row, oy, ky, block, line)
                for kx in range(c.kernel_width):
                    if maximum:
                        _take_maximum(line, commands, row, kx * c.tap_step, accumulators)
                    else:
                        step = (block * c.kernel_height + ky) * c.kernel_width + kx
                        unit = (c.weight_base + step) * channels
                        word = weights[unit : unit + channels].reshape(lanes, channels)
                        tap = kx * c.tap_step
                        _accumulate_taps(line, word, commands, row, tap, taps, accumulators)
            base = c.ofm_base + block * c.ofm_plane_pitch + oy * c.ofm_row_pitch
            error = write_row(scratchpad, accumulators, output, commands, row, base, rounding)
            if error != _OK:
                return int(error)
    return _OK
