"""Bases and sizes of the external memory regions."""

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import RegionLookup
from rtl.isa import REGIONS

WORD_BITS = 32
BYTES = WORD_BITS // 8


class RegionTable(wiring.Component):
    """A base and a size per region, in LUT RAM: zero after a reset until they are written.

    Latency: what is written in a cycle can be read in the next one; reads are combinational.

    Members
    -------
    write, strobe, data : write the bytes of `data` whose `strobe` bit is high, to the base of
        region `write_number`, or its size when `write_size`.
    value : the base of region `read_number`, or its size when `read_size`.
    load, store : lookups of the engines.
    """

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
        word = data.ArrayLayout(8, BYTES)
        values = []
        for is_size in (0, 1):
            cells: Any = memory.Memory(shape=word, depth=REGIONS, init=[])
            m.submodules += cells
            # memories have no reset
            known = Signal(REGIONS, name="size_known" if is_size else "base_known")
            write = cells.write_port(granularity=1)
            read, load, store = (cells.read_port(domain="comb") for _ in range(3))
            first = ~known.bit_select(self.write_number, 1)
            chosen = self.write & (self.write_size == is_size)
            m.d.comb += [
                write.addr.eq(self.write_number),
                read.addr.eq(self.read_number),
                load.addr.eq(self.load.number),
                store.addr.eq(self.store.number),
            ]
            for byte in range(BYTES):
                # the other bytes of a word that is written for the first time become zero
                own = self.data.word_select(byte, 8)
                m.d.comb += [
                    write.data[byte].eq(Mux(self.strobe[byte], own, 0)),
                    write.en[byte].eq(chosen & (self.strobe[byte] | first)),
                ]
            with m.If(chosen):
                m.d.sync += known.bit_select(self.write_number, 1).eq(1)
            values.append(Mux(known.bit_select(self.read_number, 1), read.data.as_value(), 0))
            for lookup, port in ((self.load, load), (self.store, store)):
                value = port.data.as_value()
                if is_size:
                    known_size = known.bit_select(lookup.number, 1)
                    m.d.comb += lookup.size.eq(Mux(known_size, value, 0))
                else:
                    # a region without a size cannot be used, wherever it begins
                    m.d.comb += lookup.base.eq(value)
        m.d.comb += self.value.eq(Array(values)[self.read_size])
        return m
