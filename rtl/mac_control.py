"""Issues grid operations: one window, `depth` weight words; hands finished groups over."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.grid import GridMode, GridTag
from rtl.isa import ADDRESS_BITS
from rtl.output_stage import GroupLayout
from rtl.sequencer import StepLayout


class MacControl(wiring.Component):
    """Decide in every cycle whether the grid works, on what, and with which weight word.

    A group starts when one of the two accumulator buffers is free. Each step of a CONV takes
    `depth` cycles, of the other modes one. Two cycles after a group's last operation was issued its
    buffer is announced to the drain, which finds the accumulators updated when it reads them.

    Parameters
    ----------
    config : sets accumulator slots.

    Members
    -------
    start : load `weight_base`. clear : forget everything.
    mode, depth, weight_base : of the command.
    head_valid, head_step : the oldest window. pop : it is used up in this cycle.
    issue, tag, weight_address : the grid operation of this cycle.
    ready, groups : finished groups per buffer, for the drain. take, take_buffer, release : from it.
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
                "ready": Out(2),
                "groups": Out(data.ArrayLayout(GroupLayout(config), 2)),
                "take": In(1),
                "take_buffer": In(1),
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
        pending = Signal(2)
        buffer = Signal()
        index = Signal(6)
        block_base = Signal(ADDRESS_BITS)
        is_conv = Signal()
        step_end = Signal()
        hand_over = Signal()
        part_bits = (config.groups_per_word - 1).bit_length()

        m.d.comb += [
            is_conv.eq(self.mode == GridMode.CONV),
            self.wait_accumulator.eq(self.head_valid & step.first & (pending == 2)),
            self.wait_window.eq(~self.head_valid),
            self.issue.eq(self.head_valid & ~self.wait_accumulator),
            step_end.eq(~is_conv | (index == self.depth - 1)),
            self.pop.eq(self.issue & step_end),
            hand_over.eq(self.pop & step.last),
            self.tag.mode.eq(self.mode),
            self.tag.first.eq(step.first),
            self.tag.part.eq(index[:part_bits]),
            self.tag.slot.eq(
                Mux(buffer, config.block_words, 0) + Mux(is_conv, index >> part_bits, 0)
            ),
            self.out_of_range.eq(
                self.issue
                & (self.mode != GridMode.MAX_POOL)
                & (self.weight_address >= config.weight_words)
            ),
        ]
        with m.If(self.issue):
            m.d.sync += [
                index.eq(Mux(step_end, 0, index + 1)),
                self.weight_address.eq(self.weight_address + 1),
            ]
        with m.If(hand_over):
            m.d.sync += [
                buffer.eq(~buffer),
                self.groups[buffer].ofm_address.eq(step.ofm_address),
                self.groups[buffer].pixels.eq(step.ofm_pixels),
                self.groups[buffer].parameter_block.eq(step.parameter_block),
                self.groups[buffer].command_last.eq(step.command_last),
            ]
            with m.If(step.block_last):
                m.d.sync += block_base.eq(self.weight_address + 1)
            with m.Else():
                m.d.sync += self.weight_address.eq(block_base)
        m.d.sync += pending.eq(pending + hand_over - self.release)

        # the accumulators are updated three cycles after issue
        announce = Signal(2)
        announce_buffer = Signal(2)
        m.d.sync += [
            announce.eq((announce << 1) | hand_over),
            announce_buffer.eq((announce_buffer << 1) | buffer),
        ]
        with m.If(self.take):
            m.d.sync += self.ready.bit_select(self.take_buffer, 1).eq(0)
        with m.If(announce[1]):
            m.d.sync += self.ready.bit_select(announce_buffer[1], 1).eq(1)

        with m.If(self.start):
            m.d.sync += [
                self.weight_address.eq(self.weight_base),
                block_base.eq(self.weight_base),
            ]
        with m.If(self.clear):
            m.d.sync += [
                pending.eq(0),
                buffer.eq(0),
                index.eq(0),
                announce.eq(0),
                self.ready.eq(0),
            ]
        return m
