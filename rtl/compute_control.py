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

ABORT_CYCLES = 20
"""Cycles after a fault until nothing of the aborted command is under way."""


class ComputeControl(wiring.Component):
    """Hold one command at a time: check its fields, start it, report its end or its fault.

    Latency: `start` comes in the cycle after a command was accepted. A fault ends the command after
    `ABORT_CYCLES`, while `drop` is set.

    Parameters
    ----------
    config : what is legal.

    Members
    -------
    beats, done_counts, halt, clear, status, error : as for every engine.
    command, elementwise, opcode : the command, decoded both ways.
    is_elementwise, block_words : what kind it is, and channel words per block of it.
    start : pulse: begin. running : from then until it is over.
    drop : everything under way is to be forgotten.
    done : its last word is written in this cycle.
    scratchpad_bounds, buffer_bounds : it leads outside of a memory.
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

        current = Signal(BEAT_BITS * slot.max_beats)
        check = Signal()
        finish = Signal()
        abort_left = Signal(range(ABORT_CYCLES + 1))
        aborting = Signal()
        part_bits = (config.groups_per_word - 1).bit_length()
        command: Any = self.command
        m.d.comb += [
            Value.cast(self.command).eq(current),
            Value.cast(self.elementwise).eq(current),
            self.opcode.eq(current[:8]),
            self.is_elementwise.eq(self.opcode == Opcode.ELEMENTWISE),
            self.block_words.eq(Mux(self.is_elementwise, 1, command.depth >> part_bits)),
            aborting.eq(abort_left != 0),
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
        with m.If(slot.valid & slot.ready):
            m.d.sync += [
                current.eq(slot.command),
                self.status.index.eq(slot.index),
                self.status.busy.eq(1),
                check.eq(1),
            ]
        with m.If(check):
            m.d.sync += check.eq(0)
            with m.If(self._legal(m)):
                m.d.comb += self.start.eq(1)
                m.d.sync += self.running.eq(1)
            with m.Else():
                m.d.comb += [
                    self.error.valid.eq(1),
                    self.error.code.eq(ErrorCode.ILLEGAL_FIELD),
                    finish.eq(1),
                ]

        # a fault while running drops everything under way
        with m.If(self.running & (self.scratchpad_bounds | self.buffer_bounds)):
            bounds = ErrorCode.BUFFER_BOUNDS, ErrorCode.SCRATCHPAD_BOUNDS
            m.d.comb += [
                self.error.valid.eq(1),
                self.error.code.eq(Mux(self.buffer_bounds, *bounds)),
            ]
            m.d.sync += [self.running.eq(0), abort_left.eq(ABORT_CYCLES)]
        with m.Elif(self.running & self.done):
            m.d.comb += finish.eq(1)
        with m.If(aborting):
            m.d.sync += abort_left.eq(abort_left - 1)
            with m.If(abort_left == 1):
                m.d.comb += finish.eq(1)
        with m.If(finish):
            m.d.sync += [self.status.busy.eq(0), self.running.eq(0)]
        with m.If(self.clear):
            m.d.sync += [
                self.status.busy.eq(0),
                self.running.eq(0),
                check.eq(0),
                abort_left.eq(0),
            ]
        return m

    def _legal(self, m: Module) -> Value:
        """Whether this hardware supports the fields; the dispatcher checked reserved bits."""
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
        ]
        shifts: Value = (command.ofm_shift >= -31) & (command.ofm_shift <= MAX_LEFT_SHIFT)
        one_word = [command.depth == config.groups_per_word, command.channel_steps == 1]
        legal = Signal()
        result: Value = legal & shifts
        with m.Switch(self.opcode):
            with m.Case(Opcode.ELEMENTWISE):
                m.d.comb += legal.eq(
                    (elementwise.words != 0) & (elementwise.function <= max(Function))
                )
            with m.Case(Opcode.CONV):
                m.d.comb += legal.eq(Cat(grid_rules).all())
            with m.Default():
                m.d.comb += legal.eq(Cat(grid_rules, one_word).all())
        return result
