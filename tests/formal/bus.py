"""The AXI ports: what the standard asks of a manager, and that answers find who asked."""

from typing import Any

from amaranth.hdl import Value

from rtl.config import PRESETS
from rtl.read_manager import ReadManager
from rtl.write_manager import WriteManager
from tests.formal.proof import Assert, Bench, Proof, past

CONFIG = PRESETS["npu32"]
ADDRESS = ("addr", "len", "size", "burst")


def _address_stays(bench: Bench, axi: Any, channel: str) -> None:
    """AxVALID is not withdrawn, and the address not changed, before AxREADY."""
    m = bench.m
    valid, ready = getattr(axi, f"{channel}valid"), getattr(axi, f"{channel}ready")
    stalled = past(bench, valid & ~ready, f"{channel}_stalled")
    values = {name: Value.cast(getattr(axi, channel + name)) for name in ADDRESS}
    before = {name: past(bench, v, f"{channel}{name}_before") for name, v in values.items()}
    with m.If(stalled):
        m.d.comb += Assert(valid)
        m.d.comb += [Assert(value == before[name]) for name, value in values.items()]


def _reads() -> tuple[Bench, ReadManager]:
    bench = Bench()
    bench.m.submodules.dut = dut = ReadManager(CONFIG)
    axi, fetch, load = dut.axi, dut.fetch, dut.load
    bench.drive(axi.arready, axi.rvalid, axi.rlast, axi.rdata, fetch.request.valid)
    bench.drive(load.request.valid, fetch.beats.ready, load.beats.ready)
    for client in (fetch, load):
        bench.drive(client.request.payload.address, client.request.payload.length)
    return bench, dut


def read_address() -> Bench:
    """The read address channel."""
    bench, dut = _reads()
    _address_stays(bench, dut.axi, "ar")
    return bench


def read_owner() -> Bench:
    """A beat goes to one client, and none is taken that nobody asked for."""
    bench, dut = _reads()
    m, axi = bench.m, dut.axi
    fetch, load = dut.fetch.beats, dut.load.beats
    m.d.comb += [
        Assert(~(fetch.valid & load.valid)),
        Assert(~axi.rready | dut.watch.owed),
        Assert((fetch.valid | load.valid) == (axi.rvalid & dut.watch.owed)),
    ]
    with m.If(axi.rvalid & axi.rready):
        m.d.comb += Assert(fetch.valid & fetch.ready | load.valid & load.ready)
    return bench


def read_arbiter() -> Bench:
    """Of two requests one is taken, and LOAD's whenever the fetcher has none.

    (The fetcher asks for no more than its queue has room for, so LOAD is not starved.)
    """
    bench, dut = _reads()
    m = bench.m
    fetch, load = dut.fetch.request, dut.load.request
    taken = (fetch.valid & fetch.ready) + (load.valid & load.ready)
    m.d.comb += Assert(taken <= 1)
    room = bench.probe("owners.i__ready", 1)
    free = (~dut.axi.arvalid | dut.axi.arready) & room
    with m.If(free & (fetch.valid | load.valid)):
        m.d.comb += Assert(taken == 1)
    with m.If(load.valid & ~fetch.valid & free):
        m.d.comb += Assert(load.ready)
    return bench


def _writes() -> tuple[Bench, WriteManager]:
    bench = Bench()
    bench.m.submodules.dut = dut = WriteManager(CONFIG)
    axi = dut.axi
    bench.drive(axi.awready, axi.wready, axi.bvalid, dut.bursts.valid, dut.issued.ready)
    bench.drive(dut.bursts.payload.address, dut.bursts.payload.length, dut.beats.valid)
    bench.drive(dut.beats.payload.data, dut.beats.payload.last)
    return bench, dut


def write_address() -> Bench:
    """The write address channel."""
    bench, dut = _writes()
    _address_stays(bench, dut.axi, "aw")
    return bench


def answers() -> Bench:
    """As many answers are counted as bursts were issued, and never more; BREADY does not wait."""
    bench, dut = _writes()
    m, axi = bench.m, dut.axi
    level = bench.probe("ends.level", CONFIG.outstanding_bursts.bit_length())
    m.d.comb += [Assert(level <= CONFIG.outstanding_bursts), Assert(axi.bready)]
    issued = past(bench, dut.bursts.valid & dut.bursts.ready, "issued_before")
    answered = past(bench, dut.answered, "answered_before")
    before = past(bench, level, "level_before")
    started = past(bench, axi.bready, "started")
    with m.If(started):
        m.d.comb += Assert(level == before + issued - answered)
    m.d.comb += Assert(~dut.answered | (level != 0))
    return bench


PROOFS = (
    Proof(
        "rtl.read_manager.ReadManager",
        "ARVALID and the address stay until ARREADY",
        read_address,
        ("issue", "1'1"),
    ),
    Proof(
        "rtl.read_manager.ReadManager",
        "each beat goes to one client, and none is taken that nobody asked for",
        read_owner,
        ("axi__rready", "1'1"),
    ),
    Proof(
        "rtl.read_manager.ReadManager",
        "one request is taken while there is room, LOAD's whenever the fetcher has none",
        read_arbiter,
        ("load__request__ready", "1'0"),
    ),
    Proof(
        "rtl.write_manager.WriteManager",
        "AWVALID and the address stay until AWREADY",
        write_address,
        ("issue", "1'1"),
    ),
    Proof(
        "rtl.write_manager.WriteManager",
        "unanswered bursts are counted right, never below zero nor above the limit",
        answers,
        ("ends.i__ready", "1'1"),
    ),
)
