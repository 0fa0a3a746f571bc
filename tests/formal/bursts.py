"""Bursts: inside the region, inside a page, one behind the other."""

from amaranth.hdl import Cat, Mux, Signal

from rtl.axi import BOUNDARY_BYTES
from rtl.bursts import ROW_BITS, SUM_BITS, BurstSplitter
from tests.formal.proof import Assert, Bench, Proof

BUS_BYTES = 4
BURST_BYTES = 64
_BUS = BUS_BYTES.bit_length() - 1
_BURST = BURST_BYTES.bit_length() - 1
_PAGE = BOUNDARY_BYTES.bit_length() - 1


def _bench() -> tuple[Bench, BurstSplitter]:
    bench = Bench()
    bench.m.submodules.dut = dut = BurstSplitter(BUS_BYTES, BURST_BYTES)
    transfer = dut.transfer.payload
    fields = [transfer.address, transfer.limit, transfer.last, transfer.row_stride, transfer.rows]
    bench.drive(dut.transfer.valid, dut.bursts.ready, *fields)
    return bench, dut


def inside() -> Bench:
    """The last byte of what a burst is for is below the region's limit."""
    bench, dut = _bench()
    m, burst = bench.m, dut.bursts.payload
    limit = bench.probe("row.limit", SUM_BITS)
    last_byte = bench.probe("last_byte", _BURST)
    block = bench.probe("block", SUM_BITS - _BURST)
    with m.If(dut.bursts.valid):
        m.d.comb += Assert(Cat(last_byte, block) < limit)
        # the burst is that of these bytes
        m.d.comb += [
            Assert(burst.address[_BURST:] == block[: 32 - _BURST]),
            Assert(burst.end_lane == (last_byte[:_BUS] + 1)[:_BUS]),
        ]
    return bench


def page() -> Bench:
    """First and last byte of a burst's beats lie in the same block of the longest burst's size."""
    bench, dut = _bench()
    m, burst = bench.m, dut.bursts.payload
    end = Signal(33)
    m.d.comb += end.eq((burst.address >> _BUS) + burst.length)
    with m.If(dut.bursts.valid):
        m.d.comb += Assert((end >> (_PAGE - _BUS)) == (burst.address >> _PAGE))
    _state(bench)
    return bench


def _state(bench: Bench) -> None:
    """What the splitter's registers have to do with each other, while it offers a burst."""
    m = bench.m
    state = bench.probe("fsm_state", 2)
    address = bench.probe("row.address", SUM_BITS)
    last = bench.probe("row.last", ROW_BITS)
    number = bench.probe("number", ROW_BITS - _BURST + 1)
    last_byte = bench.probe("last_byte", _BURST)
    row_last = bench.probe("row_last", 1)
    end = Signal(ROW_BITS + 1)
    m.d.comb += end.eq(address[:_BURST] + last)
    with m.If(state == 2):
        m.d.comb += [
            Assert(row_last == ((end >> _BURST) == number)),
            Assert(last_byte == Mux((end >> _BURST) == number, end[:_BURST], BURST_BYTES - 1)),
        ]


PROOFS = (
    Proof(
        "rtl.bursts.BurstSplitter",
        "no byte of a burst is at or beyond the region's limit, whatever the transfer",
        inside,
        ("beyond", "1'0"),
    ),
    Proof(
        "rtl.bursts.BurstSplitter",
        "no burst crosses a multiple of 4096 bytes, whatever the transfer",
        page,
        ("last_byte", "6'b000000"),
    ),
)
