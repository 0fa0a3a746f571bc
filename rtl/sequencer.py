"""Turns a compute command into the sequence of activation windows that it needs."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Opcode


class StepLayout(data.StructLayout):
    """One step: a window to fetch and what to do around it.

    Members
    -------
    address : scratchpad address of window word 0.
    low, high : words `low <= j < high` come from memory, the others are the zero point.
    first, last : first and last step of a pixel group.
    block_last : the group is the last one of its block (weights move on).
    command_last : the group is the last one of its command.
    ofm_address : output word of the group's first pixel, first channel word.
    ofm_pixels : pixels of the group that exist.
    parameter_block : parameters of the group's first channel word.
    """

    def __init__(self, config: NpuConfig) -> None:
        window = range(config.banks + 1)
        super().__init__(
            {
                "address": unsigned(ADDRESS_BITS),
                "low": window,
                "high": window,
                "first": 1,
                "last": 1,
                "block_last": 1,
                "command_last": 1,
                "ofm_address": unsigned(ADDRESS_BITS),
                "ofm_pixels": range(config.pixels + 1),
                "parameter_block": 14,
            }
        )


class Sequencer(wiring.Component):
    """Walk the loop nest of one compute command, one step per cycle at most.

    For CONV, DEPTHWISE and MAX_POOL the nest of ARCHITECTURE.md; for ELEMENTWISE, alternating
    windows of the two operands, of a repeated one always the same. All addresses are formed by
    addition: each loop level keeps the values at the start of its current iteration.

    Latency: first step `2 + words per block` cycles after `start`. Throughput: one step per cycle;
    holds while the consumer is not ready.

    Parameters
    ----------
    config : sets the window.

    Members
    -------
    start : begin; `opcode`, `grid` and `elementwise` (the command, decoded both ways) must stay
    valid.
    abort : stop at once.
    block_words : channel words per block. steps : the steps.
    """

    start: Signal
    abort: Signal
    opcode: Signal
    grid: data.View
    elementwise: data.View
    block_words: Signal
    steps: stream.Interface

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "abort": In(1),
                "opcode": In(8),
                "grid": In(COMMANDS[Opcode.CONV].layout),
                "elementwise": In(COMMANDS[Opcode.ELEMENTWISE].layout),
                "block_words": In(6),
                "steps": Out(stream.Signature(StepLayout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = self.grid
        is_elementwise = Signal()
        is_conv = Signal()
        m.d.comb += [
            is_elementwise.eq(self.opcode == Opcode.ELEMENTWISE),
            is_conv.eq(self.opcode == Opcode.CONV),
        ]

        running = Signal()
        setup = Signal()
        step = Signal()
        payload = self.steps.payload

        # ofm_plane_pitch times the words of a block, by repeated addition
        ofm_block_pitch = Signal(ADDRESS_BITS)
        setup_left = Signal(6)
        with m.If(self.start):
            m.d.sync += [setup.eq(1), setup_left.eq(self.block_words), ofm_block_pitch.eq(0)]
        with m.If(setup):
            m.d.sync += [
                setup_left.eq(setup_left - 1),
                ofm_block_pitch.eq(ofm_block_pitch + command.ofm_plane_pitch),
            ]
            with m.If(setup_left == 1):
                m.d.sync += [setup.eq(0), running.eq(1)]

        # loop counters count down to 1; `more[i]`: loop i has iterations left; innermost first
        levels = 6
        group_level = 3
        counts = {
            0: command.channel_steps,
            1: command.kernel_width,
            2: command.kernel_height,
            4: command.ofm_height,
            5: command.blocks,
        }
        width_left = Signal(16)
        more = Signal(levels)
        counters = {level: Signal(16, name=f"counter{level}") for level in counts}
        m.d.comb += more[group_level].eq(width_left > command.group_pixels)
        for level, counter in counters.items():
            m.d.comb += more[level].eq(counter != 1)

        advance = Signal(levels)
        for level in range(levels):
            m.d.comb += advance[level].eq(more[level] & ~more[:level].any())
        finished = Signal()
        m.d.comb += finished.eq(~more.any())

        # address and coordinates at the start of each level's current iteration
        address_step = [
            Mux(is_conv, command.ifm_plane_pitch, 0),
            command.tap_step,
            command.ifm_tap_row_step,
            command.group_step,
            command.ifm_row_step,
            Mux(is_conv, 0, command.ifm_plane_pitch),
        ]
        addresses = [Signal(ADDRESS_BITS, name=f"address{level}") for level in range(levels)]
        x_step = {1: command.tap_step, group_level: command.group_step}
        y_step = {2: command.dilation_y, 4: command.stride_y}
        columns = [Signal(signed(18), name=f"column{level}") for level in range(levels)]
        rows = [Signal(signed(18), name=f"row{level}") for level in range(levels)]
        x_start = Signal(signed(18))
        y_start = Signal(signed(18))
        m.d.comb += [x_start.eq(-command.pad_left), y_start.eq(-command.pad_top)]

        next_address = Signal(ADDRESS_BITS)
        next_column = Signal(signed(18))
        next_row = Signal(signed(18))
        for level in range(levels):
            with m.If(advance[level]):
                m.d.comb += [
                    next_address.eq(addresses[level] + address_step[level]),
                    next_column.eq(columns[level] + x_step.get(level, 0)),
                    next_row.eq(rows[level] + y_step.get(level, 0)),
                ]

        first = Signal()
        ofm_row = Signal(ADDRESS_BITS)
        ofm_block = Signal(ADDRESS_BITS)
        ofm_group = Signal(ADDRESS_BITS)
        parameter_block = Signal(14)

        with m.If(setup & ~is_elementwise):
            m.d.sync += [
                Cat(addresses).eq(Cat([command.ifm_origin] * levels)),
                Cat(columns).eq(Cat([x_start] * levels)),
                Cat(rows).eq(Cat([y_start] * levels)),
                width_left.eq(command.ofm_width),
                ofm_group.eq(command.ofm_base),
                ofm_row.eq(command.ofm_base),
                ofm_block.eq(command.ofm_base),
                parameter_block.eq(command.parameter_base),
                first.eq(1),
            ]
            m.d.sync += [counter.eq(counts[level]) for level, counter in counters.items()]
        with m.If(step & ~is_elementwise):
            for level, counter in counters.items():
                with m.If(advance[level]):
                    m.d.sync += counter.eq(counter - 1)
                with m.Elif(advance[level + 1 :].any()):
                    m.d.sync += counter.eq(counts[level])
            for level in range(levels):
                with m.If(advance[level:].any()):
                    m.d.sync += [
                        addresses[level].eq(next_address),
                        columns[level].eq(next_column),
                        rows[level].eq(next_row),
                    ]
            with m.If(advance[group_level]):
                m.d.sync += [
                    width_left.eq(width_left - command.group_pixels),
                    ofm_group.eq(ofm_group + command.group_pixels),
                ]
            with m.If(advance[4]):
                m.d.sync += [
                    width_left.eq(command.ofm_width),
                    ofm_row.eq(ofm_row + command.ofm_row_pitch),
                    ofm_group.eq(ofm_row + command.ofm_row_pitch),
                ]
            with m.If(advance[5]):
                m.d.sync += [
                    width_left.eq(command.ofm_width),
                    ofm_block.eq(ofm_block + ofm_block_pitch),
                    ofm_row.eq(ofm_block + ofm_block_pitch),
                    ofm_group.eq(ofm_block + ofm_block_pitch),
                    parameter_block.eq(parameter_block + self.block_words),
                ]

        # ELEMENTWISE reuses the innermost address registers for its two operands
        words_left = Signal(ADDRESS_BITS)
        second = Signal()
        repeat = self.elementwise.ifm2_repeat
        banks = self.config.banks
        with m.If(setup & is_elementwise):
            m.d.sync += [
                addresses[0].eq(self.elementwise.ifm_base),
                addresses[1].eq(self.elementwise.ifm2_base),
                ofm_group.eq(self.elementwise.ofm_base),
                words_left.eq(self.elementwise.words),
                second.eq(0),
            ]
        with m.If(step & is_elementwise):
            m.d.sync += second.eq(~second)
            with m.If(second):
                m.d.sync += [
                    addresses[0].eq(addresses[0] + banks),
                    addresses[1].eq(addresses[1] + Mux(repeat, 0, banks)),
                    ofm_group.eq(ofm_group + banks),
                    words_left.eq(words_left - banks),
                ]

        last_step = Signal()
        m.d.comb += [
            last_step.eq(Mux(is_elementwise, second & (words_left <= banks), finished)),
            step.eq(running & (~self.steps.valid | self.steps.ready)),
        ]
        with m.If(self.steps.ready):
            m.d.sync += self.steps.valid.eq(0)
        with m.If(step):
            m.d.sync += [
                self.steps.valid.eq(1),
                payload.address.eq(addresses[0]),
                payload.ofm_address.eq(ofm_group),
                payload.parameter_block.eq(parameter_block),
                payload.command_last.eq(Mux(is_elementwise, words_left <= banks, finished)),
            ]
            with m.If(last_step):
                m.d.sync += running.eq(0)
            with m.If(is_elementwise):
                m.d.sync += [
                    payload.address.eq(Mux(second, addresses[1], addresses[0])),
                    payload.low.eq(0),
                    payload.high.eq(
                        Mux(second & repeat, 1, Mux(words_left < banks, words_left, banks))
                    ),
                    payload.first.eq(~second),
                    payload.last.eq(second),
                    payload.block_last.eq(0),
                ]
            with m.Else():
                m.d.sync += [first.eq(~more[:group_level].any()), payload.first.eq(first)]
                self._describe(m, columns[0], rows[0], width_left, more)

        with m.If(self.abort):
            m.d.sync += [running.eq(0), setup.eq(0), self.steps.valid.eq(0)]
        return m

    def _describe(
        self, m: Module, column: Signal, row: Signal, width_left: Signal, more: Signal
    ) -> None:
        """Mask and flags of a grid step, from the current coordinates."""
        command = self.grid
        payload = self.steps.payload
        banks = self.config.banks
        below = Signal(signed(19))
        right = Signal(signed(19))
        m.d.comb += [below.eq(-column), right.eq(command.ifm_width - column)]
        m.d.sync += [
            payload.last.eq(~more[:3].any()),
            payload.block_last.eq(~more[:5].any()),
            payload.ofm_pixels.eq(
                Mux(width_left < command.group_pixels, width_left, command.group_pixels)
            ),
        ]
        with m.If(below <= 0):
            m.d.sync += payload.low.eq(0)
        with m.Elif(below >= banks):
            m.d.sync += payload.low.eq(banks)
        with m.Else():
            m.d.sync += payload.low.eq(below)
        with m.If((right <= 0) | (row < 0) | (row >= command.ifm_height)):
            m.d.sync += payload.high.eq(0)
        with m.Elif(right >= banks):
            m.d.sync += payload.high.eq(banks)
        with m.Else():
            m.d.sync += payload.high.eq(right)
