"""A bus that does not answer: error, interrupt, and what a driver sees until it does."""

from typing import Any

import pytest

from rtl.registers import TIMEOUT_UNIT, ErrorCode, Register, Status
from rtl.registers import Control as ControlBit
from tests.rtl.bench import changed
from tests.rtl.test_bus_side import ARENA, COPY, END, HEADER, Npu

TIMEOUT_CASES = {
    "command address": ({"AR"}, set(), 0),
    "the first load": (set(), {ARENA}, 1),
    "the second load": (set(), {ARENA + 1000}, 3),
    "store response": ({"B"}, set(), 2),
}
"""What the memory does not do: channels, addresses of beats not delivered; the command that waits
for it."""


@pytest.mark.parametrize("case", TIMEOUT_CASES)
def test_a_bus_that_never_answers_is_an_error(case: str) -> None:
    channels, addresses, command = TIMEOUT_CASES[case]
    npu = Npu()
    size = npu.program(COPY)
    since = 0

    async def watch(ctx: Any) -> None:
        """The cycle in which the bus last did something."""
        nonlocal since
        read, write = npu.manager.axi, npu.store.axi
        moves = [read.arvalid & read.arready, read.rvalid & read.rready]
        moves += [write.awvalid & write.awready, write.wvalid & write.wready, write.bvalid]
        cycle = 0
        asked = False
        while True:
            _, _, asks, *moved, irq = await ctx.tick().sample(read.arvalid, *moves, npu.control.irq)
            cycle += 1
            asked = asked or bool(asks)
            if any(moved) or not asked:
                since = cycle
            if irq:
                break
        # a unit, and the cycles to the watchdog, to the error and to the interrupt
        assert TIMEOUT_UNIT <= cycle - since <= TIMEOUT_UNIT + 6
        since = -1

    async def main(ctx: Any) -> None:
        await npu.set_up(ctx, size)
        await npu.write(ctx, Register.BUS_TIMEOUT, 1)
        npu.memory.silent |= channels
        npu.memory.unanswered |= addresses
        assert await npu.start_and_wait(ctx) == Status.BUSY | Status.ERROR | Status.IRQ
        await ctx.tick()
        assert since == -1
        assert await npu.read(ctx, Register.ERROR_CODE) == ErrorCode.BUS_TIMEOUT
        assert await npu.read(ctx, Register.ERROR_COMMAND) == command
        # bursts are owed: nothing starts, nothing is forgotten
        await npu.write(ctx, Register.CONTROL, ControlBit.RESET | ControlBit.START)
        await npu.write(ctx, Register.CONTROL, ControlBit.CLEAR_IRQ)
        assert await npu.read(ctx, Register.STATUS) == Status.BUSY | Status.ERROR
        # the bus answers after all
        npu.memory.silent.clear()
        npu.memory.unanswered.clear()
        while ctx.get(npu.control.busy):
            await ctx.tick()
        assert await npu.read(ctx, Register.STATUS) == Status.ERROR
        assert await npu.read(ctx, Register.ERROR_CODE) == ErrorCode.BUS_TIMEOUT
        assert npu.memory.outstanding == 0
        await npu.write(ctx, Register.CONTROL, ControlBit.RESET)
        await npu.set_up(ctx, npu.program(COPY))
        assert await npu.start_and_wait(ctx) == Status.DONE | Status.IRQ

    npu.simulate(main, [watch])


def test_an_error_before_the_bus_fell_silent_stays() -> None:
    """And the time does not begin again: only silence counts."""
    npu = Npu()
    commands = [HEADER, COPY[1], changed(COPY[2], rows=0, wait_load=0), END]
    size = npu.program(commands)

    async def main(ctx: Any) -> None:
        await npu.set_up(ctx, size)
        await npu.write(ctx, Register.BUS_TIMEOUT, 1)
        npu.memory.unanswered.add(ARENA + 104)
        assert await npu.start_and_wait(ctx) == Status.BUSY | Status.ERROR | Status.IRQ
        assert await npu.read(ctx, Register.ERROR_CODE) == ErrorCode.ILLEGAL_FIELD
        assert await npu.read(ctx, Register.ERROR_COMMAND) == 2
        npu.memory.unanswered.clear()
        while ctx.get(npu.control.busy):
            await ctx.tick()
        assert await npu.read(ctx, Register.STATUS) == Status.ERROR | Status.IRQ

    npu.simulate(main)


def test_no_timeout_when_it_is_zero() -> None:
    npu = Npu()
    size = npu.program(COPY)

    async def main(ctx: Any) -> None:
        await npu.set_up(ctx, size)
        await npu.write(ctx, Register.BUS_TIMEOUT, 0)
        npu.memory.unanswered.add(ARENA)
        await npu.write(ctx, Register.CONTROL, ControlBit.START)
        for _ in range(2 * TIMEOUT_UNIT):
            await ctx.tick()
        assert await npu.read(ctx, Register.STATUS) == Status.BUSY
        npu.memory.unanswered.clear()
        while not ctx.get(npu.control.irq):
            await ctx.tick()
        assert await npu.read(ctx, Register.STATUS) == Status.DONE | Status.IRQ

    npu.simulate(main)


def test_attributes_of_the_bus() -> None:
    npu = Npu()
    size = npu.program(COPY)
    seen: set[tuple[int, ...]] = set()

    async def main(ctx: Any) -> None:
        await npu.set_up(ctx, size)
        await npu.write(ctx, Register.BUS_ATTRIBUTES, 0b101_1011_0110)
        assert await npu.read(ctx, Register.BUS_ATTRIBUTES) == 0b101_1011_0110
        assert await npu.start_and_wait(ctx) == Status.DONE | Status.IRQ

    async def watch(ctx: Any) -> None:
        read, write = npu.manager.axi, npu.store.axi
        while True:
            _, _, ar, arcache, arprot, aw, awcache, awprot = await ctx.tick().sample(
                *(read.arvalid, read.arcache, read.arprot),
                *(write.awvalid, write.awcache, write.awprot),
            )
            if ar:
                seen.add((0, arcache, arprot))
            if aw:
                seen.add((1, awcache, awprot))

    npu.simulate(main, [watch])
    assert seen == {(0, 0b0110, 0b101), (1, 0b1011, 0b101)}
