"""The handshakes of an AXI4-Lite subordinate."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiLite


class RegisterBus(wiring.Component):
    """Turn AXI4-Lite transfers into register accesses, one write and one read at a time.

    Every READY comes out of a register: it rises after its VALID was seen (a write's when both
    address and data are there), as AXI allows a subordinate. Every answer is OKAY.

    Latency: a write acts one cycle after its VALIDs rose at the earliest, a read is sampled two;
    the answer is valid in the cycle after the handshake. Throughput: an access every four cycles.
    Stalls: a read waits for `found`.

    Members
    -------
    axil : the bus. ready : accesses may be taken.
    write : in this cycle `data` is written to `address`, bytes whose `strobe` bit is high.
    lookup : the byte address whose `value` is wanted; `found` : `value` is that of the address of
        the cycle before, if `ready` was high then.
    """

    axil: Any
    ready: Signal
    write: Signal
    address: Signal
    data: Signal
    strobe: Signal
    lookup: Signal
    value: Signal
    found: Signal

    def __init__(self) -> None:
        signature = AxiLite()
        address_bits = signature.members["awaddr"].shape
        super().__init__(
            {
                "axil": In(signature),
                "ready": In(1),
                "write": Out(1),
                "address": Out(address_bits),
                "data": Out(32),
                "strobe": Out(4),
                "lookup": Out(address_bits),
                "value": In(32),
                "found": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        axil = self.axil
        taking = Signal()
        asked = Signal()
        finding = Signal()
        m.d.comb += [
            axil.awready.eq(self.write),
            axil.wready.eq(self.write),
            self.address.eq(axil.awaddr),
            self.data.eq(axil.wdata),
            self.strobe.eq(axil.wstrb),
            self.lookup.eq(axil.araddr),
            taking.eq(axil.awvalid & axil.wvalid & ~axil.bvalid & ~self.write & self.ready),
            finding.eq(asked & self.found),
        ]
        m.d.sync += [
            self.write.eq(taking),
            asked.eq(axil.arvalid & ~axil.rvalid & ~axil.arready & self.ready & ~finding),
            axil.arready.eq(finding),
        ]
        with m.If(self.write):
            m.d.sync += axil.bvalid.eq(1)
        with m.Elif(axil.bready):
            m.d.sync += axil.bvalid.eq(0)
        with m.If(finding):
            m.d.sync += axil.rdata.eq(self.value)
        with m.If(axil.arready):
            m.d.sync += axil.rvalid.eq(1)
        with m.Elif(axil.rready):
            m.d.sync += axil.rvalid.eq(0)
        return m
