"""Cuts the rows of a transfer into AXI bursts."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AXI_ADDRESS_BITS, BOUNDARY_BYTES

ROW_BITS = 24
"""Rows that a command transfers are shorter than `2**ROW_BITS` bytes."""


class TransferLayout(data.StructLayout):
    """A two-dimensional range of bytes.

    Members
    -------
    address : bus address of the first byte. offset : the same relative to its region.
    size : of the region. row_bytes, row_stride, rows : the shape; strides are in bytes.
    """

    def __init__(self, row_bits: int) -> None:
        super().__init__(
            {
                "address": AXI_ADDRESS_BITS,
                "offset": 32,
                "size": 32,
                "row_bytes": row_bits,
                "row_stride": ROW_BITS,
                "rows": 16,
            }
        )


class BurstLayout(data.StructLayout):
    """One burst.

    Members
    -------
    address : bus address of its first byte, any alignment.
    beats : its length.
    end_lane : byte lane behind its last byte, in its last beat; 0 when that beat is full.
    row_last : it ends a row. last : it ends the transfer.
    """

    def __init__(self, bus_bytes: int, burst_bytes: int) -> None:
        super().__init__(
            {
                "address": AXI_ADDRESS_BITS,
                "beats": range(burst_bytes // bus_bytes + 1),
                "end_lane": range(bus_bytes),
                "row_last": 1,
                "last": 1,
            }
        )


class BurstSplitter(wiring.Component):
    """Cut rows into bursts that end at multiples of `burst_bytes` or at the row's end.

    Multiples of `burst_bytes` include all page boundaries, so no burst crosses one. A burst whose
    bytes are not all inside the region is not offered: the splitter stops with `outside` high
    until it is reset. A transfer with rows of no bytes yields no burst.

    Latency: the first burst is offered two cycles after the transfer was taken. Throughput: a
    burst every two cycles; the next transfer is taken from the cycle after the last burst.
    Stalls: holds the burst until it is taken.

    Parameters
    ----------
    bus_bytes : bytes per beat.
    burst_bytes : longest burst in bytes, a power of two up to 4096.
    row_bits : rows are shorter than `2**row_bits` bytes.

    Members
    -------
    transfer : what to cut; `rows` is at least 1. bursts : in ascending order, row by row.
    outside : stopped by a burst that would leave the region.
    """

    transfer: Any
    bursts: Any
    outside: Signal

    def __init__(self, bus_bytes: int, burst_bytes: int, row_bits: int = ROW_BITS) -> None:
        assert bus_bytes <= burst_bytes <= BOUNDARY_BYTES, burst_bytes
        self.bus_bytes = bus_bytes
        self.burst_bytes = burst_bytes
        self.layout = TransferLayout(row_bits)
        super().__init__(
            {
                "transfer": In(stream.Signature(self.layout)),
                "bursts": Out(stream.Signature(BurstLayout(bus_bytes, burst_bytes))),
                "outside": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus_bits = self.bus_bytes.bit_length() - 1
        burst_bits = self.burst_bytes.bit_length() - 1

        taken: Any = Signal(self.layout)
        address = Signal(AXI_ADDRESS_BITS)
        offset = Signal(33)
        row_address = Signal(AXI_ADDRESS_BITS)
        row_offset = Signal(33)
        remaining = Signal.like(taken.row_bytes)
        rows = Signal(16)
        length = Signal(burst_bits + 1)
        row_last = Signal()
        to_boundary = Signal(burst_bits + 1)
        end = Signal(burst_bits + 2)

        m.d.comb += [
            to_boundary.eq(self.burst_bytes - address[:burst_bits]),
            end.eq(address[:bus_bits] + length),
            self.bursts.payload.address.eq(address),
            self.bursts.payload.beats.eq((end + self.bus_bytes - 1) >> bus_bits),
            self.bursts.payload.end_lane.eq(end[:bus_bits]),
            self.bursts.payload.row_last.eq(row_last),
            self.bursts.payload.last.eq(row_last & (rows == 1)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.transfer.ready.eq(1)
                m.d.sync += [
                    taken.eq(self.transfer.payload),
                    address.eq(self.transfer.payload.address),
                    offset.eq(self.transfer.payload.offset),
                    row_address.eq(self.transfer.payload.address),
                    row_offset.eq(self.transfer.payload.offset),
                    remaining.eq(self.transfer.payload.row_bytes),
                    rows.eq(self.transfer.payload.rows),
                ]
                with m.If(self.transfer.valid & (self.transfer.payload.row_bytes != 0)):
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                m.d.sync += [
                    length.eq(Mux(remaining < to_boundary, remaining, to_boundary)),
                    row_last.eq(remaining <= to_boundary),
                ]
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += [
                    self.outside.eq(offset + length > taken.size),
                    self.bursts.valid.eq(~self.outside),
                ]
                with m.If(self.bursts.valid & self.bursts.ready):
                    m.d.sync += [
                        address.eq(address + length),
                        offset.eq(offset + length),
                        remaining.eq(remaining - length),
                    ]
                    m.next = "MEASURE"
                    with m.If(row_last):
                        m.d.sync += [
                            address.eq(row_address + taken.row_stride),
                            offset.eq(row_offset + taken.row_stride),
                            row_address.eq(row_address + taken.row_stride),
                            row_offset.eq(row_offset + taken.row_stride),
                            remaining.eq(taken.row_bytes),
                            rows.eq(rows - 1),
                        ]
                        with m.If(rows == 1):
                            m.next = "IDLE"
        return m
