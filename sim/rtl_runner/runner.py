"""Runs a program on the RTL: loads memories, writes registers, waits for the interrupt."""

import ctypes
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtl.config import NpuConfig
from rtl.isa import REGIONS, Engine, Region
from rtl.registers import (
    DEFAULT_TIMEOUT,
    ID_VALUE,
    Control,
    ErrorCode,
    Event,
    Register,
    Status,
    counted_events,
    event_counter,
    region_base,
    region_size,
)
from sim.binding import Inputs, make_arena, read_tensors
from sim.command_table import CommandTable, decode_table
from sim.cycle_limit import cycle_limit
from sim.disassembly import disassemble
from sim.errors import CommandError, SimulationError
from sim.memory import MemoryConfig
from sim.program import Program
from sim.result import SimulationResult, TraceEvent
from sim.rtl_runner.build import simulator_library
from sim.rtl_runner.bus import BusFaults, bus_options
from sim.rtl_runner.library import (
    PROTOCOL,
    RUNNING,
    TRACE_ENTRY,
    Options,
    Segment,
    State,
    open_library,
)
from sim.verilator.build import Log
from sim.waves import WaveFormat, Waves

Progress = Callable[[int, int], None]
"""Called with (commands completed, commands in all)."""

SLICE_CYCLES = 100_000
"""Cycles between two calls of a progress function; also how long Ctrl-C may take."""

_PAGE = 4096
_COMMANDS_BASE = 0x8000_0000


class RtlSimulator:
    """The RTL in Verilator, with a memory model around it.

    The first use of a configuration builds it, which takes about a minute; see
    `sim.rtl_runner.build`.

    Parameters
    ----------
    config : the hardware.
    memory : the external memory's timing.
    log : called with one line about each step of a build.
    verilog : another design with the ports of module `npu`; None: the project's own.
    records : the form of waves that the first build can write already, so that there is no other;
        it is slower then.

    Raises
    ------
    BuildError : the simulator cannot be built.
    """

    def __init__(
        self,
        config: NpuConfig,
        memory: MemoryConfig | None = None,
        log: Log | None = None,
        verilog: str | None = None,
        records: WaveFormat | None = None,
    ) -> None:
        self.config = config
        self.memory = memory or MemoryConfig()
        self._log = log
        self._verilog = verilog
        self._records = records
        self._library = open_library(simulator_library(config, log, records, verilog))

    def run(
        self,
        program: Program,
        inputs: Inputs,
        progress: Progress | None = None,
        max_cycles: int | None = None,
        trace: bool = False,
        faults: BusFaults | None = None,
        waves: Waves | None = None,
        bus_timeout: int = DEFAULT_TIMEOUT,
    ) -> SimulationResult:
        """Run a program once, from reset.

        Parameters
        ----------
        program : what to run.
        inputs : every input by tensor index or name, in its binding's shape and type.
        progress : called after every slice of the run.
        max_cycles : cycles after which the run counts as hung; by default far more than the
            program can need.
        trace : return the start and completion of every command.
        faults : make the memory answer with errors, or not at all.
        waves : write the values of all signals; the first time this builds another simulator,
            which is slower.
        bus_timeout : what the driver writes to the register BUS_TIMEOUT.

        Raises
        ------
        BuildError : the simulator that writes waves cannot be built.
        SimulationError : inputs that do not fit, waves that cannot be written, a hung run (with
            the state of each engine), or a violation of the bus protocol.
        CommandError : the NPU stopped with an error.
        """
        arena = make_arena(program, inputs)
        library = self._library
        if waves is not None and waves.form != self._records:
            path = simulator_library(self.config, self._log, waves.form, self._verilog)
            library = open_library(path)
        session = _Session(library, self.memory, program, arena, faults or BusFaults(), trace)
        try:
            if waves is not None:
                session.record(waves)
            session.start(bus_timeout)
            limit = cycle_limit(program, self.memory) if max_cycles is None else max_cycles
            session.wait(limit, progress)
            return session.finish()
        finally:
            session.close()

    @property
    def library(self) -> ctypes.CDLL:
        """The simulator's C interface."""
        return self._library


