"""Control and operand path of the elementwise functions."""

from typing import Any

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.buffers import LookupTable, TableRead
from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Function, Opcode
from rtl.operand_scaler import OperandScaler
from rtl.output_stage import OutputPlace
from rtl.sequencer import StepLayout

_ENTRY_STAGE = LookupTable.LATENCY - 1
"""Behind the operands, where what was looked up for them is there."""


class LaneSettings(data.StructLayout):
    """What a command asks of all lanes alike, in registers.

    Members
    -------
    scaled, multiplied : ADD and SUB, MUL. minimum, table : these functions.
    swap : the second operand is the one that is scaled. minus : the other one is the subtrahend.
    complement : the scaled one is.
    x_zero, y_zero : zero points of the scaled and the other operand; `y_zero` is complemented with
        `minus`, and 0 where none is subtracted.
    multiplier, right_shift : of the scaled operand; 0 where none is. twice : it is shifted.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "scaled": 1,
                "multiplied": 1,
                "minimum": 1,
                "table": 1,
                "swap": 1,
                "minus": 1,
                "complement": 1,
                "x_zero": signed(8),
                "y_zero": signed(8),
                "multiplier": 32,
                "right_shift": 5,
                "twice": 1,
            }
        )


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
    first, second : int8 operands. entry : what the table holds for the first, two cycles later.
    settings : of the command.
    value, bias : twice what is to be added up, and one to round the half that remains.
    """

    LATENCY = 1 + OperandScaler.LATENCY

    stages: Signal
    first: Signal
    second: Signal
    entry: Signal
    settings: Any
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
                "settings": In(LaneSettings()),
                "value": Out(signed(33)),
                "bias": Out(signed(33)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.scaler = scaler = OperandScaler(self.rounding)
        settings = self.settings
        summed: Value = settings.scaled | settings.multiplied

        x = Signal(signed(8), reset_less=True)
        y = Signal(signed(8), reset_less=True)
        take_second = Signal()
        first_wins = (self.first >= self.second) ^ settings.minimum
        m.d.comb += take_second.eq(Mux(summed, settings.swap, first_wins))
        other = Mux(take_second, self.first, self.second)
        with m.If(self.stages[0]):
            m.d.sync += [
                x.eq(Mux(take_second, self.second, self.first)),
                # ~a - ~b == b - a
                y.eq(other ^ settings.minus.replicate(8)),
            ]

        difference = Signal(signed(9))
        m.d.comb += [
            difference.eq(y - settings.y_zero),
            scaler.stages.eq(self.stages[1:]),
            scaler.operand.eq(x),
            scaler.zero_point.eq(settings.x_zero),
            scaler.use_factor.eq(settings.multiplied),
            scaler.factor.eq(difference),
            scaler.multiplier.eq(settings.multiplier),
            scaler.right_shift.eq(settings.right_shift),
            scaler.twice.eq(settings.twice),
            scaler.complement.eq(settings.complement),
            self.value.eq(scaler.output),
        ]
        delayed: Value = difference
        for i in range(OperandScaler.LATENCY):
            if i == _ENTRY_STAGE:
                # what comes from the table is not multiplied
                delayed = Mux(settings.table, self.entry, delayed)
            following = Signal(signed(9), name=f"difference{i}", reset_less=True)
            with m.If(self.stages[1 + i]):
                m.d.sync += following.eq(delayed)
            delayed = following
        with m.If(settings.scaled):
            m.d.comb += self.bias.eq(Cat(C(1, 20), delayed).as_signed())
        with m.Elif(settings.multiplied):
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
    command : an ELEMENTWISE, from two cycles before the first window on.
    both_valid, head, next, step : there are windows of the two operands; the first one's step is
        there a cycle before the second window.
    pop_both : both windows are used up or put aside in this cycle. pop_soon : they are in the next.
    issue : elements are taken in this cycle.
    table : port of the lookup table, read in the cycle after `issue`.
    clear : forget everything.
    values, biases, place : for the requantizer, which adds `biases` to `values`.
    """

    LATENCY = 1 + ElementwiseLane.LATENCY

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
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
        following = Signal.like(index)
        # of the windows at hand, all a cycle before: the element taken is the last one, or the last
        # but two; the rest of them is put aside
        final = Signal(reset_less=True)
        soon = Signal(reset_less=True)
        followed = Signal(reset_less=True)
        whole = Signal()
        aside = Signal()
        window_beats = Signal(range(beats + 1))
        m.d.comb += [
            pair.eq(self.both_valid),
            self.issue.eq(pair | aside),
            whole.eq((self.step.high == config.banks) & ~self.step.command_last),
            window_beats.eq(((self.step.high + (words - 1)) >> word_bits) << part_bits),
            following.eq(Mux(pair, Mux(final, 0, index + 1), index)),
            self.pop_both.eq(pair & final),
            self.pop_soon.eq(pair & soon),
        ]
        m.d.sync += [
            followed.eq(whole),
            final.eq(following == window_beats - 1 - whole),
            soon.eq(whole & (following == beats - 3) if beats > 2 else 0),
            index.eq(following),
        ]
        # of a repeated word only the parts are walked
        second_index = Signal.like(index, name="second_index")
        m.d.sync += second_index.eq(Mux(self.command.ifm2_repeat, following[:part_bits], following))
        m.d.sync += aside.eq(self.pop_both & followed)
        operands = self._operands(m, (index, second_index), aside)
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

        settings = self._settings(m)
        m.d.comb += [
            self.table.enable.eq(places[1].mask.any() & settings.table),
            *(
                self.table.indices[c].eq(held[0].word_select(c, 8))
                for c in range(config.requant_lanes)
            ),
        ]
        stages = Cat(place.mask.any() for place in places[1:-1])
        for c in range(config.requant_lanes):
            lane = ElementwiseLane(config.rounding)
            m.submodules[f"lane{c}"] = lane
            m.d.comb += [
                lane.stages.eq(stages),
                lane.first.eq(held[0].word_select(c, 8).as_signed()),
                lane.second.eq(held[1].word_select(c, 8).as_signed()),
                lane.entry.eq(self.table.entries[c]),
                lane.settings.eq(settings),
                self.values[c].eq(lane.value),
                self.biases[c].eq(lane.bias),
            ]
        with m.If(self.clear):
            m.d.sync += [index.eq(0), second_index.eq(0), aside.eq(0)]
        return m

    def _settings(self, m: Module) -> Any:
        """What the lanes need to know of the command, in registers."""
        command = self.command
        function = command.function
        settings: Any = Signal(LaneSettings(), reset_less=True)
        scaled = (function == Function.ADD) | (function == Function.SUB)
        multiplied = function == Function.MUL
        swap = scaled & command.scale_second
        minus = (function == Function.SUB) & ~command.scale_second
        zero_points = command.ifm_zero_point, command.ifm2_zero_point
        m.d.sync += [
            settings.scaled.eq(scaled),
            settings.multiplied.eq(multiplied),
            settings.minimum.eq(function == Function.MINIMUM),
            settings.table.eq(function == Function.TABLE),
            settings.swap.eq(swap),
            settings.minus.eq(minus),
            settings.complement.eq((function == Function.SUB) & command.scale_second),
            settings.x_zero.eq(Mux(swap, *reversed(zero_points))),
            settings.y_zero.eq(0),
            settings.multiplier.eq(Mux(scaled, command.operand_multiplier, 0)),
            settings.right_shift.eq(Mux(scaled, command.operand_right_shift, 0)),
            settings.twice.eq(scaled & (command.operand_right_shift != 0)),
        ]
        with m.If(scaled | multiplied):
            m.d.sync += settings.y_zero.eq(Mux(swap, *zero_points) ^ minus.replicate(8))
        return settings

    def _operands(self, m: Module, indices: tuple[Signal, Signal], aside: Signal) -> list[Signal]:
        """R bytes of each window, in the order of their addresses; those put aside if `aside`."""
        config = self.config
        size = config.requant_lanes * 8
        repeat = self.command.ifm2_repeat
        operands = []
        for number, (window, index) in enumerate(zip((self.head, self.next), indices, strict=True)):
            joined = Cat(window)
            choices: list[Value] = [joined[i : i + size] for i in range(0, len(joined), size)]
            present: Value = Array(choices)[index]
            last = choices[-1]
            if number == 1:
                # a repeated word is the first of its window
                word = Cat(window[0]).replicate(config.requant_words)
                last = Mux(repeat, word[-size:], last)
                if config.requant_words > 1:
                    present = Mux(repeat, word, present)
            operand = Signal(size, name=f"taken{number}")
            put_aside = Signal(size, name=f"aside{number}", reset_less=True)
            m.d.comb += operand.eq(Mux(aside, put_aside, present))
            with m.If(self.pop_both):
                m.d.sync += put_aside.eq(last)
            operands.append(operand)
        return operands
