"""The activation memory: F banks, each a block RAM with one read and one write port."""

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.interfaces import ScratchpadRead, ScratchpadWrite
from rtl.isa import ADDRESS_BITS
from rtl.memory import Memory

_LAST_CHOICE = 4
"""Of how many words a window's are chosen by one-hot registers; at most the banks."""


def _any(values: Iterable[Value]) -> Value:
    """The bits of all values together."""
    return reduce(or_, values)


class WindowFetch(wiring.Signature):
    """F consecutive words at once: `address` is kept in each cycle with `prepare`, and fetched when
    valid & ready, in a later cycle. `words[j]`, the word at `address + j`, is present from the
    second cycle after that on, until the next fetch's are. `waiting` : an address is kept that was
    not fetched yet; `valid` is not without it."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "prepare": Out(1),
                "waiting": Out(1),
                "valid": Out(1),
                "ready": In(1),
                "address": Out(ADDRESS_BITS),
                "words": In(config.lanes * 8).array(config.banks),
            }
        )


class OutputWrite(wiring.Signature):
    """Q consecutive words at once, always accepted. `mask[q]` enables the word at `address + q`,
    `enable[c]` byte c of all words."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "mask": Out(config.requant_words),
                "address": Out(ADDRESS_BITS),
                "words": Out(config.lanes * 8).array(config.requant_words),
                "enable": Out(config.lanes),
            }
        )


class Scratchpad(wiring.Component):
    """Software-managed activation memory; word address a lives in bank `a mod F`.

    Reads: a window fetch uses all banks, a store read one. A store read goes first, but not if a
    fetch had to wait for one in the cycle before; so they alternate when both ask.
    Writes: output words have priority; a load write, of any of a word's bytes, waits only when its
    bank is taken.
    Latency: a store's data one cycle after the request, a window two; writes are visible to reads
    of the next cycle but one.
    Throughput: one window (or one store word) read, and Q output words plus one load word written
    per cycle. Addresses must be in range; words of a window that are not may hold anything.

    Parameters
    ----------
    config : sets the number, width and depth of the banks.
    """

    fetch: wiring.PureInterface
    store: wiring.PureInterface
    output: wiring.PureInterface
    load: wiring.PureInterface

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "fetch": In(WindowFetch(config)),
                "store": In(ScratchpadRead(config)),
                "output": In(OutputWrite(config)),
                "load": In(ScratchpadWrite(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        banks = self.config.banks
        select = (banks - 1).bit_length()
        row_bits = ADDRESS_BITS - select

        # decided by registers: asking for a word and asking for a window take long to find out
        fetch_next = Signal()
        storing = Signal()
        m.d.comb += [
            storing.eq(self.store.valid & ~fetch_next),
            self.store.ready.eq(~fetch_next),
            self.fetch.ready.eq(~storing),
        ]
        m.d.sync += fetch_next.eq(storing & self.fetch.valid)

        fetch_low, fetch_row = self.fetch.address[:select], self.fetch.address[select:]
        kept_low = Signal(select, reset_less=True)
        with m.If(self.fetch.prepare):
            m.d.sync += kept_low.eq(fetch_low)
        store_low, store_row = self.store.address[:select], self.store.address[select:]
        load_low, load_row = self.load.address[:select], self.load.address[select:]
        out_low, out_row = self.output.address[:select], self.output.address[select:]

        read_data = []
        taken = Signal(banks)
        for bank in range(banks):
            ram = Memory(self.config.lanes * 8, self.config.bank_depth, granularity=8)
            m.submodules[f"bank{bank}"] = ram

            kept_row = Signal(row_bits, name=f"kept_row{bank}", reset_less=True)
            with m.If(self.fetch.prepare):
                m.d.sync += kept_row.eq(fetch_row + (fetch_low > bank))
            row = Signal(row_bits, name=f"read_row{bank}")
            m.d.comb += [
                row.eq(Mux(storing, store_row, kept_row)),
                ram.read_address.eq(row),
                # whether a window is fetched is known too late
                ram.read_enable.eq(Mux(storing, store_low == bank, self.fetch.waiting)),
            ]
            read_data.append(ram.read_data)

            out_data = Signal(self.config.lanes * 8, name=f"out_data{bank}")
            m.d.comb += out_data.eq(self.output.words[0])
            for q in range(self.config.requant_words):
                with m.If(self.output.mask[q] & ((out_low + q)[:select] == bank)):
                    m.d.comb += [taken[bank].eq(1), out_data.eq(self.output.words[q])]
            write_row = Signal(row_bits, name=f"write_row{bank}", reset_less=True)
            write_data = Signal(self.config.lanes * 8, name=f"write_data{bank}", reset_less=True)
            write_enable = Signal(self.config.lanes, name=f"write_enable{bank}")
            m.d.sync += [
                write_row.eq(Mux(taken[bank], out_row + (out_low > bank), load_row)),
                write_data.eq(Mux(taken[bank], out_data, self.load.data)),
                write_enable.eq(0),
            ]
            with m.If(taken[bank]):
                m.d.sync += write_enable.eq(self.output.enable)
            with m.Elif(self.load.valid & (load_low == bank)):
                m.d.sync += write_enable.eq(self.load.enable)
            m.d.comb += [
                ram.write_address.eq(write_row),
                ram.write_data.eq(write_data),
                ram.write_enable.eq(write_enable),
            ]
        m.d.comb += self.load.ready.eq(~taken.bit_select(load_low, 1))

        # memories are slow: nothing but registers behind them
        fetched = Signal()
        fetched_low = Signal(select, reset_less=True)
        rotation = Signal(select, reset_less=True)
        last = Signal(_LAST_CHOICE, reset_less=True)
        store_bank = Signal(select, reset_less=True)
        held = [
            Signal(self.config.lanes * 8, name=f"held{bank}", reset_less=True)
            for bank in range(banks)
        ]
        m.d.sync += [
            fetched.eq(self.fetch.valid & self.fetch.ready),
            fetched_low.eq(kept_low),
            store_bank.eq(store_low),
        ]
        with m.If(fetched):
            m.d.sync += [
                rotation.eq(fetched_low),
                last.eq(1 << fetched_low[: _LAST_CHOICE.bit_length() - 1]),
                *(target.eq(word) for target, word in zip(held, read_data, strict=True)),
            ]
        level: list[Value] = list(held)
        for bit in reversed(range(_LAST_CHOICE.bit_length() - 1, select)):
            rotated = []
            for j in range(banks):
                word = Signal(self.config.lanes * 8, name=f"rotate{bit}_{j}")
                m.d.comb += word.eq(Mux(rotation[bit], level[(j + (1 << bit)) % banks], level[j]))
                rotated.append(word)
            level = list(rotated)
        width = self.config.lanes * 8
        level = [
            _any(last[k].replicate(width) & level[(j + k) % banks] for k in range(_LAST_CHOICE))
            for j in range(banks)
        ]
        m.d.comb += [self.fetch.words[j].eq(level[j]) for j in range(banks)]
        m.d.comb += self.store.data.eq(Array(read_data)[store_bank])
        return m
