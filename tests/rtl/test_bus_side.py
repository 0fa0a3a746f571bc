"""Control, command path, load and store engine as one: programs over AXI4-Lite and AXI4."""

from collections.abc import Sequence
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from rtl.command_fetch import CommandFetch
from rtl.config import NpuConfig
from rtl.control import Control
from rtl.dispatcher import Dispatcher
from rtl.isa import Command, Opcode, Region, encode_all
from rtl.load_engine import LoadEngine
from rtl.read_manager import ReadManager
from rtl.registers import (
    ID_VALUE,
    ErrorCode,
    Event,
    Register,
    Status,
    event_counter,
    region_base,
    region_size,
)
from rtl.registers import Control as ControlBit
from rtl.store_engine import StoreEngine
from rtl.watchdog import DEADLOCK_CYCLES
from tests.rtl.bench import AxiMemory, Testbench, changed, simulate, small_config
from tests.rtl.test_load_engine import load
from tests.rtl.test_store_engine import store

CONFIG = small_config(8, 8)
ARENA = 0x400
ARENA_BYTES = 0xC00
END = Command(Opcode.END, {})
HEADER = Command(Opcode.CONFIG, {"config_id": CONFIG.config_id})

COPY = [
    HEADER,
    load(region=Region.ARENA, offset=5, row_bytes=100, pixels=13, pixel_bytes=8, pixel_step=8),
    store(offset=1001, pixels=13, pixel_bytes=8, wait_load=1),
    load(region=Region.ARENA, offset=1001, row_bytes=9, base=20, pixels=9, wait_store=1),
    store(offset=2000, base=20, pixels=9, wait_load=2),
    END,
]
"""Copies bytes through the scratchpad and back, twice."""


