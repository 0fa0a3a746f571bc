"""The control block alone: registers under random pauses, counters, watchdogs, faults."""

import random
from typing import Any

import pytest

from rtl.control import Control
from rtl.isa import REGIONS
from rtl.registers import (
    TIMEOUT_UNIT,
    ErrorCode,
    Event,
    Register,
    Status,
    counted_events,
    event_counter,
    region_base,
    region_size,
)
from rtl.registers import Control as ControlBit
from rtl.watchdog import DEADLOCK_CYCLES
from tests.rtl.bench import simulate, small_config

CONFIG = small_config(8, 8)
STOP_CYCLES = 3
"""From the watchdog's decision to the interrupt."""


async def _write(
    ctx: Any, axil: Any, address: int, value: int, strobe: int = 15, wait: tuple[int, ...] = (0, 0)
) -> None:
    """Write a register; address and data are offered after `wait` cycles each."""
    ctx.set(axil.awaddr, address)
    ctx.set(axil.wdata, value)
    ctx.set(axil.wstrb, strobe)
    for cycle in range(1000):
        ctx.set(axil.awvalid, cycle >= wait[0])
        ctx.set(axil.wvalid, cycle >= wait[1])
        _, _, address_taken, data_taken = await ctx.tick().sample(
            axil.awvalid & axil.awready, axil.wvalid & axil.wready
        )
        if address_taken or data_taken:
            assert address_taken == data_taken, "one READY without the other"
            break
    ctx.set(axil.awvalid, 0)
    ctx.set(axil.wvalid, 0)
    ctx.set(axil.bready, 1)
    await ctx.tick().until(axil.bvalid)
    ctx.set(axil.bready, 0)


async def _read(ctx: Any, axil: Any, address: int, wait: int = 0) -> int:
    """Read a register; the answer is taken `wait` cycles after it came."""
    ctx.set(axil.araddr, address)
    ctx.set(axil.arvalid, 1)
    await ctx.tick().until(axil.arready)
    ctx.set(axil.arvalid, 0)
    while not ctx.get(axil.rvalid):
        await ctx.tick()
    for _ in range(wait):
        value = ctx.get(axil.rdata)
        await ctx.tick()
        assert (ctx.get(axil.rvalid), ctx.get(axil.rdata)) == (1, value)
    ctx.set(axil.rready, 1)
    _, _, value = await ctx.tick().sample(axil.rdata)
    ctx.set(axil.rready, 0)
    return int(value)


@pytest.mark.parametrize("seed", [1, 2])
def test_registers_under_random_pauses(seed: int) -> None:
    control = Control(CONFIG)
    rng = random.Random(seed)
    bits = {region_base(n): 32 for n in range(REGIONS)} | {
        region_size(n): 32 for n in range(REGIONS)
    }
    bits |= {Register.BUS_TIMEOUT: 16, Register.BUS_ATTRIBUTES: 11}
    expected = dict.fromkeys(bits, 0) | {Register.BUS_TIMEOUT: 1024}

    async def main(ctx: Any) -> None:
        for _ in range(150):
            address = rng.choice(list(bits))
            if rng.random() < 0.6:
                value, strobe = rng.getrandbits(32), rng.randrange(16)
                waits = (rng.randrange(4), rng.randrange(4))
                await _write(ctx, control.axil, address, value, strobe, waits)
                mask = sum(255 << 8 * byte for byte in range(4) if strobe >> byte & 1)
                value = expected[address] & ~mask | value & mask
                expected[address] = value & (1 << bits[address]) - 1
            else:
                value = await _read(ctx, control.axil, address, rng.randrange(4))
                assert value == expected[address], hex(address)

    simulate(control, main, [], 6000)


@pytest.mark.parametrize("counters", [1, 4, 16])
def test_every_counter_counts_every_cycle(counters: int) -> None:
    """And those that this hardware has not read zero."""
    config = small_config(8, 8, counters=counters)
    control = Control(config)
    counted = counted_events(config)
    rng = random.Random(5)
    assert len(counted) == counters
    counts = dict.fromkeys(Event, 0)
    rates = {event: rng.choice([0.0, 0.1, 0.5, 1.0]) for event in Event}

    async def drive(ctx: Any) -> None:
        ctx.set(control.load.busy, 1)
        while True:
            events = sum(1 << event for event in Event if rng.random() < rates[event])
            ctx.set(control.events, events)
            _, _, busy, clear = await ctx.tick().sample(control.busy, control.clear)
            for event in Event:
                happened = event == Event.CYCLES or events >> event & 1
                counts[event] = (0 if clear else counts[event]) + (1 if busy and happened else 0)

    async def main(ctx: Any) -> None:
        ctx.set(control.reads_idle, 1)
        for length in (3, 200):
            await _write(ctx, control.axil, Register.CONTROL, ControlBit.START)
            for _ in range(length):
                await ctx.tick()
            before = counts[Event.CYCLES]
            assert before <= await _read(ctx, control.axil, event_counter(Event.CYCLES))
            ctx.set(control.finished, 1)
            ctx.set(control.load.busy, 0)
            while ctx.get(control.busy):
                await ctx.tick()
            ctx.set(control.finished, 0)
            ctx.set(control.load.busy, 1)
            for event in Event:
                value = await _read(ctx, control.axil, event_counter(event), rng.randrange(3))
                assert value == (counts[event] if event in counted else 0), event.name
        await _write(ctx, control.axil, Register.CONTROL, ControlBit.RESET)
        for event in reversed(Event):
            assert await _read(ctx, control.axil, event_counter(event)) == 0

    simulate(control, main, [drive], 3000)


