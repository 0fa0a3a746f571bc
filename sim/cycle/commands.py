"""The command stream as the cycle model needs it: one record per command, engine by engine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.config import LIST_ROWS
from rtl.isa import COMMANDS, Destination, Engine, Opcode
from sim.command_table import CommandTable
from sim.cycle.decode import ENDS
from sim.cycle.state import ENGINES
from sim.functional.transfer import encoded_stream, encoding_of
from sim.step_list import MASKS, kept_words, load_list, step_masks
from sim.weight_stream import decode_weights

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
    "listed",
    *("ofm_height", "ofm_width", "ofm_base", "ofm_plane_pitch", "ofm_row_pitch", "words"),
)
"""The fields that matter for timing, all unsigned; a command without one has 0 there."""

_DERIVED = ("opcode", "beats", "engine", "grid", "accumulates", "operations", "steps")

COMMAND: np.dtype[Any] = np.dtype([(name, np.int64) for name in (*_DERIVED, *_FIELDS)])
"""Fields as in `rtl.isa`. `grid` : 1 for commands that use the multipliers, `accumulates` : 1 when
each window is used `depth` times; `operations` : of the weight decoder; `steps` : where the steps
of a listed CONV begin, -1 for other commands."""

Table = tuple[
    NDArray[Any], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]
]


def gather_commands(table: CommandTable, constants: NDArray[np.uint8]) -> Table:
    """All commands of a stream, engine by engine, whose encoded weights are in `constants`.

    Returns the commands (`COMMAND` `[n]`), the indices of each engine's commands in order (int64
    `[3, n]`), how many each engine has (int64 `[3]`), what the weight decoder does in each of
    its cycles, of all LOADs one behind the other (`sim.cycle.decode`), and the steps that are kept
    of all listed CONVs: weight words, and steps left out before the next one, int64 `[steps, 3]`;
    the third number is 1 for the last step of a block.
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
    operations = _operations(table, constants, commands)
    return commands, order, counts, operations, _steps(table, constants, commands)


def _operations(
    table: CommandTable, constants: NDArray[np.uint8], commands: NDArray[Any]
) -> NDArray[np.uint8]:
    found = [np.zeros(0, np.uint8)]
    for index in np.flatnonzero(
        (commands["opcode"] == Opcode.LOAD) & (commands["destination"] == Destination.ENCODED)
    ):
        records, row = table.records[Opcode.LOAD], int(table.rows[index])
        # a stream that ends outside of the region is an error that the model does not look for
        _, stream = encoded_stream(constants, records, row)
        cycles = decode_weights(stream, encoding_of(records[row])).cycles
        cycles[-1] |= int(ENDS)
        commands["operations"][index] = len(cycles)
        found.append(cycles)
    return np.concatenate(found)


def _steps(
    table: CommandTable, constants: NDArray[np.uint8], commands: NDArray[Any]
) -> NDArray[np.int64]:
    commands["steps"] = -1
    found = [np.zeros((0, 3), np.int64)]
    masks = np.zeros((LIST_ROWS, MASKS), np.uint8)
    count = 0
    lists = (commands["opcode"] == Opcode.LOAD) & (commands["destination"] == Destination.LIST)
    for index in np.flatnonzero(lists | (commands["listed"] == 1)):
        opcode = Opcode(int(commands["opcode"][index]))
        record = table.records[opcode][int(table.rows[index])]
        if opcode == Opcode.LOAD:
            load_list(masks, constants, record)
        else:
            words = kept_words(step_masks(masks, record), int(record["depth"])).sum(axis=2)
            block, step = np.nonzero(words)
            following = np.append(step[1:], words.shape[1])
            last = np.append(block[1:] != block[:-1], True)
            left_out = np.where(last, 0, following - step - 1)
            found.append(np.stack([words[block, step], left_out, last], axis=1).astype(np.int64))
            commands["steps"][index] = count
            count += len(step)
    return np.concatenate(found)