class Npu:
    """The bus side with a scratchpad of one bank and no compute engine."""

    def __init__(
        self, config: NpuConfig = CONFIG, pause: float = 0.0, handshake: str = "eager"
    ) -> None:
        self.module = m = Module()
        m.submodules.control = self.control = control = Control(config)
        m.submodules.fetch = fetch = CommandFetch(config)
        m.submodules.dispatcher = dispatcher = Dispatcher(config)
        m.submodules.manager = self.manager = ReadManager(config)
        m.submodules.load = load_engine = LoadEngine(config)
        m.submodules.store = store_engine = StoreEngine(config)
        self.load, self.store, self.dispatcher = load_engine, store_engine, dispatcher
        wiring.connect(m, fetch.read, self.manager.fetch)
        wiring.connect(m, load_engine.read, self.manager.load)
        wiring.connect(m, fetch.words, dispatcher.words)
        wiring.connect(m, dispatcher.load, load_engine.beats)
        wiring.connect(m, dispatcher.store, store_engine.beats)
        wiring.connect(m, load_engine.status, control.load)
        wiring.connect(m, store_engine.status, control.store)
        wiring.connect(m, load_engine.error, control.load_error)
        wiring.connect(m, store_engine.error, control.store_error)
        wiring.connect(m, dispatcher.error, control.dispatcher_error)
        wiring.connect(m, load_engine.region, control.load_region)
        wiring.connect(m, store_engine.region, control.store_region)
        wiring.connect(m, self.manager.watch, control.reads)
        wiring.connect(m, store_engine.watch, control.writes)
        wiring.connect(m, control.read_attributes, self.manager.attributes)
        wiring.connect(m, control.write_attributes, store_engine.attributes)
        for block in (fetch, dispatcher, load_engine, store_engine):
            m.d.comb += [block.clear.eq(control.clear), block.halt.eq(control.halt)]
        for engine in (load_engine, store_engine):
            m.d.comb += [
                engine.done_counts.load.eq(control.done_counts.load),
                engine.done_counts.compute.eq(control.done_counts.compute),
                engine.done_counts.store.eq(control.done_counts.store),
            ]
        m.d.comb += [
            fetch.start.eq(control.start),
            fetch.base.eq(control.command_base),
            fetch.size.eq(control.command_bytes),
            dispatcher.start.eq(control.start),
            dispatcher.exhausted.eq(fetch.exhausted),
            dispatcher.engines_idle.eq(load_engine.status.idle & store_engine.status.idle),
            control.finished.eq(dispatcher.finished),
            control.position.eq(dispatcher.index),
            control.progress.eq(dispatcher.progress),
            control.reads_idle.eq(self.manager.idle),
            control.events[Event.LOAD_BUSY].eq(load_engine.status.busy),
            control.events[Event.READ_BEATS].eq(self.manager.axi.rvalid & self.manager.axi.rready),
        ]
        self.memory = AxiMemory(
            ARENA + ARENA_BYTES,
            config.bus_bytes,
            config.burst_beats,
            latency=8,
            pause=pause,
            handshake=handshake,
            seed=3,
        )

    def program(self, commands: list[Command]) -> int:
        """Put a program at address 0; return its size."""
        image = encode_all(commands).tobytes()
        self.memory.data[: len(image)] = image
        return len(image)

    async def write(self, ctx: Any, address: int, value: int) -> None:
        axil = self.control.axil
        ctx.set(axil.awaddr, address)
        ctx.set(axil.wdata, value)
        ctx.set(axil.wstrb, 15)
        ctx.set(axil.awvalid, 1)
        ctx.set(axil.wvalid, 1)
        ctx.set(axil.bready, 1)
        await ctx.tick().until(axil.awready & axil.wready)
        ctx.set(axil.awvalid, 0)
        ctx.set(axil.wvalid, 0)
        await ctx.tick().until(axil.bvalid)

    async def read(self, ctx: Any, address: int) -> int:
        axil = self.control.axil
        ctx.set(axil.araddr, address)
        ctx.set(axil.arvalid, 1)
        ctx.set(axil.rready, 1)
        await ctx.tick().until(axil.arready)
        ctx.set(axil.arvalid, 0)
        (value,) = await ctx.tick().sample(axil.rdata).until(axil.rvalid)
        return int(value)

    async def set_up(self, ctx: Any, size: int) -> None:
        await self.write(ctx, region_base(Region.ARENA), ARENA)
        await self.write(ctx, region_size(Region.ARENA), ARENA_BYTES)
        await self.write(ctx, Register.COMMAND_BASE, 0)
        await self.write(ctx, Register.COMMAND_BYTES, size)
        await self.write(ctx, Register.IRQ_ENABLE, 1)

    async def start_and_wait(self, ctx: Any) -> int:
        """Start, wait for the interrupt, return STATUS."""
        await self.write(ctx, Register.CONTROL, ControlBit.START)
        assert await self.read(ctx, Register.STATUS) & Status.BUSY
        while not ctx.get(self.control.irq):
            await ctx.tick()
        return await self.read(ctx, Register.STATUS)

    def simulate(self, main: Testbench, monitors: Sequence[Testbench] = ()) -> None:
        words: dict[int, int] = {}

        async def scratchpad(ctx: Any) -> None:
            read, write = self.store.scratchpad, self.load.scratchpad
            ctx.set(read.ready, 1)
            ctx.set(write.ready, 1)
            while True:
                _, _, reads, source, writes, target, word = await ctx.tick().sample(
                    read.valid, read.address, write.valid, write.address, write.data
                )
                if reads:
                    ctx.set(read.data, words.get(source, 0))
                if writes:
                    words[target] = word

        async def axi_reads(ctx: Any) -> None:
            await self.memory.reads(ctx, self.manager.axi)

        async def axi_writes(ctx: Any) -> None:
            await self.memory.writes(ctx, self.store.axi)

        simulate(self.module, main, [scratchpad, axi_reads, axi_writes, *monitors], 5000)


@pytest.mark.parametrize(
    ("handshake", "pause"),
    [("eager", 0.0), *((handshake, 0.3) for handshake in AxiMemory.HANDSHAKES)],
)
def test_program_runs_twice(handshake: str, pause: float) -> None:
    npu = Npu(pause=pause, handshake=handshake)
    size = npu.program(COPY)
    source = bytes(npu.memory.data[ARENA + 5 : ARENA + 105])

    async def main(ctx: Any) -> None:
        await npu.set_up(ctx, size)
        for _ in range(2):
            assert await npu.start_and_wait(ctx) == Status.DONE | Status.IRQ
            assert npu.memory.data[ARENA + 1001 : ARENA + 1101] == source
            assert npu.memory.data[ARENA + 2000 : ARENA + 2009] == source[:9]
            npu.memory.data[ARENA + 1001 : ARENA + 2100] = bytes(1099)
            await npu.write(ctx, Register.CONTROL, ControlBit.CLEAR_IRQ)
            assert await npu.read(ctx, Register.STATUS) == Status.DONE
            assert not ctx.get(npu.control.irq)

    npu.simulate(main)


