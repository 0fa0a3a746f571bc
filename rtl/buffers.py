"""On-chip memories that the load engine fills and the grid and the output stage read."""

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import PARAMETER_BYTES, NpuConfig
from rtl.interfaces import ParameterWrite, TableWrite, WeightWrite
from rtl.isa import ADDRESS_BITS


class WeightBuffer(wiring.Component):
    """Weight words of K x C bytes, written in units of C bytes: one block RAM per column.

    Latency: `words` one cycle after `address` with `enable`. Throughput: a word read and a unit
    written per cycle. Addresses must be in range; readers and writers check.

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
        columns = self.config.channels
        select = (columns - 1).bit_length()
        for k in range(columns):
            ram = memory.Memory(
                shape=unsigned(self.config.lanes * 8), depth=self.config.weight_words, init=[]
            )
            m.submodules[f"column{k}"] = ram
            read = ram.read_port()
            write = ram.write_port()
            m.d.comb += [
                read.addr.eq(self.address),
                read.en.eq(self.enable),
                self.columns[k].eq(read.data),
                write.addr.eq(self.write.address >> select),
                write.data.eq(self.write.data),
                write.en.eq(self.write.valid & (self.write.address[:select] == k)),
            ]
        return m


class ParameterRead(wiring.Signature):
    """A block's parameters per channel, as they leave the buffer."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "biases": Out(signed(32)).array(config.lanes),
                "multipliers": Out(32).array(config.lanes),
                "shifts": Out(signed(8)).array(config.lanes),
            }
        )


class ParameterBuffer(wiring.Component):
    """Bias, multiplier and shift in blocks of C channels: one memory per byte plane.

    Latency: `block` one cycle after `address` with `enable`. Throughput: a block read and a
    plane written per cycle.

    Members
    -------
    write : byte planes from the load engine. enable, address : read request.
    block : the block's parameters.
    """

    write: wiring.PureInterface
    enable: Signal
    address: Signal
    block: wiring.PureInterface

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(ParameterWrite(config)),
                "enable": In(1),
                "address": In(14),
                "block": Out(ParameterRead(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
        planes = []
        for plane in range(PARAMETER_BYTES):
            ram = memory.Memory(
                shape=unsigned(lanes * 8), depth=self.config.parameter_blocks, init=[]
            )
            m.submodules[f"plane{plane}"] = ram
            read = ram.read_port()
            write = ram.write_port()
            planes.append(read.data)
            m.d.comb += [
                read.addr.eq(self.address),
                read.en.eq(self.enable),
                write.addr.eq(self.write.block),
                write.data.eq(self.write.data),
                write.en.eq(self.write.valid & (self.write.plane == plane)),
            ]
        for c in range(lanes):
            channel = [plane.word_select(c, 8) for plane in planes]
            m.d.comb += [
                self.block.biases[c].eq(Cat(channel[:4])),
                self.block.multipliers[c].eq(Cat(channel[4:8])),
                self.block.shifts[c].eq(channel[8]),
            ]
        return m


class TableRead(wiring.Signature):
    """One lookup per lane; `entries` are present in the cycle after `enable`, and stay."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "indices": Out(8).array(config.lanes),
                "entries": In(signed(8)).array(config.lanes),
            }
        )


class LookupTable(wiring.Component):
    """256 entries of 8 bits that C lanes look up at once: one copy per lane, in rows of C entries.

    Latency: `entries` one cycle after `enable`. Throughput: C lookups and C entries written per
    cycle.

    Members
    -------
    write : rows from the load engine. read : lookups; an index is an int8 value's byte.
    """

    write: wiring.PureInterface
    read: wiring.PureInterface

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__({"write": In(TableWrite(config)), "read": In(TableRead(config))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
        place_bits = (lanes - 1).bit_length()
        for c in range(lanes):
            ram = memory.Memory(shape=unsigned(lanes * 8), depth=self.config.table_rows, init=[])
            m.submodules[f"lane{c}"] = ram
            read = ram.read_port()
            write = ram.write_port()
            place = Signal(place_bits, name=f"place{c}", reset_less=True)
            m.d.comb += [
                read.addr.eq(self.read.indices[c][place_bits:]),
                read.en.eq(self.read.enable),
                self.read.entries[c].eq(read.data.word_select(place, 8)),
                write.addr.eq(self.write.row),
                write.data.eq(self.write.data),
                write.en.eq(self.write.valid),
            ]
            with m.If(self.read.enable):
                m.d.sync += place.eq(self.read.indices[c][:place_bits])
        return m
