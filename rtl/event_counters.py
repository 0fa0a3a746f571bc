"""Counts events in little area: short counters, and one adder that visits them in turn."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

COUNTER_BITS = 32


class EventCounters(wiring.Component):
    """`2**bits` counters of 32 bits, each of which may count in every cycle.

    A short counter per event collects what happened since the adder's last visit, `2**bits` cycles
    before; the adder moves it into a memory. So a counter costs `bits` registers.

    Latency: a value is found within `2**bits` cycles, and then exact. Throughput: every event in
    every cycle.

    Parameters
    ----------
    bits : log2 of the number of counters.

    Members
    -------
    events : bit n counts event n in this cycle. clear : all counters are zero in the next cycle.
    number : the counter whose `value`, with this cycle's event, is wanted; `found` : `value` is
        that.
    """

    events: Signal
    clear: Signal
    number: Signal
    value: Signal
    found: Signal

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(
            {
                "events": In(1 << bits),
                "clear": In(1),
                "number": In(bits),
                "value": Out(COUNTER_BITS),
                "found": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = 1 << self.bits
        totals: Any = memory.Memory(shape=COUNTER_BITS, depth=count, init=[])
        m.submodules.totals = totals
        read = totals.read_port(domain="comb")
        write = totals.write_port()
        visited = Signal(self.bits)
        # nothing in the memory counts before the first round after a clear has passed
        first_round = Signal(init=1)
        recent = [Signal(self.bits, name=f"recent{n}") for n in range(count)]
        own = Signal(self.bits)
        happened = Signal()
        m.d.comb += [
            own.eq(Array(recent)[visited]),
            happened.eq(self.events.bit_select(visited, 1)),
            read.addr.eq(visited),
            self.value.eq(Mux(first_round, 0, read.data) + own + happened),
            self.found.eq(visited == self.number),
            write.addr.eq(visited),
            write.data.eq(self.value),
            write.en.eq(1),
        ]
        m.d.sync += visited.eq(visited + 1)
        with m.If(visited == count - 1):
            m.d.sync += first_round.eq(0)
        for number, short in enumerate(recent):
            with m.If(visited == number):
                m.d.sync += short.eq(0)
            with m.Else():
                m.d.sync += short.eq(short + self.events[number])
        with m.If(self.clear):
            m.d.sync += [visited.eq(0), first_round.eq(1), Cat(recent).eq(0)]
        return m
