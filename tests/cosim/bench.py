"""What surrounds the NPU's top level: clock, memory, register bus, monitors; and a driver."""

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiSlave
from numpy.typing import NDArray

from npu.verify.random_programs import INPUT, KINDS, OUTPUT, random_program
from rtl.config import NpuConfig
from rtl.isa import Opcode, Region
from rtl.registers import Control, ErrorCode, Register, Status, region_base, region_size
from sim.functional import FunctionalSimulator
from sim.program import Program
from tests.cosim.monitors import Monitor

CLOCK_NS = 10
RUN_LIMIT_NS = 200_000 * CLOCK_NS
"""No test program comes near."""

QUIET_CYCLES = 40


class BusError(Exception):
    """The memory answers with SLVERR."""


@dataclass
class Segment:
    """A piece of memory; everything between segments answers with an error."""

    name: str
    base: int
    data: bytearray
    writable: bool = False

    @property
    def end(self) -> int:
        return self.base + len(self.data)


class Memory:
    """The bus's memory, as `AxiSlave` calls it.

    Bytes around a segment, up to a whole beat, read as random. Beats with a bus address of
    `read_faults` or `write_faults` answer with an error.
    """

    def __init__(self, config: NpuConfig, rng: random.Random) -> None:
        self.width = config.bus_bytes
        self.rng = rng
        self.segments: list[Segment] = []
        self.read_faults: set[int] = set()
        self.write_faults: set[int] = set()

    def find(self, first: int, last: int) -> Segment | None:
        """The segment with all bytes from `first` to `last`."""
        for segment in self.segments:
            if segment.base <= first and last < segment.end:
                return segment
        return None

    def readable(self, first: int, last: int) -> bool:
        """Whether all beats from `first` to `last` hold at least a byte of one segment."""
        return any(
            segment.base // self.width <= first // self.width
            and last // self.width <= (segment.end - 1) // self.width
            for segment in self.segments
        )

    def writable(self, first: int, last: int) -> bool:
        segment = self.find(first, last)
        return segment is not None and segment.writable

    async def read(self, address: int, length: int) -> bytes:
        if any(address <= fault < address + length for fault in self.read_faults):
            raise BusError
        beat = bytearray(self.rng.randbytes(length))
        for segment in self.segments:
            for lane in range(length):
                if segment.base <= address + lane < segment.end:
                    beat[lane] = segment.data[address + lane - segment.base]
        return bytes(beat)

    async def write(self, address: int, data: bytes) -> None:
        if any(address <= fault < address + len(data) for fault in self.write_faults):
            raise BusError
        segment = self.find(address, address + len(data) - 1)
        if segment is None or not segment.writable:
            raise BusError
        segment.data[address - segment.base : address - segment.base + len(data)] = data


@dataclass(frozen=True)
class Job:
    """A program in the memory, and the arena that it must leave."""

    program: Program
    commands: Segment
    constants: Segment
    arena: Segment
    golden: bytes

    @property
    def size(self) -> int:
        return len(self.commands.data)


