"""Drains finished accumulators through the requantizers into the scratchpad."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
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
    """

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "ofm_address": unsigned(ADDRESS_BITS),
                "pixels": range(config.pixels + 1),
                "parameter_block": 14,
                "command_last": 1,
            }
        )


class Drain(wiring.Component):
    """Walk the finished groups: channel words outside, groups of Q pixels inside.

    Latency: the first read is issued in the cycle after `ready`. Throughput: Q pixels of one
    channel word per cycle, no gap between groups that are ready.

    Members
    -------
    ready[b], groups[b] : buffer b holds a finished group. clear : drop everything.
    block_words, plane_pitch : of the command.
    take, take_buffer : pulse: buffer's group is being drained from the next cycle on.
    release : pulse: the buffer being drained may be refilled.
    valid, slot, pixel_group, parameter_block, mask, address, last : the read issued this cycle;
    `last` is the last one of the command.
    """

    ready: Signal
    groups: data.View
    clear: Signal
    block_words: Signal
    plane_pitch: Signal
    take: Signal
    take_buffer: Signal
    release: Signal
    valid: Signal
    slot: Signal
    pixel_group: Signal
    parameter_block: Signal
    mask: Signal
    address: Signal
    last: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "ready": In(2),
                "groups": In(data.ArrayLayout(GroupLayout(config), 2)),
                "clear": In(1),
                "block_words": In(6),
                "plane_pitch": In(ADDRESS_BITS),
                "take": Out(1),
                "take_buffer": Out(1),
                "release": Out(1),
                "valid": Out(1),
                "slot": Out(range(2 * config.block_words)),
                "pixel_group": Out(range(max(config.pixels // config.requant_words, 2))),
                "parameter_block": Out(14),
                "mask": Out(config.requant_words),
                "address": Out(ADDRESS_BITS),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        q = config.requant_words
        group = Signal(GroupLayout(config))
        word = Signal(6)
        word_address = Signal(ADDRESS_BITS)
        pixels_left = Signal(range(config.pixels + 1))
        base_slot = Signal(range(2 * config.block_words))

        row_end = Signal()
        m.d.comb += [
            row_end.eq(pixels_left <= q),
            self.release.eq(self.valid & row_end & (word == self.block_words - 1)),
            self.last.eq(self.release & group.command_last),
            self.take.eq(self.ready.bit_select(self.take_buffer, 1) & (~self.valid | self.release)),
            self.slot.eq(base_slot + word),
            self.mask.eq(Cat(pixels_left > i for i in range(q))),
        ]
        with m.If(self.valid):
            m.d.sync += [
                pixels_left.eq(pixels_left - q),
                self.pixel_group.eq(self.pixel_group + 1),
                self.address.eq(self.address + q),
            ]
            with m.If(row_end):
                m.d.sync += [
                    pixels_left.eq(group.pixels),
                    self.pixel_group.eq(0),
                    word.eq(word + 1),
                    word_address.eq(word_address + self.plane_pitch),
                    self.address.eq(word_address + self.plane_pitch),
                    self.parameter_block.eq(self.parameter_block + 1),
                ]
        with m.If(self.release):
            m.d.sync += self.valid.eq(0)
        with m.If(self.take):
            taken = self.groups[self.take_buffer]
            m.d.sync += [
                self.valid.eq(1),
                self.take_buffer.eq(~self.take_buffer),
                group.eq(taken),
                pixels_left.eq(taken.pixels),
                self.pixel_group.eq(0),
                word.eq(0),
                word_address.eq(taken.ofm_address),
                self.address.eq(taken.ofm_address),
                self.parameter_block.eq(taken.parameter_block),
                base_slot.eq(Mux(self.take_buffer, config.block_words, 0)),
            ]
        with m.If(self.clear):
            m.d.sync += [self.valid.eq(0), self.take_buffer.eq(0)]
        return m


class Requantize(wiring.Component):
    """R requantizer lanes and the way of their results into the scratchpad.

    Grid values come with the parameters of their channel, or use the command's multiplier and
    shift, or no bias; elementwise sums occupy the first C lanes and always use the command's.

    Latency: `Requantizer.LATENCY + 1` cycles from stage 0 to the write. Throughput: Q words per
    cycle. Never stalls.

    Members
    -------
    values, parameters, mask, address, last : stage 0 of a grid result.
    elementwise : the command is an ELEMENTWISE.
    add_valid, add_values, add_biases, add_address, add_last : stage 0 of an elementwise result,
    the sum of values and biases.
    shared_scale : `multiplier` and `shift` replace those of the parameters.
    no_bias : the parameters' biases count as 0.
    multiplier, shift, zero_point, minimum, maximum : of the command.
    clear : suppress writes of what is under way.
    write : to the scratchpad. done : the command's last word is written in this cycle.
    out_of_range : a result in this cycle has no place in the scratchpad; it is not written.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        c = config.lanes
        super().__init__(
            {
                "values": In(signed(32)).array(config.requant_words * c),
                "parameters": In(ParameterRead(config)),
                "mask": In(config.requant_words),
                "address": In(ADDRESS_BITS),
                "last": In(1),
                "elementwise": In(1),
                "add_valid": In(1),
                "add_values": In(signed(32)).array(c),
                "add_biases": In(signed(32)).array(c),
                "add_address": In(ADDRESS_BITS),
                "add_last": In(1),
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
        masks = [Signal(config.requant_words, name=f"mask{i}") for i in range(latency + 1)]
        addresses = [Signal(ADDRESS_BITS, name=f"address{i}") for i in range(latency + 1)]
        lasts = [Signal(name=f"last{i}") for i in range(latency + 1)]
        m.d.comb += [
            masks[0].eq(Mux(self.add_valid, 1, self.mask)),
            addresses[0].eq(Mux(self.add_valid, self.add_address, self.address)),
            lasts[0].eq(Mux(self.add_valid, self.add_last, self.last)),
        ]
        for i in range(latency):
            m.d.sync += [
                masks[i + 1].eq(Mux(self.clear, 0, masks[i])),
                addresses[i + 1].eq(addresses[i]),
                lasts[i + 1].eq(lasts[i] & ~self.clear),
            ]
        stages = Signal(latency)
        m.d.comb += stages.eq(Cat(mask.any() for mask in masks[:latency]))

        biases, multipliers, shifts = self._channels(m)
        for q in range(config.requant_words):
            for c in range(config.lanes):
                lane = Requantizer(config.rounding)
                m.submodules[f"lane{q}_{c}"] = lane
                m.d.comb += [
                    lane.stages.eq(stages),
                    lane.zero_point.eq(self.zero_point),
                    lane.minimum.eq(self.minimum),
                    lane.maximum.eq(self.maximum),
                    lane.value.eq(self.values[q * config.lanes + c]),
                    lane.bias.eq(biases[c]),
                    lane.multiplier.eq(multipliers[c]),
                    lane.shift.eq(shifts[c]),
                    self.write.words[q].word_select(c, 8).eq(lane.output),
                ]
                if q == 0:
                    with m.If(self.elementwise):
                        m.d.comb += lane.value.eq(self.add_values[c])

        allowed = Signal(config.requant_words)
        for q in range(config.requant_words):
            in_range = Signal(name=f"in_range{q}")
            m.d.comb += in_range.eq(
                (addresses[latency] + q)[:ADDRESS_BITS] < config.scratchpad_words
            )
            m.d.comb += allowed[q].eq(in_range)
        m.d.comb += [
            self.write.mask.eq(Mux(self.clear, 0, masks[latency] & allowed)),
            self.write.address.eq(addresses[latency]),
            self.done.eq(lasts[latency] & ~self.clear),
            self.out_of_range.eq((masks[latency] & ~allowed).any()),
        ]
        return m

    def _channels(self, m: Module) -> tuple[list[Signal], list[Signal], list[Signal]]:
        """Bias, multiplier and shift of each channel, whichever source they come from."""
        own_scale = Signal()
        m.d.comb += own_scale.eq(self.elementwise | self.shared_scale)
        biases, multipliers, shifts = [], [], []
        for c in range(self.config.lanes):
            bias = Signal(signed(32), name=f"bias{c}")
            multiplier = Signal(32, name=f"multiplier{c}")
            shift = Signal(signed(8), name=f"shift{c}")
            m.d.comb += [
                bias.eq(Mux(self.no_bias, 0, self.parameters.biases[c])),
                multiplier.eq(Mux(own_scale, self.multiplier, self.parameters.multipliers[c])),
                shift.eq(Mux(own_scale, self.shift, self.parameters.shifts[c])),
            ]
            with m.If(self.elementwise):
                m.d.comb += bias.eq(self.add_biases[c])
            biases.append(bias)
            multipliers.append(multiplier)
            shifts.append(shift)
        return biases, multipliers, shifts
