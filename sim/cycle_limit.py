"""When a simulation has certainly gone wrong."""

import numpy as np

from rtl.isa import Opcode
from sim.command_table import Records, decode_table
from sim.memory import MemoryConfig
from sim.program import Program

_FIXED_CYCLES = 20_000
_SLACK = 8


def cycle_limit(program: Program, memory: MemoryConfig) -> int:
    """Cycles that a run cannot need: a generous multiple of all commands one after the other."""
    config = program.config
    total = _FIXED_CYCLES
    table = decode_table(program.commands)
    for opcode, records in table.records.items():
        cycles = np.full(len(records), 100 + 2 * memory.latency_cycles, dtype=np.int64)
        if opcode in (Opcode.LOAD, Opcode.STORE):
            words = records["pixels"] * records["pixel_words"]
            moved = records["row_bytes"] if opcode == Opcode.LOAD else words * config.lanes
            beats = moved // config.bus_bytes + 2
            bursts = beats // min(config.burst_beats, 16) + 2
            cycles += records["rows"] * (bursts * (memory.latency_cycles + 4) + beats + words)
        elif opcode == Opcode.ELEMENTWISE:
            cycles += records["words"] * 4
        elif opcode in (Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL):
            cycles += _grid_cycles(records, config.pixels)
        total += int(cycles.sum())
    return int(_SLACK * total / (1.0 - memory.stall_probability) ** 2)


def _grid_cycles(records: Records, pixels: int) -> Records:
    groups = -(-records["ofm_width"] // np.maximum(records["group_pixels"], 1))
    steps = records["kernel_height"] * records["kernel_width"] * records["channel_steps"]
    per_group = (steps + pixels) * records["depth"] + 32
    return np.asarray(records["blocks"] * records["ofm_height"] * groups * per_group)
