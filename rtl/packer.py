"""Packs words of any length into bus beats of any alignment."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bursts import BurstLayout
from rtl.config import NpuConfig
from rtl.memory import Registers

UNITS = 8
"""Units of the ring, a power of two."""


class RingLayout(data.StructLayout):
    """A byte of the ring; `unit` counts modulo twice the ring's size, so that full is not empty."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {"lane": range(max(config.bus_bytes, config.lanes)), "unit": range(2 * UNITS)}
        )


class PlacementLayout(data.StructLayout):
    """Where a word's first `count` bytes go.

    Members
    -------
    place : of its first byte. following : the first byte that is not complete after it.
    """

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "place": RingLayout(config),
                "following": RingLayout(config),
                "count": range(config.lanes + 1),
            }
        )


class BeatLayout(data.StructLayout):
    """A beat of write data: byte enables, and whether it is the last of its burst."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__({"data": config.bus_bytes * 8, "strobe": config.bus_bytes, "last": 1})


class Packer(wiring.Component):
    """Collect words in a ring of bytes and send them as the beats of the bursts that were issued.

    The ring consists of units of `max(bus_bytes, lanes)` bytes; a row starts in a unit of its own,
    at the byte lane at which it starts on the bus. Each lane is a memory of its own, so a word is
    written in one cycle wherever it starts.

    Latency: a beat is offered three cycles after the word that completes it was present.
    Throughput: a word in and a beat out per cycle. Stalls: words are always accepted, the walker
    keeps track of the room; a beat waits for its words and for its burst.

    Parameters
    ----------
    config : lanes, bus width.

    Members
    -------
    placed, placement, word : a word and where it goes.
    bursts : issued bursts, in order. beats : data, byte enables, last of its burst.
    fill : complete the issued bursts with disabled bytes when no words come any more.
    unit_read : the unit that is read next. settled : no word is on its way into the ring.
    """

    placed: Signal
    placement: Any
    word: Signal
    bursts: Any
    beats: Any
    fill: Signal
    unit_read: Signal
    settled: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        burst = BurstLayout(config.bus_bytes, config.burst_beats * config.bus_bytes)
        super().__init__(
            {
                "placed": In(1),
                "placement": In(PlacementLayout(config)),
                "word": In(config.lanes * 8),
                "bursts": In(stream.Signature(burst)),
                "beats": Out(stream.Signature(BeatLayout(config))),
                "fill": In(1),
                "unit_read": Out(range(2 * UNITS)),
                "settled": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        unit_bytes = max(config.bus_bytes, config.lanes)
        ring = RingLayout(config)

        lanes = [Registers(8, UNITS) for _ in range(unit_bytes)]
        for number, cells in enumerate(lanes):
            m.submodules[f"lane{number}"] = cells

        # write: the word is registered first, memory outputs are slow
        held: Any = Signal(PlacementLayout(config))
        word = Signal(config.lanes * 8)
        valid = Signal()
        written: Any = Signal(ring)
        m.d.sync += [valid.eq(self.placed), held.eq(self.placement), word.eq(self.word)]
        m.d.comb += self.settled.eq(~valid & ~self.placed)
        with m.If(valid):
            m.d.sync += written.eq(held.following)
        rotated = self._rotate(word, held.place.lane, unit_bytes)
        for number, cells in enumerate(lanes):
            byte = Signal(range(unit_bytes), name=f"byte{number}")
            m.d.comb += [
                byte.eq(number - held.place.lane),
                cells.write_address.eq(held.place.unit + (number < held.place.lane)),
                cells.write_data.eq(rotated[number]),
                cells.write_enable.eq(valid & (byte < held.count)),
            ]

        # read: one beat of the burst at hand
        position: Any = Signal(ring)
        following: Any = Signal(ring)
        available = Signal(ring)
        complete = Signal()
        first = Signal(init=1)
        beats_left = Signal.like(self.bursts.payload.length)
        last = Signal()
        go = Signal()
        burst, output = self.bursts.payload, self.beats
        bus_bits = config.bus_bytes.bit_length() - 1
        m.d.comb += [
            self.unit_read.eq(position.unit),
            available.as_value().eq(written.as_value() - position.as_value()),
            complete.eq(available.as_value()[bus_bits:].any()),
            following.as_value().eq(position.as_value() + config.bus_bytes),
            last.eq(Mux(first, burst.length, beats_left) == 0),
            go.eq(
                self.bursts.valid
                & (~output.valid | output.ready)
                & (complete | (self.fill & self.settled))
            ),
            self.bursts.ready.eq(go & last),
            *(cells.read_address[0].eq(position.unit) for cells in lanes),
        ]
        unit = Cat(cells.read_data[0] for cells in lanes)
        beat = unit.word_select(position.lane >> bus_bits, config.bus_bytes * 8)
        strobe = Cat(
            complete
            & (~first | (lane >= burst.address[:bus_bits]))
            & (~last | (burst.end_lane == 0) | (lane < burst.end_lane))
            for lane in range(config.bus_bytes)
        )
        with m.If(output.ready):
            m.d.sync += output.valid.eq(0)
        with m.If(go):
            m.d.sync += [
                output.valid.eq(1),
                output.payload.data.eq(beat),
                output.payload.strobe.eq(strobe),
                output.payload.last.eq(last),
                first.eq(last),
                beats_left.eq(Mux(first, burst.length, beats_left) - 1),
            ]
            with m.If(complete):
                m.d.sync += position.eq(following)
                with m.If(last & burst.row_last):
                    m.d.sync += [
                        position.lane.eq(0),
                        position.unit.eq(following.unit + (following.lane != 0)),
                    ]
        return m

    @staticmethod
    def _rotate(word: Signal, amount: Value, unit_bytes: int) -> list[Value]:
        """Bytes of the word, moved up by `amount` lanes around a unit."""
        lanes: list[Value] = [word.word_select(k, 8) for k in range(len(word) // 8)]
        # lanes beyond the word are never written before rotation, any byte will do
        lanes = [lanes[k % len(lanes)] for k in range(unit_bytes)]
        for level in range(len(amount)):
            lanes = [
                Mux(amount[level], lanes[(k - (1 << level)) % unit_bytes], lanes[k])
                for k in range(unit_bytes)
            ]
        return lanes
