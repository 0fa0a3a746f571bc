"""Fetches activation windows from the scratchpad and queues them for the grid."""

from itertools import combinations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS
from rtl.scratchpad import WindowFetch
from rtl.sequencer import StepLayout


class WindowQueue(wiring.Component):
    """Fetch each step's window, replace padding by the zero point, and hold up to three windows:
    two that are offered, and one in the scratchpad's output register.

    Latency: a window is at the head four cycles after its step is accepted. Throughput: one window
    per cycle when the consumer takes one per cycle. A fetch is only issued when its window will
    find a place, so memory data never waits.

    Parameters
    ----------
    config : sets the window's words.

    Members
    -------
    steps : from the sequencer. fetch : to the scratchpad.
    zero_point : int8 value of padding, stable from two cycles before the first window on.
    for_grid : windows are taken one by one, not in pairs; stable likewise. clear : drop everything.
    head_valid, head, head_step : oldest window and its step. next_valid, next : the one behind it.
    Their words outside of the image hold anything; in `padded`, the head's, they are padding.
    grid_valid, pair_valid : there is a window for the grid, or a pair.
    pop, pop_both : take the head, with `for_grid`, or both, without it, at the end of this cycle.
    pop_soon : both will be taken at the end of the next cycle.
    fetching : a fetch is issued in this cycle.
    out_of_range : the fetch issued in this cycle needs a word beyond the scratchpad.
    """

    steps: stream.Interface
    fetch: wiring.PureInterface
    zero_point: Signal
    for_grid: Signal
    clear: Signal
    grid_valid: Signal
    pair_valid: Signal
    padded: list[Signal]
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
                "for_grid": In(1),
                "clear": In(1),
                "grid_valid": Out(1),
                "pair_valid": Out(1),
                "padded": Out(config.lanes * 8).array(config.banks),
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
        # the step whose window is asked for, and whether that leads beyond the scratchpad
        staged = Signal()
        staged_step = Signal(StepLayout(config), reset_less=True)
        staged_beyond = Signal(reset_less=True)
        # the one whose window is being read, and the one that waits behind the memories
        arriving = Signal()
        arriving_step = Signal(StepLayout(config), reset_less=True)
        waiting = Signal()
        waiting_step = Signal(StepLayout(config), reset_less=True)
        waiting_inside = Signal(config.banks, reset_less=True)
        padding = Signal(config.lanes * 8, reset_less=True)
        next_step = Signal(StepLayout(config), reset_less=True)
        next_inside = Signal(config.banks, reset_less=True)
        head_step = Signal(StepLayout(config), reset_less=True)
        head_inside = Signal(config.banks, reset_less=True)
        head, following = (
            [
                Signal(config.lanes * 8, name=f"{name}{j}", reset_less=True)
                for j in range(config.banks)
            ]
            for name in ("first", "second")
        )
        m.d.comb += self.head_step.eq(head_step)
        for j in range(config.banks):
            m.d.comb += [self.head[j].eq(head[j]), self.next[j].eq(following[j])]

        # at most two are held or under way after this cycle, or there will be
        room = Signal()
        stay_head = Signal()
        stay_next = Signal()
        present = (self.head_valid, self.next_valid, waiting, arriving)
        m.d.comb += [
            stay_head.eq(self.head_valid & ~(self.pop | self.pop_both)),
            stay_next.eq(self.next_valid & ~self.pop_both),
            room.eq(Cat(~(a & b & c) for a, b, c in combinations(present, 3)).all()),
        ]

        step = self.steps.payload
        take = Signal()
        first_word = Signal(ADDRESS_BITS)
        last_word = Signal(ADDRESS_BITS)
        limit = config.scratchpad_words
        m.d.comb += [
            self.steps.ready.eq(~staged | self.fetching),
            take.eq(self.steps.valid & self.steps.ready),
            self.fetch.prepare.eq(self.steps.ready),
            self.fetch.address.eq(step.address),
            first_word.eq(step.address + step.low),
            last_word.eq(step.address + step.high - 1),
            self.fetch.waiting.eq(staged),
            self.fetch.valid.eq(staged & (room | self.pop | self.pop_both | self.pop_soon)),
            self.fetching.eq(self.fetch.valid & self.fetch.ready),
            self.out_of_range.eq(self.fetching & staged_beyond),
        ]
        m.d.sync += arriving.eq(self.fetching)
        with m.If(self.steps.ready):
            m.d.sync += staged.eq(self.steps.valid)
        with m.If(take):
            m.d.sync += [
                staged_step.eq(step),
                staged_beyond.eq(
                    (step.low < step.high) & ((first_word >= limit) | (last_word >= limit))
                ),
            ]
        with m.If(self.fetching):
            m.d.sync += arriving_step.eq(staged_step)
        with m.If(arriving):
            m.d.sync += waiting_step.eq(arriving_step)
            m.d.sync += [
                waiting_inside[j].eq((arriving_step.low <= j) & (arriving_step.high > j))
                for j in range(config.banks)
            ]
        m.d.sync += waiting.eq(arriving | (waiting & stay_head & stay_next))

        # registered before it is replaced by padding: choosing words takes long
        m.d.sync += padding.eq(self.zero_point.as_unsigned().replicate(config.lanes))
        for j in range(config.banks):
            m.d.comb += self.padded[j].eq(Mux(head_inside[j], self.head[j], padding))

        # the head is refilled from the second place, or directly when nothing is there or pairs are
        # taken. What is taken is known last and drives many registers: it enables them and chooses
        # nothing, and a place that stays empty takes anything.
        follows = Signal()
        m.d.comb += follows.eq(self.next_valid & self.for_grid)
        with m.If(~stay_head):
            m.d.sync += [
                head_step.eq(Mux(follows, next_step, waiting_step)),
                head_inside.eq(Mux(follows, next_inside, waiting_inside)),
                *(
                    head[j].eq(Mux(follows, following[j], self.fetch.words[j]))
                    for j in range(config.banks)
                ),
            ]
        with m.If(~(stay_head & stay_next)):
            m.d.sync += [next_step.eq(waiting_step), next_inside.eq(waiting_inside)]
            m.d.sync += [following[j].eq(self.fetch.words[j]) for j in range(config.banks)]
        # what is left, by what is taken, which is known last
        one = Mux(
            self.pop_both,
            waiting,
            Mux(self.pop, self.next_valid | waiting, self.head_valid | waiting),
        )
        two = ~self.pop_both & Mux(
            self.pop, self.next_valid & waiting, self.head_valid & (self.next_valid | waiting)
        )
        m.d.sync += [
            self.head_valid.eq(one),
            self.next_valid.eq(two),
            self.grid_valid.eq(one & self.for_grid),
            self.pair_valid.eq(two & ~self.for_grid),
        ]
        with m.If(self.clear):
            m.d.sync += [
                self.head_valid.eq(0),
                self.next_valid.eq(0),
                self.grid_valid.eq(0),
                self.pair_valid.eq(0),
                staged.eq(0),
                arriving.eq(0),
                waiting.eq(0),
            ]
        return m
