"""On-chip memories that the load engine fills and the grid and the output stage read."""

from functools import reduce
from operator import or_

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.config import PARAMETER_BYTES, NpuConfig
from rtl.interfaces import ParameterWrite, TableWrite, WeightWrite
from rtl.isa import ADDRESS_BITS
from rtl.memory import Memory

LUT_RAM_LANES = 4
"""Copies of the lookup table that are not worth block RAMs."""


class WeightBuffer(wiring.Component):
    """Weight words of K x C bytes, written in units of C bytes: one block RAM per column.

    Latency: `columns` one cycle after `address` with `enable`. Throughput: a word read and a unit,
    or two that are neighbours, written per cycle. Addresses must be in range; readers and writers
    check.

    Members
    -------
    write : units from the load engine; unit u is column `u % K` of word `u // K`.
    enable, address : read request. columns : K x C bytes, byte c of column k at `columns[k]`.
    """

    write: wiring.PureInterface
    enable: Signal
    address: Signal
    columns: list[Signal]

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(WeightWrite(config)),
                "enable": In(1),
                "address": In(ADDRESS_BITS),
                "columns": Out(config.lanes * 8).array(config.channels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        columns, ports = self.config.channels, self.config.weight_ports
        select = (columns - 1).bit_length()
        own = ports.bit_length() - 1
        for k in range(columns):
            ram = Memory(self.config.lanes * 8, self.config.weight_words)
            m.submodules[f"column{k}"] = ram
            m.d.comb += [
                ram.read_address.eq(self.address),
                ram.read_enable.eq(self.enable),
                self.columns[k].eq(ram.read_data),
                ram.write_address.eq(self.write.address >> select),
                ram.write_data.eq(self.write.data[k % ports]),
                ram.write_enable.eq(
                    self.write.enable[k % ports] & (self.write.address[own:select] == k >> own)
                ),
            ]
        return m


class ParameterRead(wiring.Signature):
    """Parameters of as many channels as are requantized at once, as they leave the buffer."""

    def __init__(self, config: NpuConfig) -> None:
        channels = config.parameter_lanes
        super().__init__(
            {
                "biases": Out(signed(32)).array(channels),
                "multipliers": Out(32).array(channels),
                "shifts": Out(signed(8)).array(channels),
            }
        )


class ParameterBuffer(wiring.Component):
    """Bias, multiplier and shift in blocks of C channels: one memory per byte plane.

    Where fewer than C channels are read at once, a block takes a row for each part of them. A byte
    plane arrives for all C channels; so that no memory is written twice in a cycle, every second
    part is written a cycle after its neighbour, and parts 2 and 3 of four are in the memory after
    the next one. Planes come in ascending order, without a gap only within a LOAD.

    Latency: `channels` two cycles after `address` with `enable`: memories are slow, and sums
    follow; what is written can be read two cycles later. Throughput: a part of a block read and a
    plane written per cycle.

    Members
    -------
    write : byte planes from the load engine. enable, address, part : read request.
    channels : the parameters of a part.
    """

    write: wiring.PureInterface
    enable: Signal
    address: Signal
    part: Signal
    channels: wiring.PureInterface

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(ParameterWrite(config)),
                "enable": In(1),
                "address": In(14),
                "part": In(range(max(config.requant_parts, 2))),
                "channels": Out(ParameterRead(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        parts = config.requant_parts
        width = config.parameter_lanes * 8
        part_bits = (parts - 1).bit_length()
        part = Signal.like(self.part, name="part_read", reset_less=True)
        arrived = Signal()
        m.d.sync += arrived.eq(self.enable)
        with m.If(self.enable):
            m.d.sync += part.eq(self.part)

        # what arrived in the cycle before
        late = Signal(PARAMETER_BYTES)
        late_block = Signal.like(self.write.block, reset_less=True)
        late_data = Signal.like(self.write.data, reset_less=True)
        now = Signal(PARAMETER_BYTES)
        m.d.comb += now.eq(Mux(self.write.valid, 1 << self.write.plane, 0))
        m.d.sync += [
            late.eq(now),
            late_block.eq(self.write.block),
            late_data.eq(self.write.data),
        ]
        # neighbours come one after the other: even memories are not written at the same time, nor
        # are odd ones, so that they can share what chooses their data
        paired = PARAMETER_BYTES - 1
        late_pairs = Signal(2)
        m.d.sync += late_pairs.eq(Cat(now[odd:paired:2].any() for odd in range(2)))
        rows = []
        for number in range(PARAMETER_BYTES):
            ram = Memory(width, config.parameter_blocks * parts)
            m.submodules[f"plane{number}"] = ram
            rows.append(ram.read_data)
            m.d.comb += [
                ram.read_address.eq(Cat(self.part[:part_bits], self.address)),
                ram.read_enable.eq(self.enable),
                ram.write_address.eq(Cat(C(0, part_bits), self.write.block)),
                ram.write_data.eq(self.write.data[:width]),
                ram.write_enable.eq(now[number]),
            ]
            for h in range(1, parts):
                source_plane = (number - h // 2 * 2) % PARAMETER_BYTES
                source, block, arriving = self.write.data, self.write.block, now
                if h % 2:
                    source, block, arriving = late_data, late_block, late
                shared = parts == 2 and number < paired
                with m.If(late_pairs[number % 2] if shared else arriving[source_plane]):
                    m.d.comb += [
                        ram.write_address.eq(Cat(C(h, part_bits), block)),
                        ram.write_data.eq(source.word_select(h, width)),
                    ]
                with m.If(arriving[source_plane]):
                    m.d.comb += ram.write_enable.eq(1)
        planes = []
        for number in range(PARAMETER_BYTES):
            plane = Signal(width, name=f"read{number}", reset_less=True)
            moved = [rows[(number + h // 2 * 2) % PARAMETER_BYTES] for h in range(parts)]
            with m.If(arrived):
                m.d.sync += plane.eq(Array(moved)[part] if parts > 2 else moved[0])
            planes.append(plane)
        for c in range(config.parameter_lanes):
            channel = [plane.word_select(c, 8) for plane in planes]
            m.d.comb += [
                self.channels.biases[c].eq(Cat(channel[:4])),
                self.channels.multipliers[c].eq(Cat(channel[4:8])),
                self.channels.shifts[c].eq(channel[8]),
            ]
        return m


class TableRead(wiring.Signature):
    """R lookups at once; `entries` are present `LookupTable.LATENCY` cycles after `enable`, and
    stay."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "indices": Out(8).array(config.requant_lanes),
                "entries": In(signed(8)).array(config.requant_lanes),
            }
        )


class LookupTable(wiring.Component):
    """256 entries of 8 bits that R lanes look up at once: one copy per lane, in rows of C entries.

    Up to `LUT_RAM_LANES` copies are in LUT RAM where the target has it: small hardware goes into
    small parts, which have fewer block RAMs than they have room for its logic.

    Latency: `entries` are present `LATENCY` cycles after `enable`. Throughput: R lookups and C
    entries written per cycle.

    Members
    -------
    write : rows from the load engine. read : lookups; an index is an int8 value's byte.
    """

    LATENCY = 2

    write: wiring.PureInterface
    read: wiring.PureInterface

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__({"write": In(TableWrite(config)), "read": In(TableRead(config))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
        place_bits = (lanes - 1).bit_length()
        small = self.config.requant_lanes <= LUT_RAM_LANES
        arrived = Signal()
        m.d.sync += arrived.eq(self.read.enable)
        for c in range(self.config.requant_lanes):
            # a program that looks up what is being written is wrong
            ram = Memory(lanes * 8, self.config.table_rows, single_port=True, small=small)
            m.submodules[f"lane{c}"] = ram
            # a register for each byte of the row, and one behind: memories are slow
            place = Signal(lanes, name=f"place{c}", reset_less=True)
            entry = Signal(8, name=f"entry{c}", reset_less=True)
            chosen = [place[k].replicate(8) & ram.read_data.word_select(k, 8) for k in range(lanes)]
            m.d.comb += [
                ram.read_address.eq(self.read.indices[c][place_bits:]),
                ram.read_enable.eq(self.read.enable),
                self.read.entries[c].eq(entry),
                ram.write_address.eq(self.write.row),
                ram.write_data.eq(self.write.data),
                ram.write_enable.eq(self.write.valid),
            ]
            with m.If(arrived):
                m.d.sync += entry.eq(reduce(or_, chosen))
            with m.If(self.read.enable):
                m.d.sync += place.eq(1 << self.read.indices[c][:place_bits])
        return m