def test_registers() -> None:
    npu = Npu()

    async def main(ctx: Any) -> None:
        assert await npu.read(ctx, Register.ID) == ID_VALUE
        assert await npu.read(ctx, Register.CONFIG_ID) == CONFIG.config_id
        for address in (region_base(7), region_size(0)):
            await npu.write(ctx, address, 0x12345678)
            assert await npu.read(ctx, address) == 0x12345678
        await npu.write(ctx, Register.COMMAND_BYTES, 0xFFFFFFFF)
        assert await npu.read(ctx, Register.COMMAND_BYTES) == 0xFFFFFFF8
        for unmapped in (Register.CONTROL, 0x01C, 0x0C0, 0xFFC):
            await npu.write(ctx, unmapped, 0)
            assert await npu.read(ctx, unmapped) == 0
        await npu.write(ctx, Register.ID, 0)
        assert await npu.read(ctx, Register.ID) == ID_VALUE

    npu.simulate(main)


def test_counters_and_busy() -> None:
    npu = Npu()
    size = npu.program(COPY)
    busy_cycles = 0

    async def main(ctx: Any) -> None:
        nonlocal busy_cycles
        await npu.set_up(ctx, size)
        await npu.write(ctx, Register.CONTROL, ControlBit.START)
        # ignored while busy
        await npu.write(ctx, region_base(Region.ARENA), 0)
        await npu.write(ctx, Register.CONTROL, ControlBit.START | ControlBit.RESET)
        while ctx.get(npu.control.busy):
            await ctx.tick()
        assert await npu.read(ctx, region_base(Region.ARENA)) == ARENA
        cycles = await npu.read(ctx, event_counter(Event.CYCLES))
        beats = await npu.read(ctx, event_counter(Event.READ_BEATS))
        assert beats == len(npu.memory.read_beats)
        assert 0 < await npu.read(ctx, event_counter(Event.LOAD_BUSY)) < cycles
        # busy in its first cycle, that of `clear`, is not counted
        assert cycles == busy_cycles - 1
        await npu.write(ctx, Register.CONTROL, ControlBit.RESET)
        assert await npu.read(ctx, Register.STATUS) == 0
        assert await npu.read(ctx, event_counter(Event.CYCLES)) == 0

    async def count(ctx: Any) -> None:
        nonlocal busy_cycles
        while True:
            _, _, busy = await ctx.tick().sample(npu.control.busy)
            busy_cycles += busy

    npu.simulate(main, [count])


@pytest.mark.parametrize("pause", [0.0, 0.4])
@pytest.mark.parametrize(
    ("position", "broken", "code"),
    [
        (1, changed(COPY[1], rows=0), ErrorCode.ILLEGAL_FIELD),
        (2, changed(COPY[2], offset=ARENA_BYTES), ErrorCode.REGION_BOUNDS),
        (3, changed(COPY[3], base=5000), ErrorCode.SCRATCHPAD_BOUNDS),
        (4, Command(Opcode.CONFIG, HEADER.fields), ErrorCode.CONFIG_MISMATCH),
    ],
)
def test_fault_is_latched_and_forgotten(
    position: int, broken: Command, code: ErrorCode, pause: float
) -> None:
    npu = Npu(pause=pause)
    commands = list(COPY)
    commands[position] = broken

    async def main(ctx: Any) -> None:
        await npu.set_up(ctx, npu.program(commands))
        assert await npu.start_and_wait(ctx) == Status.ERROR | Status.IRQ
        assert await npu.read(ctx, Register.ERROR_CODE) == code
        assert await npu.read(ctx, Register.ERROR_COMMAND) == position
        assert npu.memory.outstanding == 0
        await npu.write(ctx, Register.CONTROL, ControlBit.RESET)
        assert await npu.read(ctx, Register.STATUS) == 0
        assert await npu.read(ctx, Register.ERROR_CODE) == ErrorCode.NONE
        await npu.set_up(ctx, npu.program(COPY))
        assert await npu.start_and_wait(ctx) == Status.DONE | Status.IRQ

    npu.simulate(main)


def test_deadlock_is_found() -> None:
    npu = Npu()
    size = npu.program([HEADER, changed(COPY[1], wait_store=1), COPY[2], END])

    async def main(ctx: Any) -> None:
        await npu.set_up(ctx, size)
        assert await npu.start_and_wait(ctx) == Status.ERROR | Status.IRQ
        assert await npu.read(ctx, Register.ERROR_CODE) == ErrorCode.DEADLOCK
        assert await npu.read(ctx, Register.ERROR_COMMAND) == 3
        assert await npu.read(ctx, event_counter(Event.CYCLES)) < DEADLOCK_CYCLES + 100
        await npu.set_up(ctx, npu.program(COPY))
        assert await npu.start_and_wait(ctx) == Status.DONE | Status.IRQ

    npu.simulate(main)
