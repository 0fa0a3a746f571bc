"""Issues grid operations: one window, `depth` weight words; hands finished groups over."""

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.accumulators import Accumulators
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.grid import Grid, GridMode, GridTag
from rtl.isa import ADDRESS_BITS
from rtl.output_stage import GroupLayout
from rtl.sequencer import StepLayout


class MacControl(wiring.Component):
    """Decide in every cycle whether the grid works, on what, and with which weight word.

    A group takes the accumulator slots after those of the one before: a buffer of `block_words`,
    or in the modes that need one word just that. It starts when they are free: there are two
    buffers. Each step of a CONV takes `depth` cycles, or as many as its mask has bits; of the other
    modes one. Finished groups are queued for the drain, which finds the accumulators updated when
    it reads them.

    Parameters
    ----------
    config : sets accumulator slots.

    Members
    -------
    start : load `weight_base`, two cycles or more before the first window. clear : forget
        everything.
    mode, depth, weight_base : of the command, constant from `start` on.
    head_valid, head_step : the oldest window. pop : it is used up in this cycle.
    issue, tag, weight_address : the grid operation of this cycle.
    groups : finished groups, in order. release : the drain has read the oldest one's accumulators.
    wait_window, wait_accumulator : why the grid does not work (a command is running).
    out_of_range : the weight word issued in this cycle lies beyond the buffer.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "clear": In(1),
                "mode": In(GridMode),
                "depth": In(6),
                "weight_base": In(ADDRESS_BITS),
                "head_valid": In(1),
                "head_step": In(StepLayout(config)),
                "pop": Out(1),
                "issue": Out(1),
                "tag": Out(GridTag(config)),
                "weight_address": Out(ADDRESS_BITS),
                "groups": Out(stream.Signature(GroupLayout(config))),
                "release": In(1),
                "wait_window": Out(1),
                "wait_accumulator": Out(1),
                "out_of_range": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        step = self.head_step
        slots = 2 * config.block_words
        groups: Any = StreamFifo(GroupLayout(config), 1 << (slots - 1).bit_length())
        m.submodules.groups = ResetInserter(self.clear)(groups)
        pending = Signal(range(slots + 1))
        slot = Signal(range(slots))
        index = Signal(6)
        block_base = Signal(ADDRESS_BITS)
        is_conv = Signal()
        hand_over = Signal()
        # at most one LUT before a window is known to be used up: everything else is in registers
        step_end = Signal()
        full = Signal()
        part_bits = (config.groups_per_word - 1).bit_length()

        m.d.comb += [
            is_conv.eq(self.mode == GridMode.CONV),
            self.wait_accumulator.eq(self.head_valid & step.first & full),
            self.wait_window.eq(~self.head_valid),
            self.issue.eq(self.head_valid & ~self.wait_accumulator),
            self.pop.eq(self.issue & step_end),
            hand_over.eq(self.pop & step.last),
            self.tag.mode.eq(self.mode),
            self.tag.first.eq(step.first),
            self.tag.part.eq(index[:part_bits]),
            self.tag.slot.eq(slot + Mux(is_conv, index >> part_bits, 0)),
            self.out_of_range.eq(
                self.issue
                & (self.mode != GridMode.MAX_POOL)
                & (self.weight_address >= config.weight_words)
            ),
            groups.i.valid.eq(hand_over),
            groups.i.payload.ofm_address.eq(step.ofm_address),
            groups.i.payload.pixels.eq(step.ofm_pixels),
            groups.i.payload.parameter_block.eq(step.parameter_block),
            groups.i.payload.command_last.eq(step.command_last),
            groups.i.payload.slot.eq(slot),
        ]
        if config.pruned_weights:
            self._masked_words(m, index, step_end)
        else:
            self._words(m, is_conv, index, step_end)
        with m.If(self.issue):
            m.d.sync += self.weight_address.eq(self.weight_address + 1)
        following = slot + Mux(is_conv, config.block_words, 1)
        with m.If(hand_over):
            m.d.sync += slot.eq(Mux(following == slots, 0, following))
            with m.If(step.block_last):
                m.d.sync += block_base.eq(self.weight_address + 1)
            with m.Else():
                m.d.sync += self.weight_address.eq(block_base)
        m.d.sync += pending.eq(pending + hand_over - self.release)
        with m.If(hand_over & ~self.release):
            m.d.sync += full.eq(Mux(is_conv, pending == 1, pending == slots - 1))
        with m.If(self.release & ~hand_over):
            m.d.sync += full.eq(0)

        # when a group's last sums can be read; they are read two cycles after a group was taken
        arriving = Signal(Grid.LATENCY + Accumulators.LATENCY - 3)
        ready = Signal(range(slots + 1))
        taken = self.groups.valid & self.groups.ready
        m.d.sync += [
            arriving.eq((arriving << 1) | hand_over),
            ready.eq(ready + arriving[-1] - taken),
        ]
        m.d.comb += [
            self.groups.valid.eq(ready != 0),
            self.groups.payload.eq(groups.o.payload),
            groups.o.ready.eq(taken),
        ]

        with m.If(self.start):
            m.d.sync += [
                self.weight_address.eq(self.weight_base),
                block_base.eq(self.weight_base),
                # of the command before, groups of another size may have been left off anywhere
                slot.eq(0),
            ]
        with m.If(self.clear):
            m.d.sync += [pending.eq(0), full.eq(0), arriving.eq(0), ready.eq(0)]
        return m

    def _words(self, m: Module, is_conv: Signal, index: Signal, step_end: Signal) -> None:
        """Which weight word of its step is next, and whether it is the last one."""
        started = Signal()
        single = Signal(reset_less=True)
        last_but_one = Signal(6, reset_less=True)
        ends = Signal(reset_less=True)
        m.d.comb += step_end.eq(ends)
        m.d.sync += [
            started.eq(self.start),
            single.eq(~is_conv | (self.depth == 1)),
            last_but_one.eq(self.depth - 2),
        ]
        with m.If(started):
            m.d.sync += ends.eq(single)
        with m.If(self.issue):
            m.d.sync += [
                ends.eq(Mux(ends, single, index == last_but_one)),
                index.eq(Mux(ends, 0, index + 1)),
            ]
        with m.If(self.clear):
            m.d.sync += index.eq(0)

    def _masked_words(self, m: Module, index: Signal, step_end: Signal) -> None:
        """The same of hardware whose steps say which words there are."""
        step = self.head_step
        begins = Signal(init=1)
        left = Signal.like(step.mask, reset_less=True)
        ends = Signal(reset_less=True)
        words, rest = Signal.like(step.mask), Signal.like(step.mask)
        m.d.comb += [
            words.eq(Mux(begins, step.mask, left)),
            rest.eq(words & (words - 1)),
            step_end.eq(Mux(begins, step.single, ends)),
        ]
        for i in reversed(range(len(words))):
            with m.If(words[i]):
                m.d.comb += index.eq(i)
        with m.If(self.issue):
            m.d.sync += [left.eq(rest), ends.eq((rest & (rest - 1)) == 0), begins.eq(step_end)]
        with m.If(self.clear):
            m.d.sync += begins.eq(1)