BUSY = ("load.busy", "compute.busy", "store.busy", "progress", "reads_active")
"""What keeps the watchdog from counting."""


@pytest.mark.parametrize("reason", BUSY)
def test_deadlock_comes_exactly_after_its_cycles_of_quiet(reason: str) -> None:
    """And each sign of life, in a single cycle just before the end, begins them anew."""
    control = Control(CONFIG)

    def show(ctx: Any, alive: bool) -> None:
        ctx.set(control.reads_idle, not (alive and reason == "reads_active"))
        if reason == "progress":
            ctx.set(control.progress, alive)
        elif reason != "reads_active":
            ctx.set(getattr(control, reason.split(".")[0]).busy, alive)

    async def main(ctx: Any) -> None:
        ctx.set(control.position, 77)
        show(ctx, True)
        await _write(ctx, control.axil, Register.IRQ_ENABLE, 1)
        await _write(ctx, control.axil, Register.CONTROL, ControlBit.START)
        for _ in range(3):
            show(ctx, True)
            await ctx.tick()
            show(ctx, False)
            for _ in range(DEADLOCK_CYCLES):
                await ctx.tick()
                assert not ctx.get(control.irq)
        cycles = 0
        while not ctx.get(control.irq):
            await ctx.tick()
            cycles += 1
        assert cycles == STOP_CYCLES
        assert await _read(ctx, control.axil, Register.ERROR_CODE) == ErrorCode.DEADLOCK
        assert await _read(ctx, control.axil, Register.ERROR_COMMAND) == 77

    simulate(control, main, [], 6000)


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("side", ["reads", "writes"])
def test_timeout_comes_exactly_after_its_cycles_of_silence(side: str, units: int) -> None:
    control = Control(CONFIG)
    watch = getattr(control, side)

    async def main(ctx: Any) -> None:
        ctx.set(control.store.busy, 1)
        ctx.set(control.writes.command, 5)
        ctx.set(control.reads.command, 6)
        ctx.set(control.reads.of_command, 1)
        await _write(ctx, control.axil, Register.IRQ_ENABLE, 1)
        await _write(ctx, control.axil, Register.BUS_TIMEOUT, units)
        await _write(ctx, control.axil, Register.CONTROL, ControlBit.START)
        ctx.set(watch.owed, 1)
        # what moves on the other side counts, too
        for mover in (control.reads, control.writes):
            ctx.set(mover.moved, 1)
            await ctx.tick()
            ctx.set(mover.moved, 0)
            for _ in range(units * TIMEOUT_UNIT):
                await ctx.tick()
                assert not ctx.get(control.irq)
        cycles = 0
        while not ctx.get(control.irq):
            await ctx.tick()
            cycles += 1
        # the comparison with the register takes a cycle
        assert cycles == STOP_CYCLES + 1
        status = await _read(ctx, control.axil, Register.STATUS)
        assert status == Status.BUSY | Status.ERROR | Status.IRQ
        assert await _read(ctx, control.axil, Register.ERROR_CODE) == ErrorCode.BUS_TIMEOUT
        command = await _read(ctx, control.axil, Register.ERROR_COMMAND)
        assert command == (5 if side == "writes" else 6)

    simulate(control, main, [], 6000)


def test_the_first_of_simultaneous_faults_is_reported() -> None:
    control = Control(CONFIG)
    reports = [
        getattr(control, f"{name}_error") for name in ("load", "compute", "store", "dispatcher")
    ]
    rng = random.Random(9)

    async def main(ctx: Any) -> None:
        for _ in range(12):
            await _write(ctx, control.axil, Register.CONTROL, ControlBit.START)
            await ctx.tick().repeat(2)
            chosen = rng.sample(range(4), rng.randint(1, 4))
            for number, report in enumerate(reports):
                ctx.set(report.code, 1 + number)
                ctx.set(report.command, 100 + number)
                ctx.set(report.valid, number in chosen)
            await ctx.tick()
            for report in reports:
                ctx.set(report.valid, 0)
            ctx.set(control.reads_idle, 1)
            while ctx.get(control.busy):
                await ctx.tick()
            assert await _read(ctx, control.axil, Register.ERROR_CODE) == 1 + min(chosen)
            assert await _read(ctx, control.axil, Register.ERROR_COMMAND) == 100 + min(chosen)

    simulate(control, main, [], 2000)
