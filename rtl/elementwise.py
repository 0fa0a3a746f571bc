"""Control and operand path of the elementwise functions."""

from typing import Any

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.buffers import TableRead
from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Function, Opcode
from rtl.operand_scaler import OperandScaler
from rtl.output_stage import OutputPlace
from rtl.sequencer import StepLayout


class ElementwiseLane(wiring.Component):
    """One element: choose, scale, and hand over two numbers that the requantizer adds up.

    All functions are sums. ADD and SUB scale one operand, and shift the other one, whose scale is
    the larger, by 19 places. MUL multiplies the first operand by the second. MAXIMUM, MINIMUM and
    TABLE scale nothing, and hand over the chosen value as the bias.

    Latency: `LATENCY` cycles from `first` and `second`. Throughput: one element per cycle.

    Parameters
    ----------
    rounding : one of `rtl.config.ROUNDINGS`.

    Members
    -------
    stages : which pipeline stages hold an element to be processed in this cycle.
    first, second : int8 operands. entry : what the table holds for the first, in the same cycle.
    command : the command.
    value, bias : twice what is to be added up, and one to round the half that remains.
    """

    LATENCY = 1 + OperandScaler.LATENCY

    stages: Signal
    first: Signal
    second: Signal
    entry: Signal
    command: Any
    value: Signal
    bias: Signal

    def __init__(self, rounding: str) -> None:
        self.rounding = rounding
        super().__init__(
            {
                "stages": In(self.LATENCY),
                "first": In(signed(8)),
                "second": In(signed(8)),
                "entry": In(signed(8)),
                "command": In(COMMANDS[Opcode.ELEMENTWISE].layout),
                "value": Out(signed(33)),
                "bias": Out(signed(33)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scaler = scaler = OperandScaler(self.rounding)
        command = self.command
        function = command.function
        scaled = Signal()
        multiplied = Signal()
        minus = Signal()
        swap = Signal()
        m.d.comb += [
            scaled.eq((function == Function.ADD) | (function == Function.SUB)),
            multiplied.eq(function == Function.MUL),
            swap.eq(scaled & command.scale_second),
            # the operand that is not scaled is the subtrahend
            minus.eq((function == Function.SUB) & ~command.scale_second),
        ]

        x = Signal(signed(8), reset_less=True)
        y = Signal(signed(8), reset_less=True)
        take_second = Signal()
        first_wins = (self.first >= self.second) ^ (function == Function.MINIMUM)
        m.d.comb += take_second.eq(Mux(scaled | multiplied, swap, first_wins))
        other = Mux(take_second, self.first, self.second)
        with m.If(self.stages[0]):
            m.d.sync += [
                x.eq(Mux(take_second, self.second, self.first)),
                # ~a - ~b == b - a
                y.eq(Mux(function == Function.TABLE, self.entry, other ^ minus.replicate(8))),
            ]

        zero_points = command.ifm_zero_point, command.ifm2_zero_point
        y_zero = Signal(signed(8))
        difference = Signal(signed(9))
        with m.If(scaled | multiplied):
            m.d.comb += y_zero.eq(Mux(swap, *zero_points) ^ minus.replicate(8))
        m.d.comb += [
            difference.eq(y - y_zero),
            scaler.stages.eq(self.stages[1:]),
            scaler.operand.eq(x),
            scaler.zero_point.eq(Mux(swap, *reversed(zero_points))),
            scaler.use_factor.eq(multiplied),
            scaler.factor.eq(difference),
            scaler.multiplier.eq(Mux(scaled, command.operand_multiplier, 0)),
            scaler.right_shift.eq(Mux(scaled, command.operand_right_shift, 0)),
            scaler.complement.eq((function == Function.SUB) & command.scale_second),
            self.value.eq(scaler.output),
        ]
        delayed: Value = difference
        for i in range(OperandScaler.LATENCY):
            following = Signal(signed(9), name=f"difference{i}", reset_less=True)
            with m.If(self.stages[1 + i]):
                m.d.sync += following.eq(delayed)
            delayed = following
        with m.If(scaled):
            m.d.comb += self.bias.eq(Cat(C(1, 20), delayed).as_signed())
        with m.Elif(multiplied):
            m.d.comb += self.bias.eq(1)
        with m.Else():
            m.d.comb += self.bias.eq(Cat(C(1, 1), delayed).as_signed())
        return m


class Elementwise(wiring.Component):
    """Pair two windows, R bytes per cycle, and prepare what the requantizer adds up.

    Latency: `LATENCY` cycles from the cycle in which elements are taken until they are with the
    requantizer, for every function. Throughput: R elements per cycle while two windows are
    present; the last ones of whole windows are put aside, so that the next two can arrive in time
    to follow without a gap (if a window lasts three cycles or more). Never stalls behind that.

    Parameters
    ----------
    config : sets F, C, R and the rounding.

    Members
    -------
    enable : the current command is an ELEMENTWISE; `command` holds its fields.
    both_valid, head, next, step : the windows of the two operands, and the first one's step.
    pop_both : both windows are used up or put aside in this cycle. pop_soon : they are in the next.
    issue : elements are taken in this cycle.
    table : port of the lookup table, read in the cycle of `issue`.
    clear : forget everything.
    values, biases, place : for the requantizer, which adds `biases` to `values`.
    """

    LATENCY = 1 + ElementwiseLane.LATENCY

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "enable": In(1),
                "command": In(COMMANDS[Opcode.ELEMENTWISE].layout),
                "both_valid": In(1),
                "head": In(config.lanes * 8).array(config.banks),
                "next": In(config.lanes * 8).array(config.banks),
                "step": In(StepLayout(config)),
                "pop_both": Out(1),
                "pop_soon": Out(1),
                "issue": Out(1),
                "table": Out(TableRead(config)),
                "clear": In(1),
                "values": Out(signed(33)).array(config.requant_lanes),
                "biases": Out(signed(33)).array(config.requant_lanes),
                "place": Out(OutputPlace(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        words, parts = config.requant_words, config.requant_parts
        word_bits, part_bits = (words - 1).bit_length(), (parts - 1).bit_length()
        beats = config.banks * parts // words
        index = Signal(range(beats))
        pair = Signal()
        final = Signal()
        aside = Signal()
        followed = Signal()
        window_beats = Signal(range(beats + 1))
        m.d.comb += [
            pair.eq(self.enable & self.both_valid),
            self.issue.eq(pair | aside),
            followed.eq((self.step.high == config.banks) & ~self.step.command_last),
            window_beats.eq(((self.step.high + (words - 1)) >> word_bits) << part_bits),
            final.eq(index == window_beats - 1 - followed),
            self.pop_both.eq(pair & final),
        ]
        if beats > 2:
            m.d.comb += self.pop_soon.eq(pair & followed & (index == beats - 3))
        m.d.sync += aside.eq(self.pop_both & followed)
        with m.If(pair):
            m.d.sync += index.eq(Mux(final, 0, index + 1))

        operands = self._operands(m, index, aside)
        m.d.comb += [
            self.table.enable.eq(self.issue & (self.command.function == Function.TABLE)),
            *(
                self.table.indices[c].eq(operands[0].word_select(c, 8))
                for c in range(config.requant_lanes)
            ),
        ]
        held = [Signal.like(operand, name=f"operand{i}") for i, operand in enumerate(operands)]
        with m.If(self.issue):
            m.d.sync += [target.eq(source) for target, source in zip(held, operands, strict=True)]

        first_address = Signal(ADDRESS_BITS)
        with m.If(pair):
            m.d.sync += first_address.eq(self.step.ofm_address)
        beat = Signal(range(beats))
        place = Signal(OutputPlace(config))
        offset = beat >> part_bits << word_bits
        m.d.comb += [
            beat.eq(Mux(aside, beats - 1, index)),
            place.address.eq(Mux(aside, first_address, self.step.ofm_address) + offset),
            place.mask.eq(
                self.issue.replicate(words)
                & Cat(aside | (offset + q < self.step.high) for q in range(words))
            ),
            place.part.eq(beat[:part_bits]),
            place.last.eq(self.pop_both & self.step.command_last),
        ]
        places = [place] + [
            Signal(OutputPlace(config), name=f"place{i}") for i in range(self.LATENCY)
        ]
        for i in range(self.LATENCY):
            m.d.sync += places[i + 1].eq(places[i])
            with m.If(self.clear):
                m.d.sync += [places[i + 1].mask.eq(0), places[i + 1].last.eq(0)]
        m.d.comb += self.place.eq(places[-1])

        stages = Cat(place.mask.any() for place in places[1:-1])
        for c in range(config.requant_lanes):
            lane = ElementwiseLane(config.rounding)
            m.submodules[f"lane{c}"] = lane
            m.d.comb += [
                lane.stages.eq(stages),
                lane.first.eq(held[0].word_select(c, 8).as_signed()),
                lane.second.eq(held[1].word_select(c, 8).as_signed()),
                lane.entry.eq(self.table.entries[c]),
                lane.command.eq(self.command),
                self.values[c].eq(lane.value),
                self.biases[c].eq(lane.bias),
            ]
        with m.If(self.clear):
            m.d.sync += [index.eq(0), aside.eq(0)]
        return m

    def _operands(self, m: Module, index: Signal, aside: Signal) -> list[Signal]:
        """R bytes of each window, in the order of their addresses; those put aside if `aside`."""
        config = self.config
        size = config.requant_lanes * 8
        parts = config.requant_parts
        windows = [Cat(self.head), Cat(self.next)]
        beats = range(0, len(windows[0]), size)
        chosen: list[list[Value]] = [[window[i : i + size] for i in beats] for window in windows]
        # a repeated word is the first of its window
        word = self.next[0]
        if parts > 1:
            repeated = [word.word_select(i % parts, size) for i in range(len(beats))]
        else:
            repeated = [word.replicate(config.requant_words)] * len(beats)
        repeat = self.command.ifm2_repeat
        operands = []
        for number, choices in enumerate(chosen):
            operand = Signal(size, name=f"taken{number}")
            put_aside = Signal(size, name=f"aside{number}", reset_less=True)
            present: Value = Array(choices)[index]
            last = choices[-1]
            if number == 1:
                present = Mux(repeat, Array(repeated)[index], present)
                last = Mux(repeat, repeated[-1], last)
            m.d.comb += operand.eq(Mux(aside, put_aside, present))
            with m.If(self.pop_both):
                m.d.sync += put_aside.eq(last)
            operands.append(operand)
        return operands
