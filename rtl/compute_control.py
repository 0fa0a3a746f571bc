"""Front of the compute engine: takes commands, checks them, and says when they are over."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.command_slot import CommandSlot
from rtl.config import NpuConfig
from rtl.interfaces import DoneCounts, EngineStatus, ErrorReport
from rtl.isa import (
    BEAT_BITS,
    COMMANDS,
    MAX_LEFT_SHIFT,
    Engine,
    Function,
    Opcode,
)
from rtl.registers import ErrorCode

ABORT_CYCLES = 26
"""Cycles after a fault until nothing of the aborted command is under way."""


class ComputeControl(wiring.Component):
    """Hold one command at a time: check its fields, start it, report its end or its fault.

    Latency: `start` comes two cycles after a command was accepted, so that what follows from its
    fields alone is in registers by then. A fault is seen in the cycle after it was found, and ends
    the command after `ABORT_CYCLES`, while `drop` is set.

    Parameters
    ----------
    config : what is legal.

    Members
    -------
    beats, done_counts, halt, clear, status, error : as for every engine.
    command, elementwise, opcode : the command, decoded both ways.
    is_elementwise, block_words : what kind it is, and channel words per block of it, from `start`
        on.
    start : pulse: begin. running : from then until it is over.
    drop : everything under way is to be forgotten.
    done : its last word is written in this cycle.
    scratchpad_bounds, buffer_bounds : it leads outside of a memory; not later than in the cycle
        before `done`.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "beats": In(stream.Signature(BEAT_BITS)),
                "done_counts": In(DoneCounts()),
                "halt": In(1),
                "clear": In(1),
                "status": Out(EngineStatus()),
                "error": Out(ErrorReport()),
                "command": Out(COMMANDS[Opcode.CONV].layout),
                "elementwise": Out(COMMANDS[Opcode.ELEMENTWISE].layout),
                "opcode": Out(8),
                "is_elementwise": Out(1),
                "block_words": Out(6),
                "start": Out(1),
                "running": Out(1),
                "drop": Out(1),
                "done": In(1),
                "scratchpad_bounds": In(1),
                "buffer_bounds": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.slot = slot = CommandSlot(Engine.COMPUTE)
        connect(m, flipped(self.beats), slot.beats)
        connect(m, flipped(self.done_counts), slot.done)

        current = Signal(BEAT_BITS * slot.max_beats, reset_less=True)
        check = Signal()
        checked = Signal()
        finish = Signal()
        fault = Signal()
        in_buffer = Signal(reset_less=True)
        abort_left = Signal(range(ABORT_CYCLES + 1), reset_less=True)
        aborting = Signal()
        part_bits = (config.groups_per_word - 1).bit_length()
        command: Any = self.command
        m.d.comb += [
            Value.cast(self.command).eq(current),
            Value.cast(self.elementwise).eq(current),
            self.opcode.eq(current[:8]),
            self.drop.eq(aborting | self.clear),
            slot.halt.eq(self.halt),
            slot.clear.eq(self.clear),
            slot.ready.eq(~self.status.busy),
            self.status.start.eq(check),
            self.status.done.eq(finish),
            self.status.waiting.eq(slot.waiting),
            self.status.idle.eq(slot.empty & ~self.status.busy & ~self.beats.valid),
            self.error.command.eq(self.status.index),
        ]
        is_elementwise: Value = self.opcode == Opcode.ELEMENTWISE
        m.d.sync += [
            self.is_elementwise.eq(is_elementwise),
            self.block_words.eq(Mux(is_elementwise, 1, command.depth >> part_bits)),
            checked.eq(check),
        ]
        with m.If(slot.valid & slot.ready):
            m.d.sync += [
                current.eq(slot.command),
                self.status.index.eq(slot.index),
                self.status.busy.eq(1),
                check.eq(1),
            ]
        with m.If(check):
            m.d.sync += check.eq(0)
        legal = self._legal(m)
        with m.If(checked):
            with m.If(legal):
                m.d.comb += self.start.eq(1)
                m.d.sync += self.running.eq(1)
            with m.Else():
                m.d.comb += [
                    self.error.valid.eq(1),
                    self.error.code.eq(ErrorCode.ILLEGAL_FIELD),
                    finish.eq(1),
                ]

        # a fault while running drops everything under way
        m.d.sync += [
            fault.eq(self.scratchpad_bounds | self.buffer_bounds),
            in_buffer.eq(self.buffer_bounds),
        ]
        with m.If(self.running & fault):
            bounds = ErrorCode.BUFFER_BOUNDS, ErrorCode.SCRATCHPAD_BOUNDS
            m.d.comb += [
                self.error.valid.eq(1),
                self.error.code.eq(Mux(in_buffer, *bounds)),
            ]
            m.d.sync += [self.running.eq(0), aborting.eq(1), abort_left.eq(ABORT_CYCLES)]
        with m.Elif(self.running & self.done):
            m.d.comb += finish.eq(1)
        with m.If(aborting):
            m.d.sync += abort_left.eq(abort_left - 1)
            with m.If(abort_left == 1):
                m.d.comb += finish.eq(1)
                m.d.sync += aborting.eq(0)
        with m.If(finish):
            m.d.sync += [self.status.busy.eq(0), self.running.eq(0)]
        with m.If(self.clear):
            m.d.sync += [
                self.status.busy.eq(0),
                self.running.eq(0),
                check.eq(0),
                checked.eq(0),
                aborting.eq(0),
            ]
        return m

    def _legal(self, m: Module) -> Value:
        """Whether this hardware supports the fields, a cycle later; the dispatcher checked reserved
        bits."""
        config = self.config
        command: Any = self.command
        elementwise: Any = self.elementwise
        part_bits = (config.groups_per_word - 1).bit_length()
        grid_rules = [
            command[name] != 0
            for name in (
                "ofm_height",
                "ofm_width",
                "ifm_height",
                "ifm_width",
                "kernel_height",
                "kernel_width",
                "channel_steps",
                "blocks",
                "depth",
                "window_stride",
                "group_pixels",
            )
        ]
        grid_rules += [
            command.window_stride != 3,
            command.group_pixels <= config.pixels,
            command.depth <= config.accumulator_depth,
            command.depth[:part_bits] == 0,
            self._legal_list(command),
        ]
        shifts: Value = (command.ofm_shift >= -31) & (command.ofm_shift <= MAX_LEFT_SHIFT)
        one_word = [command.depth == config.groups_per_word, command.channel_steps == 1]
        is_elementwise = self.opcode == Opcode.ELEMENTWISE
        word_wise = ~is_elementwise & (self.opcode != Opcode.CONV)
        rules = Signal(4, reset_less=True)
        half = len(grid_rules) // 2
        m.d.sync += rules.eq(
            Cat(
                Mux(
                    is_elementwise,
                    (elementwise.words != 0) & (elementwise.function <= max(Function)),
                    Cat(grid_rules[:half]).all(),
                ),
                is_elementwise | Cat(grid_rules[half:]).all(),
                ~word_wise | Cat(one_word).all(),
                shifts,
            )
        )
        result: Value = rules.all()
        return result

    def _legal_list(self, command: Any) -> Value:
        """A CONV that has a list is one of two steps or more, on hardware that has lists."""
        none: Value = Cat(command.listed, command.list_base) == 0
        if not self.config.pruned_weights:
            return none
        counts = (command.kernel_height, command.kernel_width, command.channel_steps)
        several = Cat(count != 1 for count in counts).any()
        result: Value = none | (command.listed & (self.opcode == Opcode.CONV) & several)
        return result
