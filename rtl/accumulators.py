"""The int32 accumulators: two buffers, so that one drains while the other fills."""

from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.grid import GridMode, GridTag

MINIMUM = -(1 << 31)


class Accumulators(wiring.Component):
    """P x C accumulators per slot, each a small memory updated in one cycle.

    A slot holds one channel word per pixel; a buffer has `block_words` slots. CONV updates the K
    channels of the word that `part` names, the other modes all C.

    Latency: an update is visible to reads of the following cycle; reads are combinational.
    Throughput: one update and one read of Q pixels per cycle.

    Parameters
    ----------
    config : sets P, K, C, D and Q.

    Members
    -------
    valid, tag, sums, columns : result of the grid.
    read_slot, read_pixels : which slot, and which group of Q pixels. values : int32 [Q * C].
    """

    valid: Signal
    tag: data.View
    sums: list[Signal]
    columns: list[Signal]
    read_slot: Signal
    read_pixels: Signal
    values: list[Signal]

    def __init__(self, config: NpuConfig, sum_bits: int, column_bits: int) -> None:
        self.config = config
        p, k, c = config.pixels, config.channels, config.lanes
        super().__init__(
            {
                "valid": In(1),
                "tag": In(GridTag(config)),
                "sums": In(signed(sum_bits)).array(p * k),
                "columns": In(signed(column_bits)).array(p * c),
                "read_slot": In(range(2 * config.block_words)),
                "read_pixels": In(range(max(config.pixels // config.requant_words, 2))),
                "values": Out(signed(32)).array(config.requant_words * c),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        is_conv = Signal()
        is_max = Signal()
        m.d.comb += [
            is_conv.eq(self.tag.mode == GridMode.CONV),
            is_max.eq(self.tag.mode == GridMode.MAX_POOL),
        ]
        enables = Signal(config.groups_per_word)
        for part in range(config.groups_per_word):
            m.d.comb += enables[part].eq(self.valid & (~is_conv | (self.tag.part == part)))

        reads: dict[tuple[int, int], Signal] = {}
        for p in range(config.pixels):
            for c in range(config.lanes):
                ram = memory.Memory(shape=unsigned(32), depth=2 * config.block_words, init=[])
                m.submodules[f"accumulator_{p}_{c}"] = ram
                current = ram.read_port(domain="comb")
                drained = ram.read_port(domain="comb")
                write = ram.write_port()

                term = Signal(signed(32), name=f"term_{p}_{c}")
                old = Signal(signed(32), name=f"old_{p}_{c}")
                new = Signal(signed(32), name=f"new_{p}_{c}")
                conv_sum = self.sums[p * config.channels + c % config.channels]
                m.d.comb += [
                    current.addr.eq(self.tag.slot),
                    term.eq(Mux(is_conv, conv_sum, self.columns[p * config.lanes + c])),
                    old.eq(current.data.as_signed()),
                    new.eq(term),
                    write.addr.eq(self.tag.slot),
                    write.data.eq(new),
                    write.en.eq(enables[c // config.channels]),
                    drained.addr.eq(self.read_slot),
                ]
                with m.If(~self.tag.first):
                    m.d.comb += new.eq(Mux(is_max, Mux(old > term, old, term), old + term))
                reads[p, c] = drained.data

        for q in range(config.requant_words):
            for c in range(config.lanes):
                choices = Array(reads[p, c] for p in range(q, config.pixels, config.requant_words))
                m.d.comb += self.values[q * config.lanes + c].eq(choices[self.read_pixels])
        return m
