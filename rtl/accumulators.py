"""The int32 accumulators: two buffers, so that one drains while the other fills."""

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.grid import GridMode, GridTag, column_bits, sum_bits


class PixelAccumulators(wiring.Component):
    """The C accumulators of one pixel: C small memories with an adder each.

    Latency and throughput: see `Accumulators`.

    Parameters
    ----------
    config : sets C, K and the slots.

    Members
    -------
    enables : which of the word's n parts are updated. slot, first, is_conv, is_max : how.
    sums, columns : the pixel's results from the grid.
    read_slot, values : combinational read, int32 [C].
    """

    enables: Signal
    slot: Signal
    first: Signal
    is_conv: Signal
    is_max: Signal
    sums: list[Signal]
    columns: list[Signal]
    read_slot: Signal
    values: list[Signal]

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        slots = range(2 * config.block_words)
        super().__init__(
            {
                "enables": In(config.groups_per_word),
                "slot": In(slots),
                "first": In(1),
                "is_conv": In(1),
                "is_max": In(1),
                "sums": In(signed(sum_bits(config))).array(config.channels),
                "columns": In(signed(column_bits(config))).array(config.lanes),
                "read_slot": In(slots),
                "values": Out(signed(32)).array(config.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        for c in range(config.lanes):
            ram = memory.Memory(shape=unsigned(32), depth=2 * config.block_words, init=[])
            m.submodules[f"accumulator{c}"] = ram
            current = ram.read_port(domain="comb")
            drained = ram.read_port(domain="comb")
            write = ram.write_port()

            term = Signal(signed(32), name=f"term{c}")
            old = Signal(signed(32), name=f"old{c}")
            base = Signal(signed(32), name=f"base{c}")
            less = Signal(name=f"less{c}")
            # a maximum is of int8 values; it replaces the old one or is not written
            replaces = self.first | self.is_max
            column = self.columns[c]
            m.d.comb += [
                current.addr.eq(self.slot),
                term.eq(Mux(self.is_conv, self.sums[c % config.channels], column)),
                old.eq(current.data.as_signed()),
                base.eq(Mux(replaces, 0, old)),
                less.eq(column[:8].as_signed() <= old[:8].as_signed()),
                write.addr.eq(self.slot),
                write.data.eq(base + term),
                write.en.eq(
                    self.enables[c // config.channels] & ~(self.is_max & ~self.first & less)
                ),
                drained.addr.eq(self.read_slot),
                self.values[c].eq(drained.data),
            ]
        return m


class Accumulators(wiring.Component):
    """P x C accumulators per slot, each updated in one cycle.

    A slot holds one channel word per pixel; a buffer has `block_words` slots. CONV updates the K
    channels of the word that `part` names, the other modes all C. An update with `first` replaces
    the old value.

    Latency: an update is visible to reads of the following cycle; reads are combinational.
    Throughput: one update and one read of R values per cycle.

    Parameters
    ----------
    config : sets P, K, C, D and R.

    Members
    -------
    valid, tag, sums, columns : result of the grid.
    read_slot, choice : which slot, and which R of its P * C values. values : int32 [R].
    """

    valid: Signal
    tag: data.View
    sums: list[Signal]
    columns: list[Signal]
    read_slot: Signal
    choice: Signal
    values: list[Signal]

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        p, k, c = config.pixels, config.channels, config.lanes
        super().__init__(
            {
                "valid": In(1),
                "tag": In(GridTag(config)),
                "sums": In(signed(sum_bits(config))).array(p * k),
                "columns": In(signed(column_bits(config))).array(p * c),
                "read_slot": In(range(2 * config.block_words)),
                "choice": In(range(max(config.output_choices, 2))),
                "values": Out(signed(32)).array(config.requant_lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        is_conv = Signal()
        enables = Signal(config.groups_per_word)
        m.d.comb += is_conv.eq(self.tag.mode == GridMode.CONV)
        for part in range(config.groups_per_word):
            m.d.comb += enables[part].eq(self.valid & (~is_conv | (self.tag.part == part)))

        reads = []
        for p in range(config.pixels):
            pixel = PixelAccumulators(config)
            m.submodules[f"pixel{p}"] = pixel
            reads.append(pixel.values)
            m.d.comb += [
                pixel.enables.eq(enables),
                pixel.slot.eq(self.tag.slot),
                pixel.first.eq(self.tag.first),
                pixel.is_conv.eq(is_conv),
                pixel.is_max.eq(self.tag.mode == GridMode.MAX_POOL),
                pixel.read_slot.eq(self.read_slot),
            ]
            for k in range(config.channels):
                m.d.comb += pixel.sums[k].eq(self.sums[p * config.channels + k])
            for c in range(config.lanes):
                m.d.comb += pixel.columns[c].eq(self.columns[p * config.lanes + c])

        flat = [value for values in reads for value in values]
        for i in range(config.requant_lanes):
            m.d.comb += self.values[i].eq(Array(flat[i :: config.requant_lanes])[self.choice])
        return m
