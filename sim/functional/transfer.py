"""LOAD and STORE: copies between external memory and the memories on chip."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtl.config import BIAS_BYTES, PARAMETER_BYTES
from rtl.isa import ADDRESS_BITS, Destination
from rtl.registers import ErrorCode

ADDRESS_MASK = (1 << ADDRESS_BITS) - 1

_OK = int(ErrorCode.NONE)
_REGION_BOUNDS = int(ErrorCode.REGION_BOUNDS)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)
_BUFFER_BOUNDS = int(ErrorCode.BUFFER_BOUNDS)
_TO_SCRATCHPAD = int(Destination.SCRATCHPAD)
_TO_WEIGHTS = int(Destination.WEIGHTS)
_TO_TABLE = int(Destination.TABLE)
_TO_BIASES = int(Destination.BIASES)


@njit(cache=True, nogil=True)
def execute_load(
    region: NDArray[np.uint8],
    scratchpad: NDArray[np.uint8],
    weights: NDArray[np.uint8],
    parameters: NDArray[np.uint8],
    table: NDArray[np.uint8],
    commands: NDArray[Any],
    row: int,
) -> int:
    """Execute LOAD `commands[row]`; returns an ErrorCode, NONE when all is well.

    Shapes, with C lanes: region `[bytes]`, scratchpad `[words, C]`, weights `[units, C]`,
    parameters `[blocks, 9, C]`, table `[256 / C, C]`.
    """
    c = commands[row]
    lanes = scratchpad.shape[1]
    pad = np.uint8(c.pad_value & 0xFF)
    longest = max(c.pad_left + c.row_bytes, (c.pixels - 1) * c.pixel_step + c.pixel_bytes)
    line = np.full(longest, pad, dtype=np.uint8)
    word = np.empty(lanes, dtype=np.uint8)
    for r in range(c.rows):
        begin = c.offset + r * c.row_stride
        if begin + c.row_bytes > len(region):
            return _REGION_BOUNDS
        line[c.pad_left : c.pad_left + c.row_bytes] = region[begin : begin + c.row_bytes]
        for i in range(c.pixels):
            for j in range(c.pixel_words):
                begin_lane = c.lane_offset if j == 0 else 0
                end_lane = min(lanes, c.lane_offset + c.pixel_bytes - j * lanes)
                first = i * c.pixel_step + j * lanes - c.lane_offset
                for lane in range(begin_lane, end_lane):
                    word[lane] = line[first + lane]
                if c.merge == 0:
                    word[end_lane:] = pad
                address = c.base + j * c.plane_pitch + r * c.row_pitch + i & ADDRESS_MASK
                if c.destination == _TO_SCRATCHPAD:
                    if address >= len(scratchpad):
                        return _SCRATCHPAD_BOUNDS
                    if c.merge == 0:
                        scratchpad[address] = word
                    else:
                        scratchpad[address, begin_lane:end_lane] = word[begin_lane:end_lane]
                elif c.destination == _TO_WEIGHTS:
                    if address >= len(weights):
                        return _BUFFER_BOUNDS
                    weights[address] = word
                elif c.destination == _TO_TABLE:
                    if address >= len(table):
                        return _BUFFER_BOUNDS
                    table[address] = word
                else:
                    planes = BIAS_BYTES if c.destination == _TO_BIASES else PARAMETER_BYTES
                    block = c.base + i // planes & ADDRESS_MASK
                    if block >= len(parameters):
                        return _BUFFER_BOUNDS
                    parameters[block, i % planes] = word
    return _OK


@njit(cache=True, nogil=True)
def execute_store(
    region: NDArray[np.uint8],
    scratchpad: NDArray[np.uint8],
    commands: NDArray[Any],
    row: int,
) -> int:
    """Execute STORE `commands[row]`; shapes and result as in `execute_load`."""
    c = commands[row]
    lanes = scratchpad.shape[1]
    for r in range(c.rows):
        begin = c.offset + r * c.row_stride
        if begin + c.pixels * c.pixel_bytes > len(region):
            return _REGION_BOUNDS
        for i in range(c.pixels):
            for j in range(c.pixel_words):
                address = c.base + j * c.plane_pitch + r * c.row_pitch + i & ADDRESS_MASK
                if address >= len(scratchpad):
                    return _SCRATCHPAD_BOUNDS
                target = begin + i * c.pixel_bytes + j * lanes
                for lane in range(min(lanes, c.pixel_bytes - j * lanes)):
                    region[target + lane] = scratchpad[address, lane]
    return _OK
