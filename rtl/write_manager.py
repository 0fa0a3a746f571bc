"""Drives the AXI write channels, which the store engine alone uses."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiWrite, Burst, Response
from rtl.bursts import BurstLayout
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import BusAttributes
from rtl.packer import BeatLayout


class WriteManager(wiring.Component):
    """Issue write bursts, send their data in order, and count the answers.

    Addresses are issued before their data, which does not wait until its address was taken. At
    most `outstanding_bursts` are unanswered.

    Latency: a burst is on the address channel, and its data can be asked for, in the cycle after
    it was taken; beats pass through in the same cycle. Throughput: a burst and a beat per cycle.

    Parameters
    ----------
    config : bus width, bursts in flight.

    Members
    -------
    bursts : to issue. issued : the same, towards the packer. beats : its data.
    axi : the bus. attributes : of all bursts.
    owed : a burst is unanswered. answered : pulse: the oldest one is, the transfer's last one if
    `answered_last`; with an error if `bad`.
    waits : the bus must take an address or data, or must answer. moved : it did something.
    """

    bursts: Any
    issued: Any
    beats: Any
    axi: Any
    attributes: Any
    owed: Signal
    answered: Signal
    answered_last: Signal
    bad: Signal
    waits: Signal
    moved: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        burst = BurstLayout(config.bus_bytes, config.burst_beats * config.bus_bytes)
        super().__init__(
            {
                "bursts": In(stream.Signature(burst)),
                "issued": Out(stream.Signature(burst)),
                "beats": In(stream.Signature(BeatLayout(config))),
                "axi": Out(AxiWrite(config)),
                "attributes": In(BusAttributes()),
                "owed": Out(1),
                "answered": Out(1),
                "answered_last": Out(1),
                "bad": Out(1),
                "waits": Out(1),
                "moved": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi, burst = self.axi, self.bursts
        bus_bits = self.config.bus_bytes.bit_length() - 1
        layout = burst.payload.shape()
        m.submodules.unsent = unsent = StreamFifo(layout, self.config.outstanding_bursts)
        m.submodules.ends = ends = StreamFifo(1, self.config.outstanding_bursts)
        wiring.connect(m, unsent.o, wiring.flipped(self.issued))
        offered: Any = Signal(layout)
        issue = Signal()
        m.d.comb += [
            burst.ready.eq((~axi.awvalid | axi.awready) & ends.i.ready),
            issue.eq(burst.valid & burst.ready),
            ends.i.valid.eq(issue),
            ends.i.payload.eq(burst.payload.last),
            unsent.i.valid.eq(issue),
            unsent.i.payload.eq(burst.payload),
            axi.awaddr[bus_bits:].eq(offered.address[bus_bits:]),
            axi.awlen.eq(offered.length),
            axi.awsize.eq(bus_bits),
            axi.awburst.eq(Burst.INCR),
            axi.awcache.eq(self.attributes.cache),
            axi.awprot.eq(self.attributes.prot),
            axi.wvalid.eq(self.beats.valid),
            axi.wdata.eq(self.beats.payload.data),
            axi.wstrb.eq(self.beats.payload.strobe),
            axi.wlast.eq(self.beats.payload.last),
            self.beats.ready.eq(axi.wready),
            axi.bready.eq(1),
            self.owed.eq(ends.o.valid),
            self.answered.eq(axi.bvalid & ends.o.valid),
            self.answered_last.eq(ends.o.payload),
            self.bad.eq(axi.bvalid & (axi.bresp != Response.OKAY)),
            ends.o.ready.eq(axi.bvalid),
            # while bytes are missing, the bus owes nothing but an answer to earlier bursts
            self.waits.eq(axi.awvalid | axi.wvalid | (ends.o.valid & ~unsent.o.valid)),
            self.moved.eq(axi.awvalid & axi.awready | axi.wvalid & axi.wready | axi.bvalid),
        ]
        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(issue):
            m.d.sync += [axi.awvalid.eq(1), offered.eq(burst.payload)]
        return m
