"""Finds runs in which nothing moves, and a bus that does not do what it owes."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import INDEX_BITS, BusWatch
from rtl.registers import TIMEOUT_BITS, TIMEOUT_UNIT

DEADLOCK_CYCLES = TIMEOUT_UNIT
_UNIT_BITS = TIMEOUT_UNIT.bit_length() - 1


class Watchdog(wiring.Component):
    """Count cycles of quiet and of silence, with one counter: a bus that owes is not quiet.

    Latency: `deadlock` in the second cycle after `DEADLOCK_CYCLES` of quiet, `expired` in the third
    one after `timeout` units of `TIMEOUT_UNIT` cycles of silence: what moves is known late in a
    cycle.

    Members
    -------
    running : commands may start. drained : engines and bus are idle. progress : a beat moved.
    reads, writes : the bus, as its users see it. position : where the dispatcher is.
    timeout : in units; 0 : for ever.
    deadlock : running, drained, and nothing moved. expired : the bus owes something, and did
    nothing. late : the command that then waits for it.
    """

    running: Signal
    drained: Signal
    progress: Signal
    reads: Any
    writes: Any
    position: Signal
    timeout: Signal
    deadlock: Signal
    expired: Signal
    late: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "running": In(1),
                "drained": In(1),
                "progress": In(1),
                "reads": In(BusWatch()),
                "writes": In(BusWatch()),
                "position": In(INDEX_BITS),
                "timeout": In(TIMEOUT_BITS),
                "deadlock": Out(1),
                "expired": Out(1),
                "late": Out(INDEX_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        quiet = Signal()
        silent = Signal()
        elapsed = Signal(_UNIT_BITS + TIMEOUT_BITS)
        units = elapsed[_UNIT_BITS:]
        m.d.sync += elapsed.eq(Mux(quiet | silent, elapsed + 1, 0))
        m.d.sync += [
            quiet.eq(self.running & self.drained & ~self.progress),
            silent.eq(
                (self.reads.owed | self.writes.owed) & ~(self.reads.moved | self.writes.moved)
            ),
            self.late.eq(Mux(self.reads.of_command, self.reads.command, self.position)),
            self.expired.eq(silent & (units == self.timeout) & (self.timeout != 0)),
        ]
        with m.If(~self.reads.owed):
            m.d.sync += self.late.eq(self.writes.command)
        m.d.comb += self.deadlock.eq(quiet & (units != 0))
        return m
