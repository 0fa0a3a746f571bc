"""The int32 accumulators: two buffers, so that one drains while the other fills."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
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
    take : there is an update. slot, is_conv : which one. fresh : nothing is added to the old value.
    forward : the update before has the same slot, and these of the word's n parts.
    sums, columns : the pixel's results from the grid.
    add : the update before is carried out. add_slot, add_parts : of it, which of the n parts.
    add_first, add_max : it replaces the old value; if it is larger, else.
    read_slot, values : combinational read, int32 [C].
    """

    take: Signal
    slot: Signal
    is_conv: Signal
    fresh: Signal
    forward: Signal
    sums: list[Signal]
    columns: list[Signal]
    add: Signal
    add_slot: Signal
    add_parts: Signal
    add_first: Signal
    add_max: Signal
    read_slot: Signal
    values: list[Signal]

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        slots = range(2 * config.block_words)
        super().__init__(
            {
                "take": In(1),
                "slot": In(slots),
                "is_conv": In(1),
                "fresh": In(1),
                "forward": In(config.groups_per_word),
                "sums": In(signed(sum_bits(config))).array(config.channels),
                "columns": In(signed(column_bits(config))).array(config.lanes),
                "add": In(1),
                "add_slot": In(slots),
                "add_parts": In(config.groups_per_word),
                "add_first": In(1),
                "add_max": In(1),
                "read_slot": In(slots),
                "values": Out(signed(32)).array(config.lanes),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        term_bits = max(sum_bits(config), column_bits(config))
        for c in range(config.lanes):
            ram = memory.Memory(shape=unsigned(32), depth=2 * config.block_words, init=[])
            m.submodules[f"accumulator{c}"] = ram
            current = ram.read_port(domain="comb")
            drained = ram.read_port(domain="comb")
            write = ram.write_port()

            part = c // config.channels
            term = Signal(signed(term_bits), name=f"term{c}", reset_less=True)
            base = Signal(signed(32), name=f"base{c}", reset_less=True)
            total = Signal(signed(32), name=f"total{c}")
            # the updates of a maximum follow one another
            largest = Signal(signed(8), name=f"largest{c}", reset_less=True)
            larger = Signal(name=f"larger{c}")
            m.d.comb += [
                current.addr.eq(self.slot),
                total.eq(base + term),
                larger.eq(self.add_first | (term[:8].as_signed() > largest)),
                write.addr.eq(self.add_slot),
                write.data.eq(total),
                write.en.eq(self.add_parts[part] & (~self.add_max | larger)),
                drained.addr.eq(self.read_slot),
                self.values[c].eq(drained.data),
            ]
            with m.If(self.take):
                sums = self.sums[c % config.channels]
                former = Mux(self.forward[part], total, current.data.as_signed())
                m.d.sync += [
                    term.eq(Mux(self.is_conv, sums, self.columns[c])),
                    base.eq(Mux(self.fresh, 0, former)),
                ]
            with m.If(self.add & larger):
                m.d.sync += largest.eq(term)
        return m


class Accumulators(wiring.Component):
    """P x C accumulators per slot: two steps, one that reads and one that adds and writes.

    A slot holds one channel word per pixel; a buffer has `block_words` slots. CONV updates the K
    channels of the word that `part` names, the other modes all C. An update with `first` replaces
    the old value. The updates of a maximum follow one another, the first of them has `first`.

    Latency: an update is visible to reads, which are combinational, `LATENCY` cycles later.
    Throughput: one update and one read of R values per cycle.

    Parameters
    ----------
    config : sets P, K, C, D and R.

    Members
    -------
    valid, tag, sums, columns : result of the grid.
    coming_valid, coming_tag : the same of the next cycle.
    read_slot, choice : which slot, and which R of its P * C values. values : int32 [R].
    """

    LATENCY = 2

    valid: Signal
    tag: data.View
    coming_valid: Signal
    coming_tag: data.View
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
                "coming_valid": In(1),
                "coming_tag": In(GridTag(config)),
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
        # what goes to all accumulators comes out of registers
        is_conv = Signal(reset_less=True)
        is_max = Signal(reset_less=True)
        fresh = Signal(reset_less=True)
        parts = Signal(config.groups_per_word)
        forward = Signal(config.groups_per_word)
        add = Signal()
        add_parts = Signal(config.groups_per_word)
        add_slot = Signal.like(self.tag.slot, reset_less=True)
        add_first = Signal(reset_less=True)
        add_max = Signal(reset_less=True)
        coming, mode = self.coming_tag, self.coming_tag.mode
        m.d.sync += [
            parts.eq(
                Cat(
                    self.coming_valid & ((mode != GridMode.CONV) | (coming.part == part))
                    for part in range(config.groups_per_word)
                )
            ),
            forward.eq(Mux(coming.slot == self.tag.slot, parts, 0)),
            add.eq(self.valid),
            add_parts.eq(parts),
        ]
        with m.If(self.coming_valid):
            m.d.sync += [
                is_conv.eq(mode == GridMode.CONV),
                is_max.eq(mode == GridMode.MAX_POOL),
                # a maximum is of int8 values; it replaces the old one or is not written
                fresh.eq(coming.first | (mode == GridMode.MAX_POOL)),
            ]
        with m.If(self.valid):
            m.d.sync += [
                add_slot.eq(self.tag.slot),
                add_first.eq(self.tag.first),
                add_max.eq(is_max),
            ]

        reads = []
        for p in range(config.pixels):
            pixel = PixelAccumulators(config)
            m.submodules[f"pixel{p}"] = pixel
            reads.append(pixel.values)
            m.d.comb += [
                pixel.take.eq(self.valid),
                pixel.slot.eq(self.tag.slot),
                pixel.is_conv.eq(is_conv),
                pixel.fresh.eq(fresh),
                pixel.forward.eq(forward),
                pixel.add.eq(add),
                pixel.add_slot.eq(add_slot),
                pixel.add_parts.eq(add_parts),
                pixel.add_first.eq(add_first),
                pixel.add_max.eq(add_max),
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
