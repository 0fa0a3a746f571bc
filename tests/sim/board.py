"""One NPU and one memory that live through several runs: what `RtlSimulator.run` leaves out."""

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu.verify.random_programs import INPUT, OUTPUT
from rtl.axi import Response
from rtl.config import NpuConfig
from rtl.isa import Opcode, Region
from rtl.registers import (
    Control,
    ErrorCode,
    Event,
    Register,
    Status,
    event_counter,
    region_base,
    region_size,
)
from sim.functional import FunctionalSimulator
from sim.memory import MemoryConfig
from sim.program import Program
from sim.rtl_runner import RtlSimulator, Silence
from sim.rtl_runner.bus import NO_SILENCE, bus_options
from sim.rtl_runner.library import RUNNING, Segment, State

BASE = 0x4000_0000
CYCLE_LIMIT = 1_000_000
"""No test program comes near; reaching it means that the NPU hangs."""


@dataclass(frozen=True)
class Outcome:
    """What the registers say after a run."""

    status: Status
    code: ErrorCode
    command: int
    counters: dict[Event, int]
    cycles: int


@dataclass(frozen=True)
class Placed:
    """A program in the board's memory: bus addresses and sizes in bytes."""

    commands: int
    command_bytes: int
    constants: int
    constant_bytes: int
    arena: int
    arena_bytes: int


class Board:
    """A Verilated NPU with `size` bytes of random memory at bus address `BASE`.

    Parameters
    ----------
    config : the hardware.
    memory : timing.
    fault_read, fault_write : bus address whose beat is answered with `response`.
    silence : when the memory does nothing.
    seed : the memory's first contents.
    """

    def __init__(
        self,
        config: NpuConfig,
        memory: MemoryConfig | None = None,
        *,
        size: int = 1 << 17,
        fault_read: int | None = None,
        fault_write: int | None = None,
        response: Response = Response.SLVERR,
        silence: Silence = NO_SILENCE,
        seed: int = 0,
    ) -> None:
        memory = memory or MemoryConfig()
        self.config = config
        self.library = RtlSimulator(config).library
        self.data: NDArray[np.uint8] = np.frombuffer(
            np.random.default_rng(seed).bytes(size), np.uint8
        ).copy()
        self.next = 64
        segment = Segment(BASE, size, self.data.ctypes.data)
        options = bus_options(
            memory,
            [segment],
            read=fault_read,
            write=fault_write,
            response=response,
            silence=silence,
        )
        self.handle = self.library.npu_create(ctypes.byref(options))

    def close(self) -> None:
        self.library.npu_destroy(self.handle)

    def put(self, raw: bytes, alignment: int = 1, gap: int = 37) -> int:
        """Copy bytes behind those that are there, after a gap; returns their bus address."""
        start = -(-(self.next + gap) // alignment) * alignment
        self.next = start + len(raw)
        assert self.next + 64 <= len(self.data), "the board's memory is full"
        self.data[start : self.next] = np.frombuffer(raw, np.uint8)
        return BASE + start

    def place(self, program: Program, inputs: NDArray[np.int8]) -> Placed:
        """Copy a program and its inputs; the arena's other bytes are random."""
        outputs = np.random.default_rng(self.next).bytes(program.arena_bytes - len(inputs))
        return Placed(
            self.put(program.commands.tobytes(), 8),
            program.commands.nbytes,
            self.put(program.constants.tobytes()),
            len(program.constants),
            self.put(inputs.tobytes() + outputs),
            program.arena_bytes,
        )

    def view(self, address: int, size: int) -> NDArray[np.uint8]:
        """The memory's bytes at a bus address."""
        return self.data[address - BASE : address - BASE + size]

    def arena(self, placed: Placed) -> NDArray[np.uint8]:
        return self.view(placed.arena, placed.arena_bytes)

    def write(self, register: int, value: int) -> None:
        assert self.library.npu_write_register(self.handle, register, value), hex(register)

    def read(self, register: int) -> int:
        value = ctypes.c_uint32()
        assert self.library.npu_read_register(self.handle, register, ctypes.byref(value))
        return value.value

    def run(self, placed: Placed) -> Outcome:
        """Start a program, without a reset before, and wait for the interrupt; then no burst may
        be unanswered."""
        outcome = self.start(placed)
        # reading registers took a while, in which nothing may have been started
        state = self.state()
        assert state.outstanding_reads == state.outstanding_writes == 0
        return outcome

    def start(self, placed: Placed) -> Outcome:
        """Start a program, without a reset before, and wait for the interrupt."""
        self.write(Register.COMMAND_BASE, placed.commands)
        self.write(Register.COMMAND_BYTES, placed.command_bytes)
        self.write(region_base(Region.CONSTANTS), placed.constants)
        self.write(region_size(Region.CONSTANTS), placed.constant_bytes)
        self.write(region_base(Region.ARENA), placed.arena)
        self.write(region_size(Region.ARENA), placed.arena_bytes)
        self.write(Register.IRQ_ENABLE, 1)
        assert self.library.npu_start(self.handle, Register.CONTROL, Control.START)
        status = self.library.npu_run(self.handle, CYCLE_LIMIT)
        assert status != RUNNING, f"no interrupt after {CYCLE_LIMIT} cycles"
        violation = self.library.npu_violation(self.handle).decode()
        assert not violation, violation
        state = self.state()
        outcome = Outcome(
            Status(self.read(Register.STATUS)),
            ErrorCode(self.read(Register.ERROR_CODE)),
            self.read(Register.ERROR_COMMAND),
            {event: self.read(event_counter(event)) for event in Event},
            state.cycles,
        )
        assert outcome.status & Status.BUSY or not (
            state.outstanding_reads or state.outstanding_writes
        )
        return outcome

    def step(self, cycles: int) -> None:
        """Let time pass, whether an interrupt is pending or not."""
        self.write(Register.IRQ_ENABLE, 0)
        assert self.library.npu_run(self.handle, cycles) == RUNNING

    def state(self) -> State:
        state = State()
        self.library.npu_state(self.handle, ctypes.byref(state))
        return state

    def check_program(self, program: Program, inputs: NDArray[np.int8]) -> None:
        """Run a correct program; compare the whole memory with the functional simulator's."""
        placed = self.place(program, inputs)
        expected = self.data.copy()
        start = placed.arena - BASE
        written = written_bytes(program)
        outputs = FunctionalSimulator(self.config).run(program, {INPUT: inputs}).outputs[OUTPUT]
        arena = np.concatenate([inputs, outputs]).view(np.uint8)
        expected[start : start + len(arena)][written] = arena[written]
        outcome = self.run(placed)
        assert outcome.status == Status.DONE | Status.IRQ
        assert (outcome.code, outcome.command) == (ErrorCode.NONE, 0)
        np.testing.assert_array_equal(self.data, expected)


def written_bytes(program: Program) -> NDArray[np.bool_]:
    """Which bytes of the arena the program's STOREs write."""
    written = np.zeros(program.arena_bytes, np.bool_)
    for command in program.decode():
        if command.opcode == Opcode.STORE:
            for row in range(command["rows"]):
                begin = command["offset"] + row * command["row_stride"]
                written[begin : begin + command["pixels"] * command["pixel_bytes"]] = True
    return written
