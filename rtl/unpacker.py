"""Cuts words of any byte alignment out of the beats that the bus delivers."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import LIST_ROWS, PARAMETER_BYTES, NpuConfig
from rtl.isa import ADDRESS_BITS, Destination
from rtl.load_walker import SLOT_BITS, WordLayout
from rtl.memory import Registers

UNITS = 8
"""Units buffered. Five hold a pixel of 4 * lanes bytes at any alignment."""


class LoadWriteLayout(data.StructLayout):
    """One word to write.

    Members
    -------
    destination, address, plane, data : as in `rtl.load_walker.WordLayout`.
    enable : for each byte, whether it is written; the others keep their value.
    outside : the address is beyond the destination's capacity. last : last word of its command.
    """

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "destination": Destination,
                "address": ADDRESS_BITS,
                "plane": range(PARAMETER_BYTES),
                "data": config.lanes * 8,
                "enable": config.lanes,
                "outside": 1,
                "last": 1,
            }
        )


class Unpacker(wiring.Component):
    """Buffer beats and cut words out of them.

    The buffer is a ring of units of `max(bus_bytes, lanes)` bytes in two banks, so that a word
    that spans two units is read at once. Beats of a row lie contiguously, a row starts at a unit.

    Latency: a word is offered two cycles after the beat that completes it. Throughput: one beat in
    and one word out per cycle. Stalls: `beats.ready` is low while all units are in use. Beats that
    no word needs are dropped; a word waits until the rows before its own have arrived.

    Parameters
    ----------
    config : lanes, bus width, capacities.

    Members
    -------
    beats : bus data; `end` marks the last beat of a row. words : what to cut out.
    writes : the words.
    """

    beats: Any
    words: Any
    writes: Any

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        beat = data.StructLayout({"data": config.bus_bytes * 8, "end": 1})
        super().__init__(
            {
                "beats": In(stream.Signature(beat)),
                "words": In(stream.Signature(WordLayout(config))),
                "writes": Out(stream.Signature(LoadWriteLayout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        lanes = config.lanes
        unit_bytes = max(config.bus_bytes, lanes)
        unit_bits = unit_bytes.bit_length() - 1
        bus_bits = config.bus_bytes.bit_length() - 1
        slots = unit_bytes // config.bus_bytes
        slot_bits = unit_bits - bus_bits

        # the bytes of the ring, even and odd units apart
        banks = [
            Registers(unit_bytes * 8, UNITS // 2, granularity=config.bus_bytes * 8)
            for _ in range(2)
        ]
        for number, bank in enumerate(banks):
            m.submodules[f"bank{number}"] = bank

        written = Signal(SLOT_BITS)
        released = Signal(SLOT_BITS)
        used = Signal(SLOT_BITS)
        beat = self.beats.payload
        m.d.comb += [
            used.eq(written - released),
            # `released` runs ahead of `written` while beats that no word needs arrive
            self.beats.ready.eq(used[-1] | ~used[slot_bits + UNITS.bit_length() - 1]),
        ]
        for number, bank in enumerate(banks):
            m.d.comb += [
                bank.write_address.eq(written[slot_bits + 1 :]),
                bank.write_data.eq(beat.data.replicate(slots)),
            ]
            with m.If(self.beats.valid & self.beats.ready & (written[slot_bits] == number)):
                m.d.comb += bank.write_enable.eq(1 << written[:slot_bits])
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += written.eq(written + 1)
            with m.If(beat.end):
                m.d.sync += written.eq(((written >> slot_bits) + 1) << slot_bits)

        # first stage: which beats the word needs, where its bytes are
        word = self.words.payload
        held: Any = Signal(WordLayout(config))
        valid = Signal()
        needed = Signal(SLOT_BITS)
        unit = Signal(range(UNITS))
        offset = Signal(unit_bits)
        mask = Signal(lanes)
        enable = Signal(lanes)
        outside = Signal()
        take = Signal()
        fire = Signal()
        hold_slot = Signal(SLOT_BITS)
        m.d.comb += [
            take.eq(self.words.valid & self.words.ready),
            self.words.ready.eq(~valid | fire),
            hold_slot.eq(word.row_slot + ((word.hold >> unit_bits) << slot_bits)),
        ]
        with m.If(word.hold_past):
            m.d.comb += hold_slot.eq(word.end_slot)
        with m.Elif(word.hold < 0):
            m.d.comb += hold_slot.eq(word.row_slot)
        with m.If(take):
            m.d.sync += [
                valid.eq(1),
                held.eq(word),
                needed.eq(
                    Mux(
                        word.high > word.low,
                        word.row_slot + ((word.position + word.high - 1) >> bus_bits) + 1,
                        word.row_slot,
                    )
                ),
                unit.eq((word.row_slot >> slot_bits) + (word.position >> unit_bits)),
                offset.eq(word.position),
                mask.eq(Cat((word.low <= k) & (word.high > k) for k in range(lanes))),
                enable.eq(Cat((word.first <= k) & (word.behind > k) for k in range(lanes))),
                outside.eq(self._outside(word)),
                released.eq(hold_slot),
            ]
        with m.Elif(fire):
            m.d.sync += valid.eq(0)
            with m.If(held.row_last):
                m.d.sync += released.eq(held.end_slot)

        # second stage: read two units, align, fill up
        arrived = Signal(SLOT_BITS)
        output = self.writes
        m.d.comb += [
            arrived.eq(written - needed),
            fire.eq(valid & ~arrived[-1] & (~output.valid | output.ready)),
            banks[0].read_address[0].eq((unit + 1) >> 1),
            banks[1].read_address[0].eq(unit >> 1),
        ]
        aligned = self._rotate(
            [bank.read_data[0].word_select(k, 8) for bank in banks for k in range(unit_bytes)],
            Cat(offset, unit[0]),
        )
        with m.If(output.ready):
            m.d.sync += output.valid.eq(0)
        with m.If(fire):
            m.d.sync += [
                output.valid.eq(1),
                output.payload.destination.eq(held.destination),
                output.payload.address.eq(held.address),
                output.payload.plane.eq(held.plane),
                output.payload.enable.eq(enable),
                output.payload.outside.eq(outside),
                output.payload.last.eq(held.last),
                output.payload.data.eq(
                    Cat(Mux(mask[k], aligned[k], held.pad_value) for k in range(lanes))
                ),
            ]
        return m

    def _rotate(self, units: list[Value], amount: Value) -> list[Value]:
        """The word that starts at byte `amount` of the ring of two units."""
        for level in reversed(range(len(amount))):
            distance = 1 << level
            keep = min(len(units), self.config.lanes + distance - 1)
            units = [
                Mux(amount[level], units[(k + distance) % len(units)], units[k])
                for k in range(keep)
            ]
        return units

    def _outside(self, word: Any) -> Value:
        """The word's address is beyond its destination's capacity."""
        config = self.config
        capacities = {
            Destination.SCRATCHPAD: config.scratchpad_words,
            Destination.WEIGHTS: config.weight_words * config.channels,
            Destination.PARAMETERS: config.parameter_blocks,
            Destination.BIASES: config.parameter_blocks,
            Destination.TABLE: config.table_rows,
            Destination.LIST: LIST_ROWS,
        }
        return Cat(
            (word.destination == destination) & (word.address >= capacity)
            for destination, capacity in capacities.items()
        ).any()
