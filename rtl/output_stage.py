"""Drains finished accumulators through the requantizers into the scratchpad."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.buffers import ParameterRead
from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS
from rtl.requantizer import Requantizer
from rtl.scratchpad import OutputWrite


class GroupLayout(data.StructLayout):
    """A pixel group whose accumulation is complete.

    Members
    -------
    ofm_address : word of the first pixel, first channel word. pixels : how many exist.
    parameter_block : parameters of the first channel word. command_last : completes its command.
    slot : accumulator slot of the first channel word.
    """

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "ofm_address": unsigned(ADDRESS_BITS),
                "pixels": range(config.pixels + 1),
                "parameter_block": 14,
                "command_last": 1,
                "slot": range(2 * config.block_words),
            }
        )


class OutputPlace(data.StructLayout):
    """Where up to R results of one cycle go.

    Members
    -------
    address, mask : of the first of Q consecutive words, and which of them exist; none: no results.
    part : which R lanes of the word, where R < C. last : these are the command's last ones.
    """

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "address": unsigned(ADDRESS_BITS),
                "mask": config.requant_words,
                "part": range(max(config.requant_parts, 2)),
                "last": 1,
            }
        )


class Drain(wiring.Component):
    """Walk the finished groups: channel words outside, groups of Q pixels inside, or each pixel's
    parts of R lanes.

    Parameters, which take a cycle longer to arrive, are asked for a cycle before the accumulators.

    Latency: the first parameters are asked for in the cycle after a group was taken, the
    accumulators are read one later. Throughput: R values of one channel word per cycle, no gap
    between groups that are ready.

    Members
    -------
    groups : finished groups, whose accumulators are read from the cycle after the next on.
    clear : drop everything. block_words, plane_pitch : of the command, constant while groups come.
    release : pulse: the slots being drained may be refilled, from the next cycle but one on.
    valid, part, parameter_block : the parameters asked for in this cycle.
    slot, choice, place : the values read in this cycle: which R of the slot's, and where they go;
    none where the mask is empty.
    """

    groups: stream.Interface
    clear: Signal
    block_words: Signal
    plane_pitch: Signal
    release: Signal
    valid: Signal
    slot: Signal
    choice: Signal
    part: Signal
    parameter_block: Signal
    place: data.View

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "groups": In(stream.Signature(GroupLayout(config))),
                "clear": In(1),
                "block_words": In(6),
                "plane_pitch": In(ADDRESS_BITS),
                "release": Out(1),
                "valid": Out(1),
                "slot": Out(range(2 * config.block_words)),
                "choice": Out(range(max(config.output_choices, 2))),
                "part": Out(range(max(config.requant_parts, 2))),
                "parameter_block": Out(14),
                "place": Out(OutputPlace(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        q, parts = config.requant_words, config.requant_parts
        group = Signal(GroupLayout(config), reset_less=True)
        slot = Signal.like(self.slot, name="slot_next", reset_less=True)
        choice = Signal.like(self.choice, name="choice_next", reset_less=True)
        place = Signal(OutputPlace(config), reset_less=True)
        words_left = Signal(6, reset_less=True)
        word_address = Signal(ADDRESS_BITS, reset_less=True)
        pixels_left = Signal(range(config.pixels + 1), reset_less=True)
        # what the next read will be the end of is known a cycle before
        single = Signal(reset_less=True)
        last_word = Signal(reset_less=True)
        row_end = Signal(reset_less=True)
        part_end = Signal()
        m.d.comb += [
            part_end.eq(place.part == parts - 1),
            self.release.eq(self.valid & row_end & last_word),
            self.groups.ready.eq(~self.valid | self.release),
            self.part.eq(place.part),
        ]
        m.d.sync += single.eq(self.block_words == 1)
        with m.If(self.valid):
            m.d.sync += choice.eq(choice + 1)
            if parts > 1:
                m.d.sync += [
                    place.part.eq(place.part + 1),
                    row_end.eq((place.part == parts - 2) & (pixels_left <= q)),
                ]
            else:
                m.d.sync += row_end.eq(pixels_left <= 2 * q)
            with m.If(part_end):
                m.d.sync += [
                    place.part.eq(0),
                    pixels_left.eq(pixels_left - q),
                    place.address.eq(place.address + q),
                ]
            with m.If(row_end):
                m.d.sync += [
                    pixels_left.eq(group.pixels),
                    choice.eq(0),
                    slot.eq(slot + 1),
                    words_left.eq(words_left - 1),
                    last_word.eq(words_left == 2),
                    word_address.eq(word_address + self.plane_pitch),
                    place.address.eq(word_address + self.plane_pitch),
                    self.parameter_block.eq(self.parameter_block + 1),
                ]
                if parts == 1:
                    m.d.sync += row_end.eq(group.pixels <= q)
        with m.If(self.release):
            m.d.sync += self.valid.eq(0)
        with m.If(self.groups.valid & self.groups.ready):
            taken = self.groups.payload
            m.d.sync += [
                self.valid.eq(1),
                group.eq(taken),
                pixels_left.eq(taken.pixels),
                choice.eq(0),
                place.part.eq(0),
                slot.eq(taken.slot),
                words_left.eq(self.block_words),
                last_word.eq(single),
                row_end.eq((taken.pixels <= q) if parts == 1 else 0),
                word_address.eq(taken.ofm_address),
                place.address.eq(taken.ofm_address),
                self.parameter_block.eq(taken.parameter_block),
            ]
        with m.If(self.clear):
            m.d.sync += self.valid.eq(0)

        m.d.sync += [
            self.slot.eq(slot),
            self.choice.eq(choice),
            self.place.eq(place),
            self.place.mask.eq(Cat(pixels_left > i for i in range(q)) & self.valid.replicate(q)),
            self.place.last.eq(self.release & group.command_last),
        ]
        with m.If(self.clear):
            m.d.sync += [self.place.mask.eq(0), self.place.last.eq(0)]
        return m


class Requantize(wiring.Component):
    """R requantizer lanes and the way of their results into the scratchpad.

    Grid values come with the parameters of their channel, or use the command's multiplier and
    shift, or no bias; elementwise sums always use the command's.

    Latency: `Requantizer.LATENCY` cycles from stage 0 to the write. Throughput: R results per
    cycle. Never stalls.

    Members
    -------
    values, parameters, place : stage 0 of a grid result; int32, and the parameters of R lanes or C.
    is_elementwise : the command is an ELEMENTWISE.
    elementwise_values, elementwise_biases, elementwise_place : stage 0 of an elementwise result,
        half the sum of values and biases.
    shared_scale : `multiplier` and `shift` replace those of the parameters.
    no_bias : the parameters' biases count as 0.
    multiplier, shift, zero_point, minimum, maximum : of the command.
    clear : suppress writes of what is under way, from the next cycle on.
    write : to the scratchpad. done : the command's last word is written in this cycle.
    out_of_range : a result of the next cycle has no place in the scratchpad; it is not written.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        lanes = config.requant_lanes
        super().__init__(
            {
                "values": In(signed(32)).array(lanes),
                "parameters": In(ParameterRead(config)),
                "place": In(OutputPlace(config)),
                "is_elementwise": In(1),
                "elementwise_values": In(signed(33)).array(lanes),
                "elementwise_biases": In(signed(33)).array(lanes),
                "elementwise_place": In(OutputPlace(config)),
                "shared_scale": In(1),
                "no_bias": In(1),
                "multiplier": In(32),
                "shift": In(signed(8)),
                "zero_point": In(signed(8)),
                "minimum": In(signed(8)),
                "maximum": In(signed(8)),
                "clear": In(1),
                "write": Out(OutputWrite(config)),
                "done": Out(1),
                "out_of_range": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        latency = Requantizer.LATENCY
        places = [
            Signal(OutputPlace(config), name=f"place{i}", reset_less=i > 0)
            for i in range(latency + 1)
        ]
        m.d.comb += places[0].eq(Mux(self.is_elementwise, self.elementwise_place, self.place))
        for i in range(latency):
            m.d.sync += places[i + 1].eq(places[i])
            with m.If(self.clear):
                m.d.sync += [places[i + 1].mask.eq(0), places[i + 1].last.eq(0)]
        stages = Cat(place.mask.any() for place in places[:latency])

        outputs = self._lanes(m, stages)
        coming, written = places[latency - 1 :]
        allowed = Signal(config.requant_words)
        for q in range(config.requant_words):
            in_range = (coming.address + q)[:ADDRESS_BITS] < config.scratchpad_words
            m.d.comb += allowed[q].eq(in_range)
        with m.If(~self.clear):
            m.d.sync += written.mask.eq(coming.mask & allowed)
        m.d.comb += [
            self.write.mask.eq(written.mask),
            self.write.address.eq(written.address),
            self.done.eq(written.last),
            self.out_of_range.eq((coming.mask & ~allowed).any()),
        ]
        if config.requant_parts == 1:
            m.d.comb += self.write.enable.eq(~0)
            for q, word in enumerate(self.write.words):
                m.d.comb += word.eq(Cat(outputs[q * config.lanes : (q + 1) * config.lanes]))
        else:
            m.d.comb += self.write.words[0].eq(Cat(outputs * config.requant_parts))
            for part in range(config.requant_parts):
                enable = self.write.enable.word_select(part, config.requant_lanes)
                with m.If(written.part == part):
                    m.d.comb += enable.eq(~0)
        return m

    def _lanes(self, m: Module, stages: Value) -> list[Signal]:
        """The requantizers; returns their outputs."""
        config = self.config
        # they follow from the command
        own_scale = Signal(reset_less=True)
        m.d.sync += own_scale.eq(self.is_elementwise | self.shared_scale)
        channels = config.parameter_lanes
        biases, multipliers, shifts = [], [], []
        for c in range(channels):
            bias = Signal(signed(32), name=f"bias{c}")
            multiplier = Signal(32, name=f"multiplier{c}")
            shift = Signal(signed(8), name=f"shift{c}")
            m.d.comb += [
                bias.eq(Mux(self.no_bias, 0, self.parameters.biases[c])),
                multiplier.eq(Mux(own_scale, self.multiplier, self.parameters.multipliers[c])),
                shift.eq(Mux(own_scale, self.shift, self.parameters.shifts[c])),
            ]
            biases.append(bias)
            multipliers.append(multiplier)
            shifts.append(shift)

        outputs = []
        for i in range(config.requant_lanes):
            lane = Requantizer(config.rounding)
            m.submodules[f"lane{i}"] = lane
            c = i % channels
            m.d.comb += [
                lane.stages.eq(stages),
                lane.zero_point.eq(self.zero_point),
                lane.minimum.eq(self.minimum),
                lane.maximum.eq(self.maximum),
                lane.multiplier.eq(multipliers[c]),
                lane.shift.eq(shifts[c]),
            ]
            with m.If(self.is_elementwise):
                m.d.comb += [
                    lane.value.eq(self.elementwise_values[i]),
                    lane.bias.eq(self.elementwise_biases[i]),
                ]
            with m.Else():
                m.d.comb += [
                    lane.value.eq(self.values[i] << 1),
                    lane.bias.eq(biases[c] << 1),
                ]
            outputs.append(lane.output)
        return outputs
