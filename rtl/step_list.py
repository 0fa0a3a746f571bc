"""Which weight words of each reduction step there are, for hardware that leaves out zero ones."""

from typing import Any

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.config import LIST_ROWS, LISTED_DEPTH
from rtl.interfaces import ListWrite
from rtl.memory import Memory

MASKS = 8
"""Masks in a row of the memory, one byte each."""


class StepList(wiring.Component):
    """The list of a CONV's steps: a memory, and a walk over it beside that of the loop nest.

    A block's masks begin with a row, in which the steps follow each other; blocks follow each
    other, too. Each group of pixels walks over its block's rows again: the first of them is kept in
    a register, so that no step waits for the memory. That needs two steps in a group, or more.

    Latency: the first mask is there two cycles after `start`. Throughput: a mask per cycle.

    Members
    -------
    write : from the load engine. start : a command begins, whose first row is `base`.
    step : turn to the next step; with `group_last` to the group's first one again, with
        `block_last` besides to the next block's. mask : of the current step.
    """

    write: Any
    start: Signal
    base: Signal
    step: Signal
    group_last: Signal
    block_last: Signal
    mask: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "write": In(ListWrite()),
                "start": In(1),
                "base": In(range(LIST_ROWS)),
                "step": In(1),
                "group_last": In(1),
                "block_last": In(1),
                "mask": Out(LISTED_DEPTH),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(MASKS * LISTED_DEPTH, LIST_ROWS)
        started = Signal()
        # of the row that the memory shows, and of the row behind the block's first
        following = Signal(range(LIST_ROWS), reset_less=True)
        second = Signal(range(LIST_ROWS), reset_less=True)
        row = Signal(MASKS * LISTED_DEPTH, reset_less=True)
        first = Signal(MASKS * LISTED_DEPTH, reset_less=True)
        left = Signal(range(MASKS), reset_less=True)
        turn = Signal()
        m.d.comb += [
            memory.write_address.eq(self.write.row),
            memory.write_data.eq(self.write.data),
            memory.write_enable.eq(self.write.valid),
            # the row behind may be needed at once, when the block's last row is one step
            turn.eq(self.step & ~self.group_last & (left == 0)),
            memory.read_address.eq(Mux(self.start, self.base, following + turn)),
            memory.read_enable.eq(C(1)),
            self.mask.eq(row[:LISTED_DEPTH]),
        ]
        m.d.sync += started.eq(self.start)
        with m.If(self.start):
            m.d.sync += following.eq(self.base + 1)
        begin = started | (self.step & self.group_last & self.block_last)
        with m.If(begin):
            m.d.sync += [row.eq(memory.read_data), first.eq(memory.read_data), left.eq(MASKS - 1)]
            with m.If(started):
                m.d.sync += second.eq(following)
            with m.Else():
                m.d.sync += [second.eq(following + 1), following.eq(following + 1)]
        with m.Elif(self.step & self.group_last):
            m.d.sync += [row.eq(first), left.eq(MASKS - 1), following.eq(second)]
        with m.Elif(turn):
            m.d.sync += [
                row.eq(memory.read_data),
                left.eq(MASKS - 1),
                following.eq(following + 1),
            ]
        with m.Elif(self.step):
            m.d.sync += [row.eq(row >> LISTED_DEPTH), left.eq(left - 1)]
        return m
