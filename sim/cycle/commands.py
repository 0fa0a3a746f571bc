"""The command stream as the cycle model needs it: one record per command, engine by engine."""

from functools import cache
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from numba import njit
from numpy.typing import NDArray

from rtl.isa import BEAT_BITS, COMMANDS, Engine, Opcode
from sim.cycle.state import ENGINES

_FIELDS = (
    *("wait_load", "wait_compute", "wait_store"),
    *("offset", "region", "destination", "rows", "row_bytes", "row_stride", "pad_left", "fold"),
    *(
        "lane_offset",
        "pixels",
        "pixel_bytes",
        "pixel_step",
        "pixel_words",
        "base",
        "row_pitch",
        "plane_pitch",
    ),
    *("kernel_height", "kernel_width", "channel_steps", "blocks", "depth", "group_pixels"),
    *("ofm_height", "ofm_width", "ofm_base", "ofm_plane_pitch", "ofm_row_pitch", "words"),
)
"""The fields that matter for timing, all unsigned; a command without one has 0 there."""

_DERIVED = ("opcode", "beats", "engine", "grid", "accumulates")

COMMAND: np.dtype[Any] = np.dtype([(name, np.int64) for name in (*_DERIVED, *_FIELDS)])
"""Fields as in `rtl.isa`. `grid` : 1 for commands that use the multipliers, `accumulates` : 1 when
each window is used `depth` times."""

_COLUMNS = {name: column for column, name in enumerate(COMMAND.names or ())}
_OPCODE, _BEATS, _ENGINE = (_COLUMNS[name] for name in ("opcode", "beats", "engine"))

Table = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]


@cache
def _formats() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What to set per opcode, and where its fields are.

    Returns int64 `[256, 5]` (beats, engine, grid, accumulates, number of fields) and
    `[256, fields, 4]` (column, beat, shift, mask).
    """
    formats = np.zeros((256, 5), dtype=np.int64)
    places = np.zeros((256, len(_FIELDS), 4), dtype=np.int64)
    for opcode, fmt in COMMANDS.items():
        grid = "depth" in fmt.fields
        count = 0
        for name, member in fmt.layout:
            if name in _FIELDS:
                shape = Shape.cast(member.shape)
                assert not shape.signed, name
                beat, bit = divmod(member.offset, BEAT_BITS)
                places[opcode, count] = (_COLUMNS[name], beat, bit, (1 << shape.width) - 1)
                count += 1
        formats[opcode] = (fmt.beats, fmt.engine, grid, opcode == Opcode.CONV, count)
    return formats, places


@njit(cache=True, nogil=True)
def _decode(
    stream: NDArray[np.uint64],
    formats: NDArray[np.int64],
    places: NDArray[np.int64],
    columns: tuple[int, int],
    end: int,
) -> NDArray[np.int64]:
    """The records as int64 `[commands, columns]`, up to END or the first that is damaged."""
    opcode_column, beats_column = columns
    width = places.shape[1] + 5
    table = np.zeros((stream.shape[0] + 1, width), dtype=np.int64)
    position = count = 0
    while position < stream.shape[0]:
        opcode = np.int64(stream[position] & np.uint64(0xFF))
        beats = formats[opcode, 0]
        if beats == 0 or position + beats > stream.shape[0]:
            break
        row = table[count]
        row[opcode_column] = opcode
        for k in range(4):
            row[beats_column + k] = formats[opcode, k]
        for k in range(formats[opcode, 4]):
            column, beat, shift, mask = places[opcode, k]
            word = stream[position + beat] >> np.uint64(shift)
            row[column] = np.int64(word & np.uint64(mask))
        position += beats
        count += 1
        if opcode == end:
            break
    return table[:count]


def decode_commands(stream: NDArray[np.uint64]) -> Table:
    """Decode a command stream, uint64 `[beats]`, up to END or what cannot be decoded.

    Returns the commands (`COMMAND` `[n]`), the indices of each engine's commands in order (int64
    `[3, n]`), and how many each engine has (int64 `[3]`).
    """
    formats, places = _formats()
    raw = _decode(stream, formats, places, (_OPCODE, _BEATS), int(Opcode.END))
    order = np.zeros((ENGINES, len(raw)), dtype=np.int64)
    counts = np.zeros(ENGINES, dtype=np.int64)
    for engine in (Engine.LOAD, Engine.COMPUTE, Engine.STORE):
        own = np.flatnonzero(raw[:, _ENGINE] == int(engine))
        order[engine, : len(own)] = own
        counts[engine] = len(own)
    return raw.view(COMMAND)[:, 0], order, counts
