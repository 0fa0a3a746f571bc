"""Bases and sizes of the external memory regions."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import RegionLookup
from rtl.isa import REGIONS
from rtl.memory import Registers

WORD_BITS = 32
BYTES = WORD_BITS // 8
WORDS = 2 * REGIONS


class RegionTable(wiring.Component):
    """A base and a size per region, in LUT RAM: zero after a reset until they are written.

    Latency: what is written in a cycle can be read in the next one; reads are combinational. The
    memory is cleared in the `WORDS` cycles after a reset; until then `ready` is low, nothing is
    written and what is read may be anything.

    Members
    -------
    ready : may be written and read.
    write, strobe, data : write the bytes of `data` whose `strobe` bit is high, to the base of
        region `write_number`, or its size when `write_size`.
    value : the base of region `read_number`, or its size when `read_size`.
    load, store : lookups of the engines.
    """

    ready: Signal
    write: Signal
    strobe: Signal
    data: Signal
    write_number: Signal
    write_size: Signal
    read_number: Signal
    read_size: Signal
    value: Signal
    load: Any
    store: Any

    def __init__(self) -> None:
        super().__init__(
            {
                "ready": Out(1),
                "write": In(1),
                "write_number": In(range(REGIONS)),
                "write_size": In(1),
                "strobe": In(BYTES),
                "data": In(WORD_BITS),
                "read_number": In(range(REGIONS)),
                "read_size": In(1),
                "value": Out(WORD_BITS),
                "load": In(RegionLookup()),
                "store": In(RegionLookup()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        cells = Registers(WORD_BITS, WORDS, granularity=8, reads=3)
        m.submodules.cells = cells
        # memories have no reset
        cleared = Signal(range(WORDS))
        with m.If(~self.ready):
            m.d.sync += [cleared.eq(cleared + 1), self.ready.eq(cleared == WORDS - 1)]
        chosen = Cat(self.write_number, self.write_size)
        m.d.comb += [
            cells.write_address.eq(Mux(self.ready, chosen, cleared)),
            cells.write_data.eq(Mux(self.ready, self.data, 0)),
            cells.write_enable.eq(Mux(self.ready, self.strobe & self.write.replicate(BYTES), -1)),
            cells.read_address[0].eq(Cat(self.read_number, self.read_size)),
            self.value.eq(cells.read_data[0]),
        ]
        for port, lookup in enumerate((self.load, self.store), 1):
            m.d.comb += [
                cells.read_address[port].eq(Cat(lookup.number, lookup.size)),
                lookup.value.eq(cells.read_data[port]),
            ]
        return m
