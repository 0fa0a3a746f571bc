"""A stream FIFO whose storage maps to LUT RAM."""

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.memory import Registers


class StreamFifo(wiring.Component):
    """First in, first out.

    Latency: what is written in one cycle can be read in the next. Throughput: one item per cycle,
    also when full (an item leaves in the cycle before the next one enters). Stalls: `i.ready` is
    low while `depth` items are held; neither side's handshake depends on the other's
    combinationally.

    Parameters
    ----------
    shape : of the items.
    depth : capacity in items, a power of two.

    Members
    -------
    i : input stream. o : output stream. level : items held.
    """

    i: Any
    o: Any
    level: Signal

    def __init__(self, shape: Any, depth: int) -> None:
        assert depth.bit_count() == 1, f"depth must be a power of two, got {depth}"
        self.shape = shape
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # one item needs no index, but signals without bits are not valid Verilog
        cells = max(2, self.depth)
        storage = Registers(Shape.cast(self.shape).width, cells)
        m.submodules.storage = storage
        write_index = Signal(range(cells))
        read_index = Signal(range(cells))
        push = Signal()
        pop = Signal()
        m.d.comb += [
            self.i.ready.eq(self.level != self.depth),
            self.o.valid.eq(self.level != 0),
            push.eq(self.i.valid & self.i.ready),
            pop.eq(self.o.valid & self.o.ready),
            storage.write_address.eq(write_index),
            storage.write_data.eq(self.i.payload),
            storage.write_enable.eq(push),
            storage.read_address[0].eq(read_index),
            Value.cast(self.o.payload).eq(storage.read_data[0]),
        ]
        m.d.sync += [
            write_index.eq(write_index + push),
            read_index.eq(read_index + pop),
            self.level.eq(Mux(push == pop, self.level, Mux(push, self.level + 1, self.level - 1))),
        ]
        return m
