"""A stream register whose two sides see only registers of each other."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """Two places: the one that is offered, and one for what comes when that is not taken.

    Latency: one cycle. Throughput: one item per cycle. Stalls: `i.ready` is a register.

    Parameters
    ----------
    shape : of the items.

    Members
    -------
    i : input stream. o : output stream. clear : drop everything.
    """

    i: Any
    o: Any
    clear: Signal

    def __init__(self, shape: Any) -> None:
        self.shape = shape
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        full = Signal()
        held: Any = Signal(self.shape, reset_less=True)
        offered: Any = Signal(self.shape, reset_less=True)
        m.d.comb += [self.i.ready.eq(~full), self.o.payload.eq(offered)]
        with m.If(~full):
            m.d.sync += held.eq(self.i.payload)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                offered.eq(Mux(full, held, self.i.payload)),
                self.o.valid.eq(full | self.i.valid),
                full.eq(0),
            ]
        with m.Else():
            m.d.sync += full.eq(full | self.i.valid)
        with m.If(self.clear):
            m.d.sync += [self.o.valid.eq(0), full.eq(0)]
        return m
