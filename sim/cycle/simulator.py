"""The cycle model: a program's cycles and counters without executing it on data."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rtl import command_fetch, engine_front, packer, unpacker
from rtl.accumulators import Accumulators
from rtl.config import NpuConfig
from rtl.elementwise import Elementwise
from rtl.errors import ConfigError
from rtl.grid import Grid
from rtl.isa import Destination, Engine
from rtl.registers import ErrorCode, counted_events
from rtl.requantizer import Requantizer
from rtl.weight_decoder import WRITE_LATENCY
from sim.command_table import CommandTable, decode_table
from sim.cycle.commands import Table, gather_commands
from sim.cycle.loop import DEADLOCK, run
from sim.cycle.state import BURSTS, JOBS, MACHINE, SLOTS, TIMES, reset
from sim.disassembly import disassemble
from sim.errors import CommandError
from sim.legality import illegal_commands, misplaced_config
from sim.memory import HANDSHAKES, MemoryConfig
from sim.program import Program
from sim.result import TraceEvent

_COUNTER_MASK = (1 << 32) - 1


@dataclass(frozen=True, eq=False)
class CycleResult:
    """Timing of one run of a program.

    Attributes
    ----------
    program, memory : what was simulated.
    cycles : from START to the interrupt, as the NPU counts them.
    totals : how often each of `rtl.registers.Event` happened, by name, modulo 2**32.
    times : what is known of each command, `sim.cycle.state.TIMES` `[commands]`.
    """

    program: Program
    memory: MemoryConfig
    cycles: int
    totals: dict[str, int]
    times: NDArray[Any]

    @property
    def counters(self) -> dict[str, int]:
        """Those of `totals` that the hardware counts."""
        counted = counted_events(self.program.config)
        return {event.name: self.totals[event.name] for event in counted}

    @property
    def commands(self) -> NDArray[Any]:
        """The program's commands, `sim.cycle.commands.COMMAND` `[commands]`."""
        return _prepared(self.program)[0]

    @property
    def engine_commands(self) -> list[NDArray[np.int64]]:
        """The indices of the commands of LOAD, COMPUTE and STORE, in order."""
        _, order, counts, _, _ = _prepared(self.program)
        return [own[:count] for own, count in zip(order, counts, strict=True)]

    @cached_property
    def events(self) -> list[TraceEvent]:
        """Start and completion of every command, in time order."""
        events: list[TraceEvent] = []
        for number, own in enumerate(self.engine_commands):
            done = self.times["done"][own]
            # an engine shows one command at a time, the oldest
            before = np.concatenate([[-1], done[:-1]])[: len(done)]
            start = np.maximum(self.times["accepted"][own], before) + 1
            for command, begin, end in zip(
                own.tolist(), start.tolist(), done.tolist(), strict=True
            ):
                events.append(TraceEvent(begin, Engine(number), command, True))
                events.append(TraceEvent(end, Engine(number), command, False))
        return sorted(events, key=lambda e: (e.cycle, int(e.engine), e.start))


def simulate(program: Program, memory: MemoryConfig | None = None) -> CycleResult:
    """Time a program: cycles and counters equal those of the RTL.

    Inputs do not matter: nothing that the hardware does in time depends on data, but for encoded
    weights and step lists among the constants.

    Raises
    ------
    ConfigError : a memory with random stalls.
    CommandError : the stream is damaged, a command is illegal or in the wrong place, or the
        program deadlocks. Addresses are not checked: `sim.functional` does that.
    """
    memory = memory or MemoryConfig()
    require_regular(memory)
    commands, order, _, operations, steps = _prepared(program)
    machine = np.zeros(1, dtype=MACHINE)
    _describe(machine[0]["hardware"], program.config, memory)
    reset(machine[0], len(program.commands))
    times = np.zeros(len(commands), dtype=TIMES)
    status, value = run(machine, commands, operations, steps, order, times)
    if status == DEADLOCK:
        raise CommandError(
            ErrorCode.DEADLOCK, value, disassemble(decode_table(program.commands).command(value))
        )
    return CycleResult(program, memory, value, _totals(machine[0], value), times)


def require_regular(memory: MemoryConfig) -> None:
    """Refuse a memory that the model does not know, with a `ConfigError`."""
    if memory.stall_probability:
        raise ConfigError(
            "the cycle model has no random stalls: stall_probability must be 0,"
            f" got {memory.stall_probability}"
        )


_PREPARED: WeakKeyDictionary[Program, Table] = WeakKeyDictionary()


