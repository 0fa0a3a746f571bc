"""Shares the AXI read channels between the command fetcher and the load engine."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiRead, Burst, Response
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import INDEX_BITS, BusAttributes, BusWatch, ReadClient

LOAD_TAG_BITS = INDEX_BITS + 1
"""The load engine's bursts carry their command's index and whether they end a row."""


class ReadManager(wiring.Component):
    """Issue bursts for two clients and hand every beat back to the burst's owner.

    At most `outstanding_bursts` are in flight, all with id 0, so the answers arrive in the order
    of the requests. A client must be able to take every beat that it has asked for without waiting
    for the other client's.

    Latency: a request is on the address channel in the cycle after it was taken; beats pass
    through in the same cycle. Throughput: one request and one beat per cycle. Stalls: a client
    that is not ready for its beat holds the data channel.

    Parameters
    ----------
    config : bus width, bursts in flight.

    Members
    -------
    fetch, load : the clients; fetch has priority. axi : the bus. attributes : of all bursts.
    idle : no burst is waiting, issued or unanswered, or being asked for. watch : the bus as seen
        from here.
    """

    fetch: Any
    load: Any
    axi: Any
    attributes: Any
    idle: Signal
    watch: Any

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "fetch": In(ReadClient(config, 0)),
                "load": In(ReadClient(config, LOAD_TAG_BITS)),
                "axi": Out(AxiRead(config)),
                "attributes": In(BusAttributes()),
                "idle": Out(1),
                "watch": Out(BusWatch()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axi = self.axi
        entry = data.StructLayout({"is_load": 1, "tag": LOAD_TAG_BITS})
        m.submodules.owners = owners = StreamFifo(entry, self.config.outstanding_bursts)
        fetch, load = self.fetch.request, self.load.request
        accept = Signal()
        issue = Signal()

        m.d.comb += [
            accept.eq((~axi.arvalid | axi.arready) & owners.i.ready),
            fetch.ready.eq(accept),
            load.ready.eq(accept & ~fetch.valid),
            issue.eq(accept & (fetch.valid | load.valid)),
            owners.i.valid.eq(issue),
            owners.i.payload.is_load.eq(~fetch.valid),
            owners.i.payload.tag.eq(load.payload.tag),
            self.idle.eq((owners.level == 0) & ~issue),
            self.watch.owed.eq(owners.o.valid),
            self.watch.moved.eq(axi.arvalid & axi.arready | axi.rvalid),
            self.watch.of_command.eq(owners.o.payload.is_load),
            self.watch.command.eq(owners.o.payload.tag[1:]),
            axi.arcache.eq(self.attributes.cache),
            axi.arprot.eq(self.attributes.prot),
            axi.arsize.eq(self.config.bus_bytes.bit_length() - 1),
            axi.arburst.eq(Burst.INCR),
        ]
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        with m.If(issue):
            m.d.sync += [
                axi.arvalid.eq(1),
                axi.araddr.eq(Mux(fetch.valid, fetch.payload.address, load.payload.address)),
                axi.arlen.eq(Mux(fetch.valid, fetch.payload.length, load.payload.length)),
            ]

        owner = owners.o.payload
        for client, owns in ((self.fetch, ~owner.is_load), (self.load, owner.is_load)):
            m.d.comb += [
                client.beats.valid.eq(axi.rvalid & owners.o.valid & owns),
                client.beats.payload.data.eq(axi.rdata),
                client.beats.payload.last.eq(axi.rlast),
                client.beats.payload.error.eq(axi.rresp != Response.OKAY),
            ]
        m.d.comb += [
            self.load.beats.payload.tag.eq(owner.tag),
            axi.rready.eq(
                owners.o.valid & Mux(owner.is_load, self.load.beats.ready, self.fetch.beats.ready)
            ),
            owners.o.ready.eq(axi.rvalid & axi.rready & axi.rlast),
        ]
        return m
