"""Reads the command stream ahead of the dispatcher."""

from typing import Any

from amaranth.hdl import C, Cat, Elaboratable, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AXI_ADDRESS_BITS
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import FETCHED_WORD, ReadClient

WORD_BYTES = 8
PREFETCH_BYTES = 128
BURST_BYTES = 64

_WORD_BITS = WORD_BYTES.bit_length() - 1
_COUNT_BITS = AXI_ADDRESS_BITS - _WORD_BITS


class CommandFetch(wiring.Component):
    """Prefetch the command stream as 64-bit words.

    Bursts of up to 64 bytes, ending at multiples of their longest length, are requested while 128
    bytes of buffer have room for a longest one, so the read channel is never held up.

    Latency: a word can be taken in the cycle after its (last) beat arrived; the first burst is
    requested two cycles after `start`. Throughput: one word per cycle, a burst every two cycles.
    Stalls: stops requesting when the buffer is full.

    Parameters
    ----------
    config : bus width, longest burst.

    Members
    -------
    start : begin with the stream of `size` bytes at bus address `base` (multiples of 8, sampled).
    halt : issue no more bursts. clear : forget everything (only while no burst is unanswered).
    read : towards the read manager. words : the stream.
    exhausted : every word of the stream was taken.
    """

    start: Signal
    base: Signal
    size: Signal
    halt: Signal
    clear: Signal
    read: Any
    words: Any
    exhausted: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(AXI_ADDRESS_BITS),
                "size": In(AXI_ADDRESS_BITS),
                "halt": In(1),
                "clear": In(1),
                "read": Out(ReadClient(config, 0)),
                "words": Out(stream.Signature(FETCHED_WORD)),
                "exhausted": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        bus_bytes = self.config.bus_bytes
        item_bytes = max(bus_bytes, WORD_BYTES)
        burst_bytes = min(BURST_BYTES, self.config.burst_beats * bus_bytes)
        capacity = PREFETCH_BYTES // item_bytes
        item = data.StructLayout({"data": item_bytes * 8, "error": 1})
        m.submodules.fifo = fifo = StreamFifo(item, capacity)

        # items free and not promised to a burst: whatever arrives can be taken at once
        free = Signal(range(capacity + 1), init=capacity)
        promised = Signal(range(capacity + 1))
        words_left = self._request(m, free, promised, capacity, burst_bytes)
        # a burst that was asked for takes longer to arrive than this
        none_left = Signal()
        m.d.sync += none_left.eq((words_left == 0) & ~self.start)
        pop = Signal()
        m.d.comb += pop.eq(fifo.o.valid & fifo.o.ready)
        m.d.sync += free.eq(free + pop - promised)

        self._collect(m, fifo)
        m.d.comb += [
            self.exhausted.eq(none_left & (free == capacity)),
            self.words.valid.eq(fifo.o.valid),
            self.words.payload.error.eq(fifo.o.payload.error),
        ]
        if item_bytes == WORD_BYTES:
            m.d.comb += [
                self.words.payload.beat.eq(fifo.o.payload.data),
                fifo.o.ready.eq(self.words.ready),
            ]
        else:
            # the stream may begin with the upper word of an item, and end with a lower one
            upper = Signal()
            ends_low = Signal()
            with m.If(self.start):
                m.d.sync += [
                    upper.eq(self.base[_WORD_BITS]),
                    ends_low.eq(self.base[_WORD_BITS] ^ self.size[_WORD_BITS]),
                ]
            with m.Elif(self.words.valid & self.words.ready):
                m.d.sync += upper.eq(~upper)
            last = none_left & (free == capacity - 1)
            m.d.comb += [
                self.words.payload.beat.eq(fifo.o.payload.data.word_select(upper, WORD_BYTES * 8)),
                fifo.o.ready.eq(self.words.ready & (upper | (last & ends_low))),
            ]
        cleared: Elaboratable = ResetInserter(self.clear)(m)
        return cleared

    def _request(
        self, m: Module, free: Signal, promised: Signal, capacity: int, burst_bytes: int
    ) -> Signal:
        """Ask for bursts while there is room, say how many items are promised to one that is
        taken, and return the number of words that were not asked for."""
        bus_bytes = self.config.bus_bytes
        bus_bits = bus_bytes.bit_length() - 1
        burst_words = burst_bytes // WORD_BYTES
        burst_bits = burst_words.bit_length() - 1
        item_words = max(bus_bytes // WORD_BYTES, 1)
        address = Signal(_COUNT_BITS)
        left = Signal(_COUNT_BITS)
        count = Signal(range(burst_words + 1))
        room = Signal.like(count)
        offered = Signal()
        go = Signal()
        taken = Signal()
        request = self.read.request
        items = Signal(range(burst_words // item_words + 1))
        m.d.comb += [
            room.eq(burst_words - address[:burst_bits]),
            go.eq(offered & ~self.halt & (free >= burst_words // item_words)),
            taken.eq(go & request.ready),
            request.valid.eq(go),
            # on a wide bus the first word may be the upper one of its item
            items.eq(
                (address[: item_words.bit_length() - 1] + count + item_words - 1) // item_words
            ),
            promised.eq(Mux(taken, items, 0)),
            request.payload.length.eq(items * max(WORD_BYTES // bus_bytes, 1) - 1),
            request.payload.address[bus_bits:].eq(Cat(C(0, _WORD_BITS), address)[bus_bits:]),
        ]
        with m.If(self.start):
            m.d.sync += [address.eq(self.base >> _WORD_BITS), left.eq(self.size >> _WORD_BITS)]
        with m.Elif(taken):
            m.d.sync += [offered.eq(0), address.eq(address + count), left.eq(left - count)]
        with m.Elif(left != 0):
            m.d.sync += [offered.eq(1), count.eq(Mux(left < room, left, room))]
        return left

    def _collect(self, m: Module, fifo: StreamFifo) -> None:
        """Write beats into the FIFO; a bus narrower than a word needs two for an item."""
        beats = self.read.beats
        m.d.comb += beats.ready.eq(1)
        if self.config.bus_bytes >= WORD_BYTES:
            m.d.comb += [
                fifo.i.valid.eq(beats.valid),
                fifo.i.payload.data.eq(beats.payload.data),
                fifo.i.payload.error.eq(beats.payload.error),
            ]
            return
        low = Signal.like(beats.payload)
        have_low = Signal()
        m.d.comb += [
            fifo.i.valid.eq(beats.valid & have_low),
            fifo.i.payload.data.eq(Cat(low.data, beats.payload.data)),
            fifo.i.payload.error.eq(low.error | beats.payload.error),
        ]
        with m.If(beats.valid):
            m.d.sync += [low.eq(beats.payload), have_low.eq(~have_low)]
