"""LOAD and STORE: copies between external memory and the memories on chip."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.config import BIAS_BYTES, PARAMETER_BYTES
from rtl.isa import ADDRESS_BITS, Destination, Tables
from rtl.registers import ErrorCode
from sim.jit import entry, smaller
from sim.weight_stream import UNIT_BYTES, Encoding, decode_weights

ADDRESS_MASK = (1 << ADDRESS_BITS) - 1

_OK = int(ErrorCode.NONE)
_REGION_BOUNDS = int(ErrorCode.REGION_BOUNDS)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)
_BUFFER_BOUNDS = int(ErrorCode.BUFFER_BOUNDS)


def execute_load(
    region: NDArray[np.uint8],
    scratchpad: NDArray[np.uint8],
    weights: NDArray[np.uint8],
    parameters: NDArray[np.uint8],
    table: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    commands: NDArray[Any],
    row: int,
) -> int:
    """Execute LOAD `commands[row]`; returns an ErrorCode, NONE when all is well.

    Shapes, with C lanes: region `[bytes]`, scratchpad `[words, C]`, weights `[units, C]`,
    parameters `[blocks, 9, C]`, table `[256 / C, C]`, masks `[LIST_ROWS, C]`.
    """
    destination = commands["destination"][row]
    if destination == Destination.SCRATCHPAD:
        return int(_load(region, scratchpad, commands, row, 1, 1, _SCRATCHPAD_BOUNDS))
    if destination == Destination.WEIGHTS:
        return int(_load(region, weights, commands, row, 1, 1, _BUFFER_BOUNDS))
    if destination == Destination.TABLE:
        return int(_load(region, table, commands, row, 1, 1, _BUFFER_BOUNDS))
    if destination == Destination.LIST:
        return int(_load(region, masks, commands, row, 1, 1, _BUFFER_BOUNDS))
    if destination == Destination.ENCODED:
        return _load_encoded(region, weights, commands, row)
    planes = BIAS_BYTES if destination == Destination.BIASES else PARAMETER_BYTES
    memory = parameters.reshape(-1, parameters.shape[2])
    return int(_load(region, memory, commands, row, planes, PARAMETER_BYTES, _BUFFER_BOUNDS))


def encoding_of(record: Any) -> Encoding:
    """How the weights of a LOAD to ENCODED are encoded."""
    return Encoding(
        code_bits=int(record["code_bits"]),
        tables=Tables(int(record["tables"])),
        masked=bool(record["masked"]),
        pitch=int(record["row_pitch"]),
        pairs=int(record["plane_pitch"]),
        blocks=int(record["rows"]),
    )


def encoded_stream(
    region: NDArray[np.uint8], commands: NDArray[Any], row: int
) -> tuple[int, NDArray[np.uint8]]:
    """The bytes that LOAD `commands[row]` brings to the decoder, and an ErrorCode."""
    plain = commands[row : row + 1].copy()
    pixels = int(plain["pixels"][0])
    plain["base"] = plain["plane_pitch"] = 0
    plain["row_pitch"] = pixels
    units = np.zeros((int(plain["rows"][0]) * pixels, UNIT_BYTES), np.uint8)
    return int(_load(region, units, plain, 0, 1, 1, _BUFFER_BOUNDS)), units.reshape(-1)


def _load_encoded(
    region: NDArray[np.uint8], weights: NDArray[np.uint8], commands: NDArray[Any], row: int
) -> int:
    encoding, base = encoding_of(commands[row]), int(commands["base"][row])
    code, stream = encoded_stream(region, commands, row)
    if code != _OK:
        return code
    if base + encoding.units > len(weights):
        return _BUFFER_BOUNDS
    weights[base : base + encoding.units] = decode_weights(stream, encoding).weights
    return _OK


@entry
def _load(
    region: NDArray[np.uint8],
    memory: NDArray[np.uint8],
    commands: NDArray[Any],
    row: int,
    planes: int,
    block_words: int,
    out_of_bounds: int,
) -> int:
    """Load into `memory`, `[words, C]`.

    An address stands for `block_words` words, of which the first `planes` are written, from pixels
    in a row. Outside `memory` the result is `out_of_bounds`.
    """
    c = commands[row]
    lanes = memory.shape[1]
    pad = np.uint8(c.pad_value & 0xFF)
    for r in range(c.rows):
        begin = c.offset + r * c.row_stride
        if begin + c.row_bytes > region.shape[0]:
            return _REGION_BOUNDS
        for i in range(c.pixels):
            for j in range(c.pixel_words):
                place = c.base + j * c.plane_pitch + r * c.row_pitch + i // planes & ADDRESS_MASK
                word = place * block_words + i % planes
                if word >= memory.shape[0]:
                    return out_of_bounds
                # where lane 0 would be in the row
                first = i * c.pixel_step + j * lanes - c.lane_offset - c.pad_left
                front = c.lane_offset if j == 0 else 0
                end = smaller(lanes, c.lane_offset + c.pixel_bytes - j * lanes)
                for lane in range(front, end):
                    source = first + lane
                    inside = source >= 0 and source < c.row_bytes
                    memory[word, lane] = region[begin + source] if inside else pad
                if c.merge == 0:
                    for lane in range(end, lanes):
                        memory[word, lane] = pad
    return _OK


@entry
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
        if begin + c.pixels * c.pixel_bytes > region.shape[0]:
            return _REGION_BOUNDS
        for i in range(c.pixels):
            for j in range(c.pixel_words):
                address = c.base + j * c.plane_pitch + r * c.row_pitch + i & ADDRESS_MASK
                if address >= scratchpad.shape[0]:
                    return _SCRATCHPAD_BOUNDS
                target = begin + i * c.pixel_bytes + j * lanes
                for lane in range(smaller(lanes, c.pixel_bytes - j * lanes)):
                    region[target + lane] = scratchpad[address, lane]
    return _OK
