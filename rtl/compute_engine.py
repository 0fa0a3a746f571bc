"""Executes CONV, DEPTHWISE, MAX_POOL and ADD: from scratchpad through the grid and back."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.accumulators import Accumulators
from rtl.buffers import ParameterRead, TableRead
from rtl.compute_control import ComputeControl
from rtl.config import NpuConfig
from rtl.elementwise import Elementwise
from rtl.grid import Grid, GridMode
from rtl.interfaces import DoneCounts, EngineStatus, ErrorReport, ListWrite
from rtl.isa import ADDRESS_BITS, BEAT_BITS, Opcode
from rtl.mac_control import MacControl
from rtl.output_stage import Drain, OutputPlace, Requantize
from rtl.scratchpad import OutputWrite, WindowFetch
from rtl.sequencer import Sequencer
from rtl.window import WindowQueue

START_LATENCY = 7
"""Cycles from `status.start` to the first grid operation, besides the words of a block."""


def _each(targets: Sequence[Any], sources: Sequence[Any]) -> list[Any]:
    """Connect two buses element by element."""
    return [target.eq(source) for target, source in zip(targets, sources, strict=True)]


class ComputeEngine(wiring.Component):
    """One command at a time: check its fields, run it, report.

    Latency: the first grid operation is issued `START_LATENCY + words per block` cycles after
    `status.start`. The last word is written after the last operation by the drain of the last group
    and `Grid.LATENCY + Accumulators.LATENCY + Requantizer.LATENCY` cycles. A fault aborts the
    command within `rtl.compute_control.ABORT_CYCLES`; its remaining results are dropped.

    Parameters
    ----------
    config : the hardware.

    Members
    -------
    beats, done_counts, halt, clear, status, error : as for every engine.
    fetch, output : scratchpad ports.
    weight_enable, weight_address, weight_columns : weight buffer port, data one cycle later.
    parameter_enable, parameter_address, parameter_part, parameters : parameter buffer port, data
        two cycles later.
    table : lookup table port. list_write : with `pruned_weights` only, masks for its list.
    mac_active, mac_wait_window, mac_wait_accumulator, output_active, fetch_active : events.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        lists = {"list_write": In(ListWrite())} if config.pruned_weights else {}
        super().__init__(
            {
                **lists,
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
        m.submodules.control = control = ComputeControl(config)
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.windows = windows = WindowQueue(config)
        m.submodules.mac = mac = MacControl(config)
        m.submodules.grid = grid = Grid(config)
        m.submodules.accumulators = accumulators = Accumulators(config)
        m.submodules.drain = drain = Drain(config)
        m.submodules.requantize = requantize = Requantize(config)
        m.submodules.elementwise = elementwise = Elementwise(config)

        connect(m, flipped(self.beats), control.beats)
        connect(m, flipped(self.done_counts), control.done_counts)
        connect(m, control.status, flipped(self.status))
        connect(m, control.error, flipped(self.error))
        connect(m, sequencer.steps, windows.steps)
        connect(m, mac.groups, drain.groups)
        connect(m, windows.fetch, flipped(self.fetch))
        connect(m, requantize.write, flipped(self.output))
        connect(m, flipped(self.parameters), requantize.parameters)
        connect(m, elementwise.table, flipped(self.table))
        if config.pruned_weights:
            connect(m, flipped(self.list_write), sequencer.list_write)

        m.d.comb += [
            control.halt.eq(self.halt),
            control.clear.eq(self.clear),
            control.done.eq(requantize.done),
            control.scratchpad_bounds.eq(windows.out_of_range | requantize.out_of_range),
            self.mac_active.eq(mac.issue),
            self.mac_wait_window.eq(control.running & ~control.is_elementwise & mac.wait_window),
            self.mac_wait_accumulator.eq(control.running & mac.wait_accumulator),
            self.output_active.eq(requantize.write.mask.any()),
            self.fetch_active.eq(windows.fetching),
            sequencer.start.eq(control.start),
            sequencer.abort.eq(control.drop),
            sequencer.opcode.eq(control.opcode),
            sequencer.grid.eq(control.command),
            sequencer.elementwise.eq(control.elementwise),
            sequencer.block_words.eq(control.block_words),
        ]
        self._windows(m, control, windows, mac, elementwise)
        self._grid(m, control, windows, mac, grid)
        self._results(m, control, grid, accumulators, drain)
        self._outputs(m, control, drain, accumulators, elementwise, requantize)
        m.d.comb += [
            mac.release.eq(drain.release),
            control.buffer_bounds.eq(mac.out_of_range | self._parameters(m, control, drain)),
        ]
        return m

    def _windows(self, m: Module, control: Any, windows: Any, mac: Any, elementwise: Any) -> None:
        """Windows go to the grid one by one, or to the elementwise path in pairs."""
        m.d.comb += [
            windows.zero_point.eq(control.command.ifm_zero_point),
            windows.clear.eq(control.drop),
            windows.pop.eq(mac.pop),
            windows.pop_both.eq(elementwise.pop_both),
            windows.pop_soon.eq(elementwise.pop_soon),
            windows.for_grid.eq(~control.is_elementwise),
            elementwise.command.eq(control.elementwise),
            elementwise.both_valid.eq(windows.pair_valid),
            elementwise.step.eq(windows.head_step),
            elementwise.clear.eq(control.drop),
            *_each(elementwise.head, windows.head),
            *_each(elementwise.next, windows.next),
        ]

    def _grid(self, m: Module, control: Any, windows: Any, mac: Any, grid: Any) -> None:
        """Operations of the grid, and their weights."""
        command = control.command
        m.d.comb += [
            mac.start.eq(control.start),
            mac.clear.eq(control.drop),
            mac.depth.eq(command.depth),
            mac.weight_base.eq(command.weight_base),
            mac.head_valid.eq(windows.grid_valid),
            mac.head_step.eq(windows.head_step),
            grid.issue.eq(mac.issue),
            grid.tag.eq(mac.tag),
            self.weight_enable.eq(mac.issue),
            self.weight_address.eq(mac.weight_address),
            *_each(grid.window, windows.padded),
            *_each(grid.weight_columns, self.weight_columns),
        ]
        # registers, as all that follows from the command alone
        mode = Signal(GridMode, reset_less=True)
        stride_two = Signal(reset_less=True)
        m.d.comb += [mac.mode.eq(mode), grid.stride_two.eq(stride_two)]
        m.d.sync += stride_two.eq(command.window_stride == 2)
        with m.Switch(control.opcode):
            with m.Case(Opcode.DEPTHWISE):
                m.d.sync += mode.eq(GridMode.DEPTHWISE)
            with m.Case(Opcode.MAX_POOL):
                m.d.sync += mode.eq(GridMode.MAX_POOL)
            with m.Default():
                m.d.sync += mode.eq(GridMode.CONV)

    def _results(self, m: Module, control: Any, grid: Any, accumulators: Any, drain: Any) -> None:
        """Sums go into the accumulators, finished groups out of them."""
        m.d.comb += [
            accumulators.valid.eq(grid.valid),
            accumulators.tag.eq(grid.result_tag),
            accumulators.coming_valid.eq(grid.coming_valid),
            accumulators.coming_tag.eq(grid.coming_tag),
            accumulators.read_slot.eq(drain.slot),
            accumulators.choice.eq(drain.choice),
            drain.clear.eq(control.drop),
            drain.block_words.eq(control.block_words),
            drain.plane_pitch.eq(control.command.ofm_plane_pitch),
            *_each(accumulators.sums, grid.sums),
            *_each(accumulators.columns, grid.columns),
        ]

    def _parameters(self, m: Module, control: Any, drain: Any) -> Value:
        """Read the parameters of what is drained; returns whether they are outside the buffer."""
        own = control.command.shared_scale & control.command.no_bias
        m.d.comb += [
            self.parameter_enable.eq(drain.valid & ~own),
            self.parameter_address.eq(drain.parameter_block),
            self.parameter_part.eq(drain.part),
        ]
        beyond: Value = drain.parameter_block >= self.config.parameter_blocks
        outside: Value = self.parameter_enable & beyond
        return outside

    def _outputs(
        self,
        m: Module,
        control: Any,
        drain: Any,
        accumulators: Any,
        elementwise: Any,
        requantize: Any,
    ) -> None:
        """One register between accumulators and requantizers."""
        config, command = self.config, control.command
        values = [
            Signal(signed(32), name=f"value{i}", reset_less=True)
            for i in range(config.requant_lanes)
        ]
        place = Signal(OutputPlace(config))
        m.d.sync += place.eq(drain.place)
        with m.If(control.drop):
            m.d.sync += [place.mask.eq(0), place.last.eq(0)]
        with m.If(drain.place.mask.any()):
            m.d.sync += _each(values, accumulators.values)
        m.d.comb += [
            requantize.place.eq(place),
            requantize.elementwise_place.eq(elementwise.place),
            requantize.is_elementwise.eq(control.is_elementwise),
            requantize.shared_scale.eq(command.shared_scale),
            requantize.no_bias.eq(command.no_bias),
            # in the same place in both formats
            requantize.multiplier.eq(command.ofm_multiplier),
            requantize.shift.eq(command.ofm_shift),
            requantize.zero_point.eq(command.ofm_zero_point),
            requantize.minimum.eq(command.activation_min),
            requantize.maximum.eq(command.activation_max),
            requantize.clear.eq(control.drop),
            *_each(requantize.values, values),
            *_each(requantize.elementwise_values, elementwise.values),
            *_each(requantize.elementwise_biases, elementwise.biases),
        ]