class _Session:
    """One run of one program."""

    def __init__(
        self,
        library: ctypes.CDLL,
        memory: MemoryConfig,
        program: Program,
        arena: NDArray[np.uint8],
        faults: BusFaults,
        trace: bool,
    ) -> None:
        self.library = library
        self.program = program
        self.table: CommandTable = decode_table(program.commands)
        # every piece fills whole pages, so that reads of whole beats at its end are answered,
        # and is followed by a page that does not exist
        pieces = [program.commands.view(np.uint8), program.constants, arena]
        self.pieces = [_padded(piece) for piece in pieces]
        self.sizes = [len(piece) for piece in pieces]
        self.bases: list[int] = []
        base = _COMMANDS_BASE
        for piece in self.pieces:
            self.bases.append(base)
            base += len(piece) + _PAGE
        if base > 1 << 32:
            raise SimulationError(
                f"the program needs {base - _COMMANDS_BASE} bytes of memory;"
                f" the simulated address space has {(1 << 32) - _COMMANDS_BASE}"
            )
        options = self._options(memory, faults)
        self.handle = self.library.npu_create(ctypes.byref(options))
        self.entries = np.zeros(2 * len(self.table) + 16 if trace else 0, dtype=TRACE_ENTRY)
        self.library.npu_trace(self.handle, self.entries.ctypes.data, len(self.entries))

    def _options(self, memory: MemoryConfig, faults: BusFaults) -> Options:
        read: int | None = None
        reads = zip(self.bases, (faults.commands, faults.constants, faults.arena), strict=True)
        for base, offset in reads:
            if offset is not None:
                read = base + offset
        write = None if faults.arena_write is None else self.bases[2] + faults.arena_write
        segments = [
            Segment(base, len(piece), piece.ctypes.data)
            for base, piece in zip(self.bases, self.pieces, strict=True)
        ]
        return bus_options(
            memory,
            segments,
            read=read,
            write=write,
            response=faults.response,
            silence=faults.silence,
        )

    def close(self) -> None:
        self.library.npu_destroy(self.handle)

    def write(self, address: int, value: int) -> None:
        if not self.library.npu_write_register(self.handle, address, value):
            raise SimulationError(f"the NPU does not accept a write to register {address:#x}")

    def read(self, address: int) -> int:
        value = ctypes.c_uint32()
        if not self.library.npu_read_register(self.handle, address, ctypes.byref(value)):
            raise SimulationError(f"the NPU does not answer a read of register {address:#x}")
        return value.value

    def record(self, waves: Waves) -> None:
        path = str(waves.path).encode()
        if not self.library.npu_waves(self.handle, path, waves.first, waves.last):
            raise SimulationError(f"cannot write waves {waves.path}")

    def start(self, bus_timeout: int) -> None:
        """Write the registers as a driver does, and START."""
        identity = self.read(Register.ID)
        if identity != ID_VALUE:
            raise SimulationError(f"register ID reads {identity:#010x}, not {ID_VALUE:#010x}")
        self.write(Register.COMMAND_BASE, self.bases[0])
        self.write(Register.COMMAND_BYTES, self.sizes[0])
        regions = {Region.CONSTANTS: 1, Region.ARENA: 2}
        for region in range(REGIONS):
            piece = regions.get(Region(region)) if region in set(Region) else None
            self.write(region_base(region), 0 if piece is None else self.bases[piece])
            self.write(region_size(region), 0 if piece is None else self.sizes[piece])
        self.write(Register.BUS_TIMEOUT, bus_timeout)
        self.write(Register.IRQ_ENABLE, 1)
        if not self.library.npu_start(self.handle, Register.CONTROL, Control.START):
            raise SimulationError("the NPU does not accept START")

    def state(self) -> State:
        state = State()
        self.library.npu_state(self.handle, ctypes.byref(state))
        return state

    def wait(self, limit: int, progress: Progress | None) -> None:
        """Run until the interrupt."""
        status = RUNNING
        while status == RUNNING:
            state = self.state()
            if progress is not None:
                progress(sum(engine.completed for engine in state.engines), len(self.table))
            if state.cycles >= limit:
                raise SimulationError(
                    f"no interrupt after {state.cycles} cycles; {self._describe(state)}"
                )
            slice_cycles = min(SLICE_CYCLES, limit - state.cycles)
            status = self.library.npu_run(self.handle, slice_cycles)
        if status == PROTOCOL:
            violation = self.library.npu_violation(self.handle).decode()
            raise SimulationError(f"AXI protocol violation: {violation}")
        if progress is not None:
            progress(len(self.table), len(self.table))

    def _describe(self, state: State) -> str:
        parts = [
            f"STATUS {Status(self.read(Register.STATUS)).name or 0},"
            f" {state.outstanding_reads} reads and {state.outstanding_writes} writes outstanding"
        ]
        for number, engine in enumerate(state.engines):
            name = Engine(number).name
            text = f"{name}: {engine.started} started, {engine.completed} completed"
            if engine.started > engine.completed:
                text += f", in command {self._text(engine.last_started)}"
                text += f" since cycle {engine.start_cycle}"
            elif engine.completed:
                text += f", last command {self._text(engine.last_completed)}"
                text += f" at cycle {engine.done_cycle}"
            parts.append(text)
        return "; ".join(parts)

    def _text(self, index: int) -> str:
        if index >= len(self.table):
            return str(index)
        return f"{index} ({disassemble(self.table.command(index))})"

    def finish(self) -> SimulationResult:
        """Check STATUS and collect results."""
        wall_cycles = int(self.state().cycles)
        status = Status(self.read(Register.STATUS))
        if Status.ERROR in status:
            code = self.read(Register.ERROR_CODE)
            command = self.read(Register.ERROR_COMMAND)
            known = ErrorCode(code) if code in set(ErrorCode) else None
            if known is None:
                raise SimulationError(f"the NPU reports unknown error code {code}")
            text = disassemble(self.table.command(command)) if command < len(self.table) else ""
            if known == ErrorCode.DEADLOCK:
                text += f"; {self._describe(self.state())}"
            raise CommandError(known, command, text)
        if Status.DONE not in status:
            raise SimulationError(f"interrupt without DONE or ERROR: STATUS is {status.name or 0}")
        counted = counted_events(self.program.config)
        counters = {event.name: self.read(event_counter(event)) for event in counted}
        arena = self.pieces[2]
        return SimulationResult(
            outputs=read_tensors(arena, self.program.outputs),
            tensors=read_tensors(arena, self.program.tensors),
            cycles=counters[Event.CYCLES.name],
            counters=counters,
            events=self._events(),
            wall_cycles=wall_cycles,
        )

    def _events(self) -> list[TraceEvent]:
        count = min(int(self.library.npu_trace_count(self.handle)), len(self.entries))
        entries = self.entries[:count]
        commands = unwrap_indices(entries["engine"], entries["command"])
        return [
            TraceEvent(int(cycle), Engine(int(engine)), int(command), bool(start))
            for cycle, engine, command, start in zip(
                entries["cycle"], entries["engine"], commands, entries["start"], strict=True
            )
        ]


def unwrap_indices(engines: NDArray[np.uint8], commands: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Undo the 16-bit wrap of command indices, which grow per engine; `[events]` each."""
    result = commands.astype(np.int64)
    for engine in np.unique(engines):
        own = engines == engine
        wraps = np.concatenate([[False], np.diff(result[own]) < -(1 << 15)])
        result[own] += np.cumsum(wraps) << 16
    return result


def _padded(piece: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pages = -(-len(piece) // _PAGE)
    result = np.zeros(pages * _PAGE, dtype=np.uint8)
    result[: len(piece)] = piece
    return result
