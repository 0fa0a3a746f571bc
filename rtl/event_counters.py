"""Counts events in little area: short counters, and one adder that visits them in turn."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.memory import Registers

COUNTER_BITS = 32


class EventCounters(wiring.Component):
    """`count` counters of 32 bits, each of which may count in every cycle.

    A short counter per event collects what happened since the adder's last visit, `count` cycles
    before; the adder moves it into a memory. So a counter costs log2(`count`) registers. A single
    one is an ordinary counter.

    Latency: a value is found within `count + 1` cycles, and then that of the cycle before.
    Throughput: every event in every cycle.

    Parameters
    ----------
    count : of counters, a power of two.

    Members
    -------
    events : bit n counts event n in this cycle. clear : all counters are zero in the next cycle.
    number : the counter whose `value` is wanted; `found` : `value` is that.
    """

    events: Signal
    clear: Signal
    number: Signal
    value: Signal
    found: Signal

    def __init__(self, count: int) -> None:
        assert count.bit_count() == 1, f"a power of two, got {count}"
        self.count = count
        super().__init__(
            {
                "events": In(count),
                "clear": In(1),
                "number": In(range(max(count, 2))),
                "value": Out(COUNTER_BITS),
                "found": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self.count
        if count == 1:
            total = Signal(COUNTER_BITS)
            m.d.sync += total.eq(Mux(self.clear, 0, self.value))
            m.d.comb += [self.value.eq(total + self.events), self.found.eq(1)]
            return m
        bits = count.bit_length() - 1
        m.submodules.totals = totals = Registers(COUNTER_BITS, count)
        visited = Signal(bits)
        # nothing in the memory counts before the first round after a clear has passed
        first_round = Signal(init=1)
        recent = [Signal(bits, name=f"recent{n}") for n in range(count)]
        # a register before the sum, which takes long, and one behind it
        summed = Signal(bits)
        former = Signal(COUNTER_BITS, reset_less=True)
        fresh = Signal(bits + 1, reset_less=True)
        total = Signal(COUNTER_BITS)
        shown = Signal(bits)
        m.d.comb += [
            totals.read_address[0].eq(visited),
            total.eq(former + fresh),
            self.found.eq(shown == self.number),
            totals.write_address.eq(summed),
            totals.write_data.eq(total),
            totals.write_enable.eq(1),
        ]
        m.d.sync += [
            former.eq(Mux(first_round, 0, totals.read_data[0])),
            fresh.eq(Array(recent)[visited] + self.events.bit_select(visited, 1)),
            visited.eq(visited + 1),
            summed.eq(visited),
            shown.eq(summed),
            self.value.eq(total),
        ]
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
