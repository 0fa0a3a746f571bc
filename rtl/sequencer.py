"""Turns a compute command into the sequence of activation windows that it needs."""

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from rtl.config import LISTED_DEPTH, NpuConfig
from rtl.interfaces import ListWrite
from rtl.isa import ADDRESS_BITS, COMMANDS, Opcode
from rtl.loop_counters import BLOCK, GROUP, LEVELS, ROW, LoopCounters
from rtl.skid import SkidBuffer
from rtl.step_list import StepList


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
    mask, single : with `pruned_weights` only, the weight words of the step that there are, at
        least one, and that it is just one.
    """

    def __init__(self, config: NpuConfig) -> None:
        window = range(config.banks + 1)
        listed = {"mask": unsigned(LISTED_DEPTH), "single": 1} if config.pruned_weights else {}
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
                **listed,
            }
        )


def choose(one_hot: Value, values: Sequence[Value]) -> Value:
    """The value whose bit is set; 0 where none is."""
    width = max(len(value) for value in values)
    gated = [Mux(one_hot[i], value, C(0, width)) for i, value in enumerate(map(Value.cast, values))]
    total = gated[0]
    for value in gated[1:]:
        total = total | value
    return total


class Sequencer(wiring.Component):
    """Walk the loop nest of one compute command, one step per cycle at most.

    For CONV, DEPTHWISE and MAX_POOL the nest of ARCHITECTURE.md; for ELEMENTWISE, alternating
    windows of the two operands, of a repeated one always the same. All addresses are formed by
    addition: each loop level keeps the values at the start of its current iteration.

    Steps of a CONV whose weight words are all zero, by its list, are left out; the first step of a
    group has all words, the last one at least one.

    Latency: first step `2 + words per block` cycles after `start`. Throughput: one step per cycle,
    those that are left out included; holds at a step of which the consumer is not ready.

    Parameters
    ----------
    config : sets the window.

    Members
    -------
    start : begin; `opcode`, `grid` and `elementwise` (the command, decoded both ways) are valid
        from the cycle before on.
    abort : stop at once.
    block_words : channel words per block. steps : the steps.
    list_write : with `pruned_weights` only, masks from the load engine.
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
        lists = {"list_write": In(ListWrite())} if config.pruned_weights else {}
        super().__init__(
            {
                **lists,
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
        m.submodules.buffer = buffer = SkidBuffer(StepLayout(self.config))
        connect(m, buffer.o, flipped(self.steps))
        m.d.comb += buffer.clear.eq(self.abort)
        command = self.grid
        is_elementwise = Signal(reset_less=True)
        running = Signal()
        setup = Signal()
        step = Signal()
        kept = Signal(init=1)  # a constant but with a list
        m.d.sync += is_elementwise.eq(self.opcode == Opcode.ELEMENTWISE)
        m.d.comb += [
            step.eq(running & (buffer.i.ready | ~kept)),
            buffer.i.valid.eq(running & kept),
        ]

        # ofm_plane_pitch times the words of a block, by repeated addition
        ofm_block_pitch = Signal(ADDRESS_BITS, reset_less=True)
        setup_left = Signal(6, reset_less=True)
        with m.If(self.start):
            m.d.sync += [setup.eq(1), setup_left.eq(self.block_words), ofm_block_pitch.eq(0)]
        with m.If(setup):
            m.d.sync += [
                setup_left.eq(setup_left - 1),
                ofm_block_pitch.eq(ofm_block_pitch + command.ofm_plane_pitch),
            ]
            with m.If(setup_left == 1):
                m.d.sync += [setup.eq(0), running.eq(1)]

        m.submodules.loops = loops = LoopCounters()
        m.d.comb += [
            loops.setup.eq(setup),
            loops.step.eq(step),
            loops.is_elementwise.eq(is_elementwise),
            Value.cast(loops.command).eq(Value.cast(command)),
        ]
        advance = loops.advance
        address = self._addresses(m, setup, step, advance, is_elementwise)
        ofm_address = self._ofm_addresses(m, setup, step, advance, ofm_block_pitch, is_elementwise)
        column, row = self._coordinates(m, setup, step, advance)
        group_last: Value = ~advance[:GROUP].any()
        parameter_block = Signal(14, reset_less=True)
        first = Signal(reset_less=True)
        with m.If(setup):
            m.d.sync += [parameter_block.eq(command.parameter_base), first.eq(1)]
        with m.If(step):
            m.d.sync += first.eq(group_last)
            with m.If(advance[BLOCK]):
                m.d.sync += parameter_block.eq(parameter_block + self.block_words)

        payload = buffer.i.payload
        last_step = Signal()
        m.d.comb += [
            payload.address.eq(address),
            payload.ofm_address.eq(ofm_address),
            payload.parameter_block.eq(parameter_block),
        ]
        with m.If(is_elementwise):
            second = advance[1]
            words_left, last_words = self._count_words(m, setup, step & second)
            repeated = second & self.elementwise.ifm2_repeat
            banks = self.config.banks
            m.d.comb += [
                payload.high.eq(Mux(repeated, 1, Mux(last_words, words_left, banks))),
                payload.first.eq(~second),
                payload.last.eq(second),
                payload.command_last.eq(last_words),
                last_step.eq(second & last_words),
            ]
        with m.Else():
            m.d.comb += [
                payload.first.eq(first),
                payload.last.eq(group_last),
                payload.block_last.eq(~advance[:BLOCK].any()),
                payload.command_last.eq(~advance.any()),
                last_step.eq(~advance.any()),
                payload.ofm_pixels.eq(loops.ofm_pixels),
            ]
            self._mask(m, payload, column, row)
        if self.config.pruned_weights:
            self._list(m, payload, kept, step, is_elementwise, advance)
        with m.If((step & last_step) | self.abort):
            m.d.sync += running.eq(0)
        with m.If(self.abort):
            m.d.sync += setup.eq(0)
        return m

    def _list(
        self,
        m: Module,
        payload: data.View,
        kept: Signal,
        step: Signal,
        is_elementwise: Signal,
        advance: Signal,
    ) -> None:
        """The weight words of the step, and whether it is kept."""
        command = self.grid
        m.submodules.list = steps = StepList()
        connect(m, flipped(self.list_write), steps.write)
        every = Signal(LISTED_DEPTH, reset_less=True)
        listed = Signal(reset_less=True)
        is_conv = self.opcode == Opcode.CONV
        m.d.sync += [
            every.eq(Mux(is_conv, Cat(command.depth > i for i in range(LISTED_DEPTH)), 1)),
            listed.eq(is_conv & command.listed),
        ]
        left = Signal(LISTED_DEPTH)
        m.d.comb += [
            steps.start.eq(self.start),
            steps.base.eq(command.list_base),
            steps.step.eq(step),
            steps.group_last.eq(~advance[:GROUP].any()),
            steps.block_last.eq(~advance[:BLOCK].any()),
            left.eq(steps.mask & every),
            kept.eq(~listed | payload.first | payload.last | left.any()),
            payload.mask.eq(every),
        ]
        with m.If(listed & ~payload.first):
            m.d.comb += payload.mask.eq(left | (payload.last & ~left.any()))
        m.d.comb += payload.single.eq((payload.mask & (payload.mask - 1)) == 0)

    def _count_words(self, m: Module, setup: Signal, step: Value) -> tuple[Signal, Signal]:
        """The words that an elementwise command has left, and whether a window holds all of them,
        as registers; a `step` takes a window of each operand."""
        words, banks = self.elementwise.words, self.config.banks
        words_left = Signal(ADDRESS_BITS, reset_less=True)
        last_words = Signal(reset_less=True)
        with m.If(setup):
            m.d.sync += [words_left.eq(words), last_words.eq(words <= banks)]
        with m.Elif(step):
            m.d.sync += [
                words_left.eq(words_left - banks),
                last_words.eq(words_left <= 2 * banks),
            ]
        return words_left, last_words

    def _addresses(
        self,
        m: Module,
        setup: Signal,
        step: Signal,
        advance: Signal,
        is_elementwise: Signal,
    ) -> Value:
        """The window's address, from those at the start of each level's current iteration."""
        command, operands = self.grid, self.elementwise
        banks = self.config.banks
        inner = Signal(ADDRESS_BITS, reset_less=True)
        second = Signal(len(command.tap_step), reset_less=True)
        outer = Signal(ADDRESS_BITS, reset_less=True)
        elementwise = self.opcode == Opcode.ELEMENTWISE
        conv = self.opcode == Opcode.CONV
        m.d.sync += [
            inner.eq(Mux(elementwise, banks, Mux(conv, command.ifm_plane_pitch, 0))),
            second.eq(Mux(elementwise, Mux(operands.ifm2_repeat, 0, banks), command.tap_step)),
            outer.eq(Mux(conv, 0, command.ifm_plane_pitch)),
        ]
        pitches: list[Value] = [
            inner,
            second,
            command.ifm_tap_row_step,
            command.group_step,
            command.ifm_row_step,
            outer,
        ]
        bases = [Signal(ADDRESS_BITS, name=f"address{i}", reset_less=True) for i in range(LEVELS)]
        following = Signal(ADDRESS_BITS)
        m.d.comb += following.eq(choose(advance, bases) + choose(advance, pitches))
        for level, base in enumerate(bases):
            start = command.ifm_origin
            if level < 2:
                operand = (operands.ifm_base, operands.ifm2_base)[level]
                start = Mux(is_elementwise, operand, start)
            with m.If(setup):
                m.d.sync += base.eq(start)
            with m.Elif(step & (advance[level] | (advance[level + 1 :].any() & ~is_elementwise))):
                m.d.sync += base.eq(following)
        return Mux(is_elementwise & advance[1], bases[1], bases[0])

    def _ofm_addresses(
        self,
        m: Module,
        setup: Signal,
        step: Signal,
        advance: Signal,
        block_pitch: Signal,
        is_elementwise: Signal,
    ) -> Signal:
        """The output word of the group, from those at the start of its row and its block."""
        command, operands = self.grid, self.elementwise
        levels = Cat(advance[GROUP] | (is_elementwise & advance[1]), advance[ROW:])
        pitches: list[Value] = [
            Mux(is_elementwise, self.config.banks, command.group_pixels),
            command.ofm_row_pitch,
            block_pitch,
        ]
        bases = [Signal(ADDRESS_BITS, name=f"ofm{i}", reset_less=True) for i in range(len(pitches))]
        following = Signal(ADDRESS_BITS)
        m.d.comb += following.eq(choose(levels, bases) + choose(levels, pitches))
        start = Mux(is_elementwise, operands.ofm_base, command.ofm_base)
        for level, base in enumerate(bases):
            with m.If(setup):
                m.d.sync += base.eq(start)
            with m.Elif(step & levels[level:].any()):
                m.d.sync += base.eq(following)
        return bases[0]

    def _coordinates(
        self, m: Module, setup: Signal, step: Signal, advance: Signal
    ) -> tuple[Signal, Signal]:
        """Column and row of window word 0 in the image."""
        command = self.grid
        found = []
        for name, pad, inner, inner_step, outer, outer_step in (
            ("column", command.pad_left, 1, command.tap_step, GROUP, command.group_step),
            ("row", command.pad_top, 2, command.dilation_y, ROW, command.stride_y),
        ):
            start = Signal(signed(18), name=f"{name}_start")
            base = Signal(signed(18), name=f"{name}_base", reset_less=True)
            current = Signal(signed(18), name=name, reset_less=True)
            following = Signal(signed(18), name=f"{name}_next")
            m.d.comb += [
                start.eq(-pad),
                following.eq(Mux(advance[inner], current + inner_step, base + outer_step)),
            ]
            with m.If(setup | (step & advance[outer + 1 :].any())):
                m.d.sync += [current.eq(start), base.eq(start)]
            with m.Elif(step):
                with m.If(advance[inner] | advance[outer]):
                    m.d.sync += current.eq(following)
                with m.Elif(advance[inner + 1 : outer].any()):
                    m.d.sync += current.eq(base)
                with m.If(advance[outer]):
                    m.d.sync += base.eq(following)
            found.append(current)
        return found[0], found[1]

    def _mask(self, m: Module, payload: data.View, column: Signal, row: Signal) -> None:
        """Which words of a grid step's window lie inside the image."""
        command = self.grid
        banks = self.config.banks
        beyond = Signal(signed(18), reset_less=True)
        # few bits of the distances to the edges, and comparisons beside them
        bits = banks.bit_length()
        right = Signal(bits)
        below = Signal(bits)
        m.d.sync += beyond.eq(command.ifm_width - banks)
        m.d.comb += [right.eq(command.ifm_width - column), below.eq(-column)]
        with m.If(column >= 0):
            m.d.comb += payload.low.eq(0)
        with m.Elif(column <= -banks):
            m.d.comb += payload.low.eq(banks)
        with m.Else():
            m.d.comb += payload.low.eq(below)
        outside = (row < 0) | (row >= command.ifm_height)
        with m.If(outside | (column >= command.ifm_width)):
            m.d.comb += payload.high.eq(0)
        with m.Elif(column <= beyond):
            m.d.comb += payload.high.eq(banks)
        with m.Else():
            m.d.comb += payload.high.eq(right)
