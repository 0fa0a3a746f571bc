"""Executes CONV, DEPTHWISE, MAX_POOL and ADD: from scratchpad through the grid and back."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accumulators import Accumulators
from rtl.buffers import ParameterRead, TableRead
from rtl.command_slot import CommandSlot
from rtl.config import NpuConfig
from rtl.elementwise import Elementwise
from rtl.grid import Grid, GridMode
from rtl.interfaces import DoneCounts, EngineStatus, ErrorReport
from rtl.isa import (
    ADDRESS_BITS,
    BEAT_BITS,
    COMMANDS,
    MAX_LEFT_SHIFT,
    Engine,
    Function,
    Opcode,
)
from rtl.mac_control import MacControl
from rtl.output_stage import Drain, OutputPlace, Requantize
from rtl.registers import ErrorCode
from rtl.scratchpad import OutputWrite, WindowFetch
from rtl.sequencer import Sequencer
from rtl.window import WindowQueue

START_LATENCY = 4
"""Cycles from the start pulse to the first grid operation, besides the words of a block."""

ABORT_CYCLES = 20
"""Cycles after a fault until nothing of the aborted command is under way."""


def _each(targets: Sequence[Any], sources: Sequence[Any]) -> list[Any]:
    """Connect two buses element by element."""
    return [target.eq(source) for target, source in zip(targets, sources, strict=True)]


class ComputeEngine(wiring.Component):
    """One command at a time: check its fields, run it, report.

    Latency: the first grid operation is issued `START_LATENCY + words per block` cycles after the
    start pulse. The last word is written after the last operation by the drain of the last group
    and `Grid.LATENCY + Requantizer.LATENCY + 1` cycles. A fault aborts the command within
    `ABORT_CYCLES`; its remaining results are dropped.

    Parameters
    ----------
    config : the hardware.

    Members
    -------
    beats, done_counts, halt, clear, status, error : as for every engine.
    fetch, output : scratchpad ports.
    weight_enable, weight_address, weight_columns : weight buffer port, data one cycle later.
    parameter_enable, parameter_address, parameter_part, parameters : parameter buffer port,
        likewise.
    table : lookup table port.
    mac_active, mac_wait_window, mac_wait_accumulator, output_active, fetch_active : events.
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
                "fetch": Out(WindowFetch(config)),
                "output": Out(OutputWrite(config)),
                "weight_enable": Out(1),
                "weight_address": Out(ADDRESS_BITS),
                "weight_columns": In(config.lanes * 8).array(config.channels),
                "parameter_enable": Out(1),
                "parameter_address": Out(14),
                "parameter_part": Out(range(max(config.requant_parts, 2))),
                "parameters": In(ParameterRead(config)),
                "table": Out(TableRead(config)),
                "mac_active": Out(1),
                "mac_wait_window": Out(1),
                "mac_wait_accumulator": Out(1),
                "output_active": Out(1),
                "fetch_active": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.slot = slot = CommandSlot(Engine.COMPUTE)
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.windows = windows = WindowQueue(config)
        m.submodules.mac = mac = MacControl(config)
        m.submodules.grid = grid = Grid(config)
        m.submodules.accumulators = accumulators = Accumulators(config)
        m.submodules.drain = drain = Drain(config)
        m.submodules.requantize = requantize = Requantize(config)
        m.submodules.elementwise = elementwise = Elementwise(config)

        connect(m, flipped(self.beats), slot.beats)
        connect(m, flipped(self.done_counts), slot.done)
        connect(m, sequencer.steps, windows.steps)
        connect(m, mac.groups, drain.groups)
        connect(m, windows.fetch, flipped(self.fetch))
        connect(m, requantize.write, flipped(self.output))
        connect(m, flipped(self.parameters), requantize.parameters)
        connect(m, elementwise.table, flipped(self.table))

        # the command being executed, decoded both ways
        grid_layout = COMMANDS[Opcode.CONV].layout
        pair_layout = COMMANDS[Opcode.ELEMENTWISE].layout
        current = Signal(BEAT_BITS * slot.max_beats)
        command = data.View(grid_layout, current[: grid_layout.size])
        pair_command = data.View(pair_layout, current[: pair_layout.size])
        opcode = Signal(8)
        is_elementwise = Signal()
        block_words = Signal(6)
        running = Signal()
        check = Signal()
        start = Signal()
        abort_left = Signal(range(ABORT_CYCLES + 1))
        aborting = Signal()
        part_bits = (config.groups_per_word - 1).bit_length()
        m.d.comb += [
            opcode.eq(current[:8]),
            is_elementwise.eq(opcode == Opcode.ELEMENTWISE),
            block_words.eq(Mux(is_elementwise, 1, command.depth >> part_bits)),
            aborting.eq(abort_left != 0),
            slot.halt.eq(self.halt),
            slot.clear.eq(self.clear),
            slot.ready.eq(~self.status.busy),
            self.status.start.eq(check),
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

        legal = self._legal(m, command, pair_command, opcode)
        finish = Signal()
        fault = Signal()
        m.d.comb += self.status.done.eq(finish)
        with m.If(check):
            m.d.sync += check.eq(0)
            with m.If(legal):
                m.d.comb += start.eq(1)
                m.d.sync += running.eq(1)
            with m.Else():
                m.d.comb += [
                    self.error.valid.eq(1),
                    self.error.code.eq(ErrorCode.ILLEGAL_FIELD),
                    finish.eq(1),
                ]

        # a fault while running drops everything under way
        parameters_used = Signal()
        parameters_out = Signal()
        m.d.comb += [
            parameters_used.eq(drain.valid & ~(command.shared_scale & command.no_bias)),
            parameters_out.eq(parameters_used & (drain.parameter_block >= config.parameter_blocks)),
            fault.eq(
                running
                & (
                    windows.out_of_range
                    | requantize.out_of_range
                    | mac.out_of_range
                    | parameters_out
                )
            ),
        ]
        with m.If(fault):
            m.d.comb += [
                self.error.valid.eq(1),
                self.error.code.eq(
                    Mux(
                        mac.out_of_range | parameters_out,
                        ErrorCode.BUFFER_BOUNDS,
                        ErrorCode.SCRATCHPAD_BOUNDS,
                    )
                ),
            ]
            m.d.sync += [running.eq(0), abort_left.eq(ABORT_CYCLES)]
        with m.Elif(running & requantize.done):
            m.d.comb += finish.eq(1)
        with m.If(aborting):
            m.d.sync += abort_left.eq(abort_left - 1)
            with m.If(abort_left == 1):
                m.d.comb += finish.eq(1)
        with m.If(finish):
            m.d.sync += [self.status.busy.eq(0), running.eq(0)]

        drop = Signal()
        m.d.comb += [
            drop.eq(aborting | self.clear),
            sequencer.start.eq(start),
            sequencer.abort.eq(drop),
            sequencer.opcode.eq(opcode),
            sequencer.grid.eq(command),
            sequencer.elementwise.eq(pair_command),
            sequencer.block_words.eq(block_words),
            windows.zero_point.eq(command.ifm_zero_point),
            windows.clear.eq(drop),
            windows.pop.eq(mac.pop),
            windows.pop_both.eq(elementwise.pop_both),
            windows.pop_soon.eq(elementwise.pop_soon),
            mac.start.eq(start),
            mac.clear.eq(drop),
            mac.depth.eq(command.depth),
            mac.weight_base.eq(command.weight_base),
            mac.head_valid.eq(windows.head_valid & ~is_elementwise),
            mac.head_step.eq(windows.head_step),
            mac.release.eq(drain.release),
            grid.issue.eq(mac.issue),
            grid.stride_two.eq(command.window_stride == 2),
            grid.tag.eq(mac.tag),
            self.weight_enable.eq(mac.issue),
            self.weight_address.eq(mac.weight_address),
            accumulators.valid.eq(grid.valid),
            accumulators.tag.eq(grid.result_tag),
            accumulators.read_slot.eq(drain.slot),
            accumulators.choice.eq(drain.choice),
            drain.clear.eq(drop),
            drain.block_words.eq(block_words),
            drain.plane_pitch.eq(command.ofm_plane_pitch),
            self.parameter_enable.eq(parameters_used),
            self.parameter_address.eq(drain.parameter_block),
            self.parameter_part.eq(drain.place.part),
            elementwise.enable.eq(is_elementwise & running),
            elementwise.command.eq(pair_command),
            elementwise.both_valid.eq(windows.head_valid & windows.next_valid),
            elementwise.step.eq(windows.head_step),
            elementwise.clear.eq(drop),
        ]
        with m.Switch(opcode):
            with m.Case(Opcode.DEPTHWISE):
                m.d.comb += mac.mode.eq(GridMode.DEPTHWISE)
            with m.Case(Opcode.MAX_POOL):
                m.d.comb += mac.mode.eq(GridMode.MAX_POOL)
            with m.Default():
                m.d.comb += mac.mode.eq(GridMode.CONV)

        # one register between accumulators and requantizers, while parameters are read
        values = [
            Signal(signed(32), name=f"value{i}", reset_less=True)
            for i in range(config.requant_lanes)
        ]
        place = Signal(OutputPlace(config))
        m.d.sync += place.eq(drain.place)
        with m.If(~drain.valid | drop):
            m.d.sync += [place.mask.eq(0), place.last.eq(0)]
        with m.If(drain.valid):
            m.d.sync += _each(values, accumulators.values)
        buses = [
            (grid.window, windows.head),
            (grid.weight_columns, self.weight_columns),
            (accumulators.sums, grid.sums),
            (accumulators.columns, grid.columns),
            (elementwise.head, windows.head),
            (elementwise.next, windows.next),
            (requantize.values, values),
            (requantize.add_values, elementwise.values),
            (requantize.add_biases, elementwise.biases),
        ]
        for target, source in buses:
            m.d.comb += _each(target, source)
        m.d.comb += [
            requantize.place.eq(place),
            requantize.add_place.eq(elementwise.place),
            requantize.elementwise.eq(is_elementwise),
            requantize.shared_scale.eq(command.shared_scale),
            requantize.no_bias.eq(command.no_bias),
            # in the same place in both formats
            requantize.multiplier.eq(command.ofm_multiplier),
            requantize.shift.eq(command.ofm_shift),
            requantize.zero_point.eq(command.ofm_zero_point),
            requantize.minimum.eq(command.activation_min),
            requantize.maximum.eq(command.activation_max),
            requantize.clear.eq(drop),
            self.mac_active.eq(mac.issue),
            self.mac_wait_window.eq(running & ~is_elementwise & mac.wait_window),
            self.mac_wait_accumulator.eq(running & mac.wait_accumulator),
            self.output_active.eq(requantize.write.mask.any()),
            self.fetch_active.eq(windows.fetching),
        ]
        with m.If(self.clear):
            m.d.sync += [
                self.status.busy.eq(0),
                running.eq(0),
                check.eq(0),
                abort_left.eq(0),
            ]
        return m

    def _legal(self, m: Module, command: Any, pair_command: Any, opcode: Signal) -> Value:
        """Whether this hardware supports the fields; the dispatcher checked reserved bits."""
        config = self.config
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
        with m.Switch(opcode):
            with m.Case(Opcode.ELEMENTWISE):
                m.d.comb += legal.eq(
                    (pair_command.words != 0) & (pair_command.function <= max(Function))
                )
            with m.Case(Opcode.CONV):
                m.d.comb += legal.eq(Cat(grid_rules).all())
            with m.Default():
                m.d.comb += legal.eq(Cat(grid_rules, one_word).all())
        return result
