"""Reads the command stream ahead of the dispatcher."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bursts import BurstSplitter
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import FETCHED_WORD, ReadClient

WORD_BYTES = 8
PREFETCH_BYTES = 256
BURST_BYTES = 128


class CommandFetch(wiring.Component):
    """Prefetch the command stream as 64-bit words.

    Bursts of up to 128 bytes are requested while 256 bytes of buffer have room for them, so the
    read channel is never held up.

    Latency: a word can be taken in the cycle after its (last) beat arrived; the first burst is
    requested two cycles after `start`. Throughput: one word per cycle. Stalls: stops requesting
    when the buffer is full.

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
                "base": In(32),
                "size": In(32),
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
        m.submodules.splitter = splitter = BurstSplitter(bus_bytes, burst_bytes, 32)
        m.submodules.fifo = fifo = StreamFifo(item, capacity)

        transfer = splitter.transfer
        m.d.comb += [
            transfer.valid.eq(self.start),
            transfer.payload.address.eq(self.base),
            transfer.payload.row_bytes.eq(self.size),
            transfer.payload.rows.eq(1),
            # the stream is a region of its own
            transfer.payload.size.eq(self.size),
        ]

        # items free and not promised to a burst: whatever arrives can be taken at once
        free = Signal(range(capacity + 1), init=capacity)
        items = Signal(range(capacity + 1))
        request, bursts = self.read.request, splitter.bursts
        go = Signal()
        pop = Signal()
        m.d.comb += [
            go.eq(~self.halt & (free >= burst_bytes // item_bytes)),
            request.valid.eq(bursts.valid & go),
            bursts.ready.eq(request.ready & go),
            request.payload.beats.eq(bursts.payload.beats),
            request.payload.address[bus_bytes.bit_length() - 1 :].eq(
                bursts.payload.address[bus_bytes.bit_length() - 1 :]
            ),
            items.eq(bursts.payload.beats >> (item_bytes // bus_bytes - 1)),
            pop.eq(fifo.o.valid & fifo.o.ready),
        ]
        m.d.sync += free.eq(free + pop - Mux(request.valid & request.ready, items, 0))

        self._collect(m, fifo)

        words_left = Signal(32 - WORD_BYTES.bit_length() + 1)
        with m.If(self.start):
            m.d.sync += words_left.eq(self.size >> WORD_BYTES.bit_length() - 1)
        with m.Elif(self.words.valid & self.words.ready):
            m.d.sync += words_left.eq(words_left - 1)
        m.d.comb += [
            self.exhausted.eq(words_left == 0),
            self.words.valid.eq(fifo.o.valid & ~self.exhausted),
            self.words.payload.error.eq(fifo.o.payload.error),
        ]
        if item_bytes == WORD_BYTES:
            m.d.comb += [
                self.words.payload.beat.eq(fifo.o.payload.data),
                fifo.o.ready.eq(self.words.ready & ~self.exhausted),
            ]
        else:
            upper = Signal()
            with m.If(self.start):
                m.d.sync += upper.eq(self.base[WORD_BYTES.bit_length() - 1])
            with m.Elif(self.words.valid & self.words.ready):
                m.d.sync += upper.eq(~upper)
            m.d.comb += [
                self.words.payload.beat.eq(fifo.o.payload.data.word_select(upper, WORD_BYTES * 8)),
                fifo.o.ready.eq(self.words.ready & ~self.exhausted & upper),
            ]
        cleared: Elaboratable = ResetInserter(self.clear)(m)
        return cleared

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
