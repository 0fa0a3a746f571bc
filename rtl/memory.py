"""All memories of the NPU: one module for each shape, which a chip replaces by its own macro.

In the generated Verilog the modules' names are `npu_memory_<words>x<bits>` and
`npu_registers_<words>x<bits>_r<read ports>`, see `rtl/INTEGRATION.md`.
"""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

MACRO_NAME = r"(?:memory|registers)_\d+x\d+\w*"
"""Pattern of the names; the array inside such a module is named like it."""


def _cells(width: int, words: int, granularity: int, attrs: dict[str, Any]) -> Any:
    layout = data.ArrayLayout(granularity, width // granularity)
    return memory.Memory(shape=layout, depth=words, init=[], attrs=attrs)


class Memory(wiring.Component):
    """A memory with one port to write and one to read, as block RAM and SRAM macros are.

    Contents are undefined until they are written, and so is what is read where it is written in
    the same cycle.

    Latency: `read_data` in the cycle after `read_enable`; it stays until the next one. Throughput:
    a read and a write per cycle; with `single_port` one of them: a write goes first, and what
    would have been read in its cycle is undefined.

    Parameters
    ----------
    width : bits of a word. words : how many.
    granularity : bits that one bit of `write_enable` is for; default: all.
    single_port : one address serves both. small : LUT RAM will do where the target has it.

    Members
    -------
    write_address, write_enable, write_data, read_address, read_enable, read_data.
    """

    write_address: Signal
    write_enable: Signal
    write_data: Signal
    read_address: Signal
    read_enable: Signal
    read_data: Signal

    def __init__(
        self,
        width: int,
        words: int,
        *,
        granularity: int | None = None,
        single_port: bool = False,
        small: bool = False,
    ) -> None:
        self.width = width
        # one word needs no address, but signals without bits are not valid Verilog
        self.words = max(words, 2)
        self.granularity = granularity or width
        self.single_port = single_port
        self.small = small
        super().__init__(
            {
                "write_address": In(range(self.words)),
                "write_enable": In(width // self.granularity),
                "write_data": In(width),
                "read_address": In(range(self.words)),
                "read_enable": In(1),
                "read_data": Out(width),
            }
        )

    @property
    def name(self) -> str:
        """Of the module in Verilog, without `npu_`."""
        enables = f"_by{self.granularity}" if self.granularity != self.width else ""
        return f"memory_{self.words}x{self.width}{enables}{'_sp' * self.single_port}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # without the first, synthesis adds logic that reads the old contents at a collision
        style = "distributed" if self.small else "block"
        attrs = {"no_rw_check": 1, "ram_style": style}
        cells = _cells(self.width, self.words, self.granularity, attrs)
        m.submodules[self.name] = cells
        write = cells.write_port(granularity=1)
        read = cells.read_port()
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
            read.addr.eq(self.read_address),
            read.en.eq(self.read_enable),
            self.read_data.eq(read.data),
        ]
        if self.single_port:
            writing = self.write_enable.any()
            address = Signal.like(self.read_address)
            m.d.comb += [
                address.eq(Mux(writing, self.write_address, self.read_address)),
                write.addr.eq(address),
                read.addr.eq(address),
                read.en.eq(self.read_enable & ~writing),
            ]
        return m


class Registers(wiring.Component):
    """A small memory that is read in the same cycle: LUT RAM, or flip-flops.

    Latency: what is written in a cycle can be read in the next one; reads are combinational.
    Throughput: a write and a read at each port per cycle.

    Parameters
    ----------
    width : bits of a word. words : how many. granularity : as for `Memory`.
    reads : ports to read. small : LUT RAM even for few words, which pays with many ports.

    Members
    -------
    write_address, write_enable, write_data, read_address `[reads]`, read_data `[reads]`.
    """

    write_address: Signal
    write_enable: Signal
    write_data: Signal
    read_address: list[Signal]
    read_data: list[Signal]

    def __init__(
        self,
        width: int,
        words: int,
        *,
        granularity: int | None = None,
        reads: int = 1,
        small: bool = False,
    ) -> None:
        self.width = width
        self.words = max(words, 2)
        self.granularity = granularity or width
        self.reads = reads
        self.small = small
        super().__init__(
            {
                "write_address": In(range(self.words)),
                "write_enable": In(width // self.granularity),
                "write_data": In(width),
                "read_address": In(range(self.words)).array(reads),
                "read_data": Out(width).array(reads),
            }
        )

    @property
    def name(self) -> str:
        """Of the module in Verilog, without `npu_`."""
        enables = f"_by{self.granularity}" if self.granularity != self.width else ""
        return f"registers_{self.words}x{self.width}{enables}_r{self.reads}"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        attrs = {"ram_style": "distributed"} if self.small else {}
        cells = _cells(self.width, self.words, self.granularity, attrs)
        m.submodules[self.name] = cells
        write = cells.write_port(granularity=1)
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
        ]
        for address, value in zip(self.read_address, self.read_data, strict=True):
            read = cells.read_port(domain="comb")
            m.d.comb += [read.addr.eq(address), value.eq(read.data)]
        return m
