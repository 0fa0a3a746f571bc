"""Cuts the rows of a transfer into AXI bursts."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AXI_ADDRESS_BITS, BOUNDARY_BYTES

ROW_BITS = 24
"""Rows that a command transfers are shorter than `2**ROW_BITS` bytes."""

SUM_BITS = AXI_ADDRESS_BITS + 1
"""Sums of two addresses: what lies behind the address space is told apart."""


class TransferLayout(data.StructLayout):
    """A two-dimensional range of bytes.

    Members
    -------
    address : bus address of the first byte. limit : of the first byte behind the region.
    last : number of a row's last byte, counted from 0.
    row_stride : from row to row, bytes. rows : at least 1.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "address": SUM_BITS,
                "limit": SUM_BITS,
                "last": ROW_BITS,
                "row_stride": ROW_BITS,
                "rows": 16,
            }
        )


class BurstLayout(data.StructLayout):
    """One burst.

    Members
    -------
    address : bus address of its first byte, any alignment.
    length : its beats less one, as AXI has it.
    end_lane : byte lane behind its last byte, in its last beat; 0 when that beat is full.
    row_last : it ends a row. last : it ends the transfer.
    """

    def __init__(self, bus_bytes: int, burst_bytes: int) -> None:
        super().__init__(
            {
                "address": AXI_ADDRESS_BITS,
                "length": range(burst_bytes // bus_bytes),
                "end_lane": range(bus_bytes),
                "row_last": 1,
                "last": 1,
            }
        )


class BurstSplitter(wiring.Component):
    """Cut rows into bursts that end at multiples of `burst_bytes` or at the row's end.

    Multiples of `burst_bytes` include all page boundaries, so no burst crosses one. A burst whose
    bytes are not all inside the region is not offered: the splitter stops with `outside` high
    until it is reset.

    Latency: the first burst is offered two cycles after the transfer was taken. Throughput: a
    burst every two cycles; the next transfer is taken from the cycle after the last burst.
    Stalls: holds the burst until it is taken.

    Parameters
    ----------
    bus_bytes : bytes per beat.
    burst_bytes : longest burst in bytes, a power of two up to 4096.

    Members
    -------
    transfer : what to cut. bursts : in ascending order, row by row.
    outside : stopped by a burst that would leave the region.
    """

    transfer: Any
    bursts: Any
    outside: Signal

    def __init__(self, bus_bytes: int, burst_bytes: int) -> None:
        assert bus_bytes <= burst_bytes <= BOUNDARY_BYTES, burst_bytes
        self.bus_bytes = bus_bytes
        self.burst_bytes = burst_bytes
        super().__init__(
            {
                "transfer": In(stream.Signature(TransferLayout())),
                "bursts": Out(stream.Signature(BurstLayout(bus_bytes, burst_bytes))),
                "outside": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus_bits = self.bus_bytes.bit_length() - 1
        burst_bits = self.burst_bytes.bit_length() - 1

        # `address` is that of the row; a block is what a burst may lie in, numbered in the row
        row: Any = Signal(TransferLayout())
        number = Signal(ROW_BITS - burst_bits + 1)
        end = Signal(ROW_BITS + 1)
        block = Signal(SUM_BITS - burst_bits)
        first_byte = Signal(burst_bits)
        last_byte = Signal(burst_bits)
        row_last = Signal()
        burst = self.bursts.payload

        m.d.comb += [
            # of the row's last byte, counted from the start of the row's first block
            end.eq(row.address[:burst_bits] + row.last),
            first_byte.eq(Mux(number == 0, row.address[:burst_bits], 0)),
            burst.address.eq(Cat(first_byte, block)),
            burst.length.eq((last_byte >> bus_bits) - (first_byte >> bus_bits)),
            burst.end_lane.eq(last_byte[:bus_bits] + 1),
            burst.row_last.eq(row_last),
            burst.last.eq(row_last & (row.rows == 1)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.transfer.ready.eq(1)
                m.d.sync += [row.eq(self.transfer.payload), number.eq(0)]
                with m.If(self.transfer.valid):
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                m.d.sync += [
                    block.eq(row.address[burst_bits:] + number),
                    row_last.eq(end[burst_bits:] == number),
                    last_byte.eq(Mux(end[burst_bits:] == number, end[:burst_bits], -1)),
                ]
                m.next = "OFFER"
            with m.State("OFFER"):
                beyond = Signal()
                m.d.comb += [
                    beyond.eq(Cat(last_byte, block) >= row.limit),
                    self.bursts.valid.eq(~beyond),
                ]
                # the comparison takes long: what it stops does not matter
                with m.If(self.bursts.ready):
                    m.d.sync += number.eq(number + 1)
                    m.next = "MEASURE"
                    with m.If(row_last):
                        m.d.sync += [
                            number.eq(0),
                            row.address.eq(row.address + row.row_stride),
                            row.rows.eq(row.rows - 1),
                        ]
                        with m.If(row.rows == 1):
                            m.next = "IDLE"
                with m.If(beyond):
                    m.next = "STOPPED"
            with m.State("STOPPED"):
                m.d.comb += self.outside.eq(1)
        return m
