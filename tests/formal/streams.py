"""Streams: nothing is dropped, doubled or reordered; what is offered stays until it is taken."""

from typing import Any

from amaranth.hdl import Array

from rtl.fifo import StreamFifo
from rtl.skid import SkidBuffer
from tests.formal.proof import Assert, Bench, Proof, past, watch_item

WIDTH = 4
DEPTH = 4


def _offered_stays(bench: Bench, out: Any) -> None:
    """`valid` is not withdrawn, and the payload not changed, before `ready`."""
    m = bench.m
    stalled = past(bench, out.valid & ~out.ready, "stalled")
    payload = past(bench, out.payload, "payload_before")
    with m.If(stalled):
        m.d.comb += [Assert(out.valid), Assert(out.payload == payload)]


def fifo() -> Bench:
    """Whatever item is watched comes out after those before it, as it went in."""
    bench = Bench()
    m = bench.m
    m.submodules.dut = dut = StreamFifo(WIDTH, DEPTH)
    bench.drive(dut.i.valid, dut.i.payload, dut.o.ready)
    push, pop = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    inside, ahead, value = watch_item(
        bench, push=push, item=dut.i.payload, pop=pop, level=dut.level, capacity=DEPTH
    )
    with m.If(inside & (ahead == 0)):
        m.d.comb += [Assert(dut.o.valid), Assert(dut.o.payload == value)]
    _offered_stays(bench, dut.o)
    # its capacity, and that it is empty or full only then
    m.d.comb += [
        Assert(dut.level <= DEPTH),
        Assert(dut.i.ready == (dut.level != DEPTH)),
        Assert(dut.o.valid == (dut.level != 0)),
    ]
    # what makes it inductive: where the items are
    write, read = bench.probe("write_index", 2), bench.probe("read_index", 2)
    cells = [bench.probe(f"storage.registers_{DEPTH}x{WIDTH}_r1[{i}]", WIDTH) for i in range(DEPTH)]
    m.d.comb += Assert((write - read)[:2] == dut.level[:2])
    with m.If(inside):
        m.d.comb += [Assert(ahead < dut.level), Assert(Array(cells)[(read + ahead)[:2]] == value)]
    stalled = past(bench, dut.o.valid & ~dut.o.ready, "stalled_cell")
    offered = past(bench, dut.o.payload, "payload_cell")
    with m.If(stalled):
        m.d.comb += Assert(Array(cells)[read] == offered)
    return bench


def skid() -> Bench:
    """The same of the buffer that cuts `ready`; nothing is cleared."""
    bench = Bench()
    m = bench.m
    m.submodules.dut = dut = SkidBuffer(WIDTH)
    bench.drive(dut.i.valid, dut.i.payload, dut.o.ready)
    full, held = bench.probe("full", 1), bench.probe("held", WIDTH)
    push, pop = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    inside, ahead, value = watch_item(
        bench, push=push, item=dut.i.payload, pop=pop, level=dut.o.valid + full, capacity=2
    )
    with m.If(inside & (ahead == 0)):
        m.d.comb += [Assert(dut.o.valid), Assert(dut.o.payload == value)]
    _offered_stays(bench, dut.o)
    with m.If(full):
        m.d.comb += Assert(dut.o.valid)
    with m.If(inside):
        m.d.comb += Assert(ahead < dut.o.valid + full)
    with m.If(inside & (ahead == 1)):
        m.d.comb += Assert(held == value)
    return bench


PROOFS = (
    Proof(
        "rtl.fifo.StreamFifo",
        "each item that enters leaves once, in order, unchanged; never more than its depth",
        fifo,
        ("pop", "dut.push"),
    ),
    Proof(
        "rtl.skid.SkidBuffer",
        "each item that enters leaves once, in order, unchanged; without clear",
        skid,
        ("full", "1'0"),
    ),
)
