"""Fetches activation windows from the scratchpad and queues two of them for the grid."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS
from rtl.scratchpad import WindowFetch
from rtl.sequencer import StepLayout


class WindowQueue(wiring.Component):
    """Fetch each step's window, replace padding by the zero point, and hold up to two windows.

    Latency: a window is at the head two cycles after its step is accepted. Throughput: one window
    per cycle when the consumer takes one per cycle. A fetch is only issued when its window will
    find a place, so memory data never waits.

    Parameters
    ----------
    config : sets the window's words.

    Members
    -------
    steps : from the sequencer. fetch : to the scratchpad.
    zero_point : int8 value of padding, stable from two cycles before the first window.
    clear : drop everything.
    head_valid, head, head_step : oldest window and its step. next_valid, next : the one behind it.
    pop, pop_both : take the head, or both, at the end of this cycle. pop_soon : both will be taken
        at the end of the next cycle.
    fetching : a fetch is issued in this cycle.
    out_of_range : the fetch issued in this cycle needs a word beyond the scratchpad.
    """

    steps: stream.Interface
    fetch: wiring.PureInterface
    zero_point: Signal
    clear: Signal
    head_valid: Signal
    head: list[Signal]
    head_step: data.View
    next_valid: Signal
    next: list[Signal]
    pop: Signal
    pop_both: Signal
    pop_soon: Signal
    fetching: Signal
    out_of_range: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "steps": In(stream.Signature(StepLayout(config))),
                "fetch": Out(WindowFetch(config)),
                "zero_point": In(signed(8)),
                "clear": In(1),
                "head_valid": Out(1),
                "head": Out(config.lanes * 8).array(config.banks),
                "head_step": Out(StepLayout(config)),
                "next_valid": Out(1),
                "next": Out(config.lanes * 8).array(config.banks),
                "pop": In(1),
                "pop_both": In(1),
                "pop_soon": In(1),
                "fetching": Out(1),
                "out_of_range": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        arriving = Signal()
        arriving_step = Signal(StepLayout(config))
        arriving_inside = Signal(config.banks)
        padding = Signal(config.lanes * 8, reset_less=True)
        next_step = Signal(StepLayout(config))

        # windows held or under way after this cycle's pops
        kept = Signal(2)
        stay_head = Signal()
        stay_next = Signal()
        m.d.comb += [
            stay_head.eq(self.head_valid & ~(self.pop | self.pop_both)),
            stay_next.eq(self.next_valid & ~self.pop_both),
            kept.eq(stay_head + stay_next + arriving),
        ]

        step = self.steps.payload
        first_word = Signal(ADDRESS_BITS)
        last_word = Signal(ADDRESS_BITS)
        limit = config.scratchpad_words
        m.d.comb += [
            self.fetch.valid.eq(self.steps.valid & ((kept < 2) | self.pop_soon)),
            self.fetch.address.eq(step.address),
            self.fetching.eq(self.fetch.valid & self.fetch.ready),
            self.steps.ready.eq(self.fetching),
            first_word.eq(step.address + step.low),
            last_word.eq(step.address + step.high - 1),
            self.out_of_range.eq(
                self.fetching
                & (step.low < step.high)
                & ((first_word >= limit) | (last_word >= limit))
            ),
        ]
        m.d.sync += arriving.eq(self.fetching)
        with m.If(self.fetching):
            m.d.sync += arriving_step.eq(step)
            m.d.sync += [
                arriving_inside[j].eq((step.low <= j) & (step.high > j))
                for j in range(config.banks)
            ]

        incoming = [Signal(config.lanes * 8, name=f"incoming{j}") for j in range(config.banks)]
        m.d.sync += padding.eq(self.zero_point.as_unsigned().replicate(config.lanes))
        for j in range(config.banks):
            m.d.comb += incoming[j].eq(Mux(arriving_inside[j], self.fetch.words[j], padding))

        # the head is refilled from the second place, or directly when nothing stays before it
        with m.If(self.pop & self.next_valid & ~self.pop_both):
            m.d.sync += self.head_step.eq(next_step)
            m.d.sync += [self.head[j].eq(self.next[j]) for j in range(config.banks)]
        with m.If(arriving):
            with m.If(stay_head | stay_next):
                m.d.sync += next_step.eq(arriving_step)
                m.d.sync += [self.next[j].eq(incoming[j]) for j in range(config.banks)]
            with m.Else():
                m.d.sync += self.head_step.eq(arriving_step)
                m.d.sync += [self.head[j].eq(incoming[j]) for j in range(config.banks)]
        m.d.sync += [
            self.head_valid.eq(stay_head | stay_next | arriving),
            self.next_valid.eq(stay_head & stay_next | arriving & (stay_head | stay_next)),
        ]
        with m.If(self.clear):
            m.d.sync += [self.head_valid.eq(0), self.next_valid.eq(0), arriving.eq(0)]
        return m
