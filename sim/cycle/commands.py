"""The command stream as the cycle model needs it: one record per command, engine by engine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.isa import COMMANDS, Engine, Opcode
from sim.command_table import CommandTable
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

Table = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]


def gather_commands(table: CommandTable) -> Table:
    """All commands of a stream, engine by engine.

    Returns the commands (`COMMAND` `[n]`), the indices of each engine's commands in order (int64
    `[3, n]`), and how many each engine has (int64 `[3]`).
    """
    commands = np.zeros(len(table), dtype=COMMAND)
    commands["opcode"] = table.opcodes
    for opcode, records in table.records.items():
        fmt = COMMANDS[opcode]
        own = np.flatnonzero(table.opcodes == opcode)
        commands["beats"][own] = fmt.beats
        commands["engine"][own] = fmt.engine
        commands["grid"][own] = "depth" in fmt.fields
        commands["accumulates"][own] = opcode == Opcode.CONV
        for name in _FIELDS:
            if name in fmt.fields:
                commands[name][own] = records[name]
    order = np.zeros((ENGINES, len(commands)), dtype=np.int64)
    counts = np.zeros(ENGINES, dtype=np.int64)
    for engine in (Engine.LOAD, Engine.COMPUTE, Engine.STORE):
        own = np.flatnonzero(commands["engine"] == engine)
        order[engine, : len(own)] = own
        counts[engine] = len(own)
    return commands, order, counts