def _prepared(program: Program) -> Table:
    """A program's commands, checked and decoded once."""
    if program not in _PREPARED:
        table = decode_table(program.commands)
        _check(program.config, table)
        _PREPARED[program] = gather_commands(table, program.constants)
    return _PREPARED[program]


def _check(config: NpuConfig, table: CommandTable) -> None:
    """Refuse what the dispatcher or an engine would refuse."""
    misplaced, refused = misplaced_config(config, table), illegal_commands(config, table)
    if misplaced is not None and misplaced <= min(refused, default=misplaced):
        code = ErrorCode.CONFIG_MISMATCH
        raise CommandError(code, misplaced, disassemble(table.command(misplaced)))
    if refused:
        index = min(refused)
        raise CommandError(ErrorCode.ILLEGAL_FIELD, index, refused[index])
    if table.error != ErrorCode.NONE:
        raise CommandError(table.error, len(table))


def _describe(hardware: Any, config: NpuConfig, memory: MemoryConfig) -> None:
    """Fill in the record `sim.cycle.state.HARDWARE`."""
    unit_bytes = max(config.bus_bytes, config.lanes)
    item_bytes = max(config.bus_bytes, command_fetch.WORD_BYTES)
    burst_bytes = config.burst_beats * config.bus_bytes
    jobs = engine_front.COMMANDS_IN_FLIGHT
    assert jobs <= JOBS
    assert config.outstanding_bursts <= BURSTS
    assert 2 * config.block_words <= SLOTS
    values = {
        "lanes": config.lanes,
        "bus_bytes": config.bus_bytes,
        "bus_bits": config.bus_bytes.bit_length() - 1,
        "unit_bits": unit_bytes.bit_length() - 1,
        "unit_slots": unit_bytes // config.bus_bytes,
        "burst_bytes": burst_bytes,
        "outstanding": config.outstanding_bursts,
        "queue_beats": config.queue_beats,
        "word_shift": config.groups_per_word.bit_length() - 1,
        "requant_words": config.requant_words,
        "requant_parts": config.requant_parts,
        "bank_mask": config.banks - 1,
        "latency": memory.latency_cycles,
        "response_latency": memory.response_cycles or memory.latency_cycles,
        "handshake": HANDSHAKES.index(memory.handshake),
        "fetch_burst_bytes": min(command_fetch.BURST_BYTES, burst_bytes),
        "fetch_item_words": item_bytes // command_fetch.WORD_BYTES,
        "fetch_capacity": command_fetch.PREFETCH_BYTES // item_bytes,
        "load_jobs": jobs,
        "store_jobs": jobs,
        "unpacker_beats": unpacker.UNITS * (unit_bytes // config.bus_bytes),
        "packer_units": packer.UNITS,
        "scratchpad": Destination.SCRATCHPAD,
        "encoded": Destination.ENCODED,
        "decoder_latency": WRITE_LATENCY,
        "accumulator_slots": 2 * config.block_words,
        "drain_latency": Grid.LATENCY + Accumulators.LATENCY - 2,
        "write_latency": Requantizer.LATENCY + 2,
        "elementwise_write_latency": Elementwise.LATENCY + Requantizer.LATENCY,
    }
    for name, value in values.items():
        hardware[name] = value


def _totals(machine: Any, cycles: int) -> dict[str, int]:
    load, compute, store = machine["engines"]
    grid = machine["compute"]
    counters = {
        "CYCLES": cycles,
        "LOAD_BUSY": load["busy"],
        "COMPUTE_BUSY": compute["busy"],
        "STORE_BUSY": store["busy"],
        "MAC_ACTIVE": grid["mac_active"],
        "MAC_WAIT_WINDOW": grid["mac_wait_window"],
        "MAC_WAIT_ACCUMULATOR": grid["mac_wait_accumulator"],
        "OUTPUT_ACTIVE": grid["output_active"],
        "FETCH_ACTIVE": grid["fetch_active"],
        "LOAD_WAIT": load["waited"],
        "COMPUTE_WAIT": compute["waited"],
        "STORE_WAIT": store["waited"],
        "READ_BEATS": machine["read_beats"],
        "WRITE_BEATS": machine["write_beats"],
        "LOAD_WRITE_STALL": machine["load"]["write_stalls"],
        "STORE_READ_STALL": machine["store"]["read_stalls"],
    }
    return {name: int(count) & _COUNTER_MASK for name, count in counters.items()}