class Bench:
    """The testbench. Call `start` first."""

    def __init__(self, dut: Any, config: NpuConfig) -> None:
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        self.dut = dut
        self.config = config
        self.seed = int(cocotb.RANDOM_SEED)
        self.rng = random.Random(self.seed)
        self.memory = Memory(config, random.Random(self.seed + 1))
        self.monitor = Monitor(dut, config, self.memory.readable, self.memory.writable)

    async def start(self, pause: float = 0.0) -> None:
        """Clock, reset, bus models; `pause`: how often every channel stalls, 0 to 1."""
        dut = self.dut
        dut.rst.value = 1
        Clock(dut.clk, CLOCK_NS, "ns").start()
        self.axi = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, self.memory)
        self.axil = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.pause(pause)
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        # the NPU registers its reset
        await ClockCycles(dut.clk, 2)
        cocotb.start_soon(self.monitor.run())

    def pause(self, probability: float) -> None:
        """Let the model's side of every channel stall at random."""
        for read, write in (
            (self.axi.read_if, self.axi.write_if),
            (self.axil.read_if, self.axil.write_if),
        ):
            for channel in (
                *(read.ar_channel, read.r_channel),
                *(write.aw_channel, write.w_channel, write.b_channel),
            ):
                channel.clear_pause_generator()
                channel.pause = False
                if probability:
                    channel.set_pause_generator(self._pauses(probability))

    def _pauses(self, probability: float) -> Iterator[bool]:
        rng = random.Random(self.rng.random())
        while True:
            yield rng.random() < probability

    async def read(self, register: int) -> int:
        return int(await self.axil.read_dword(register))

    async def write(self, register: int, value: int) -> None:
        await self.axil.write_dword(register, value)

    async def status(self) -> Status:
        return Status(await self.read(Register.STATUS))

    def random_job(self, kinds: tuple[Opcode, ...] = KINDS, size: int = 3) -> Job:
        """A random program somewhere in memory, regions at odd addresses."""
        program, inputs = random_program(self.config, self.rng.randrange(10_000), kinds, size=size)
        return self.place(program, inputs[INPUT])

    def place(self, program: Program, inputs: NDArray[np.int8]) -> Job:
        outputs = FunctionalSimulator(self.config).run(program, {INPUT: inputs}).outputs[OUTPUT]
        noise = self.rng.randbytes(len(outputs))
        golden = np.frombuffer(noise, np.uint8).copy()
        start = len(inputs)
        for command in program.decode():
            if command.opcode == Opcode.STORE:
                size = command["pixels"] * command["pixel_bytes"]
                for row in range(command["rows"]):
                    begin = command["offset"] + row * command["row_stride"] - start
                    golden[begin : begin + size] = outputs[begin : begin + size].view(np.uint8)
        return Job(
            program,
            self._segment("commands", program.commands.tobytes(), 8),
            self._segment("constants", program.constants.tobytes()),
            self._segment("arena", inputs.tobytes() + noise, writable=True),
            inputs.tobytes() + golden.tobytes(),
        )

    def _segment(
        self, name: str, data: bytes, alignment: int = 1, writable: bool = False
    ) -> Segment:
        """Memory at a random place away from the others, sometimes at the end of all addresses."""
        while True:
            base = self.rng.randrange(1 << 32) // alignment * alignment
            if self.rng.random() < 0.2:
                base = ((1 << 32) - max(len(data), 1)) // alignment * alignment
            margin = 2 * self.memory.width
            if base + len(data) <= 1 << 32 and all(
                base + len(data) + margin <= other.base or other.end + margin <= base
                for other in self.memory.segments
            ):
                segment = Segment(name, base, bytearray(data), writable)
                self.memory.segments.append(segment)
                return segment

    async def configure(self, job: Job, **sizes: int) -> None:
        """Write base and size registers; `sizes` replaces those of segments by name."""
        size = {
            segment.name: len(segment.data) for segment in (job.commands, job.constants, job.arena)
        } | sizes
        for register, value in (
            (Register.COMMAND_BASE, job.commands.base),
            (Register.COMMAND_BYTES, size["commands"]),
            (region_base(Region.CONSTANTS), job.constants.base),
            (region_size(Region.CONSTANTS), size["constants"]),
            (region_base(Region.ARENA), job.arena.base),
            (region_size(Region.ARENA), size["arena"]),
        ):
            await self.write(register, value)

    async def wait(self) -> None:
        """Wait for the interrupt; the bus must be quiet then, and stay quiet."""
        # START was answered, but the interrupt of the run before may not have fallen yet
        await ClockCycles(self.dut.clk, 3)
        if not int(self.dut.irq.value):
            await with_timeout(RisingEdge(self.dut.irq), RUN_LIMIT_NS, "ns")
        await RisingEdge(self.dut.clk)
        assert self.monitor.quiet, "interrupt before the last burst was answered"
        await ClockCycles(self.dut.clk, QUIET_CYCLES)
        assert self.monitor.quiet, "bus access after the interrupt"

    async def run(self, job: Job, **sizes: int) -> None:
        """Configure, start, and wait for the interrupt."""
        await self.configure(job, **sizes)
        await self.write(Register.IRQ_ENABLE, 1)
        await self.write(Register.CONTROL, Control.START)
        await self.wait()

    async def check_done(self, job: Job) -> None:
        """The program is complete and the arena is, byte for byte, as it must be."""
        assert await self.status() == Status.DONE | Status.IRQ
        assert await self.read(Register.ERROR_CODE) == ErrorCode.NONE
        self.check_arena(job)

    def check_arena(self, job: Job) -> None:
        data, golden = (np.frombuffer(bytes(raw), np.uint8) for raw in (job.arena.data, job.golden))
        wrong = np.flatnonzero(data != golden)
        assert not len(wrong), f"seed {self.seed}: {len(wrong)} bytes differ, first {wrong[:8]}"

    def spoil(self, job: Job, beat: int, value: int) -> Job:
        """The same job with another 64-bit beat in its commands."""
        data = bytearray(job.commands.data)
        data[8 * beat : 8 * beat + 8] = value.to_bytes(8, "little")
        return replace(job, commands=self._segment("commands", bytes(data), 8))
