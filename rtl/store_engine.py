"""Executes STORE: scratchpad -> external memory."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiWrite
from rtl.bursts import ROW_BITS
from rtl.config import NpuConfig
from rtl.engine_front import COMMANDS_IN_FLIGHT, EngineFront
from rtl.fifo import StreamFifo
from rtl.interfaces import (
    BusAttributes,
    BusWatch,
    DoneCounts,
    EngineStatus,
    ErrorReport,
    RegionLookup,
    ScratchpadRead,
)
from rtl.isa import BEAT_BITS, Engine, Opcode
from rtl.packer import Packer
from rtl.registers import ErrorCode
from rtl.store_walker import JOB_FIELDS, StoreJobLayout, StoreWalker
from rtl.write_manager import WriteManager


class StoreEngine(wiring.Component):
    """Execute STORE commands.

    The next command's words are read while the last bursts of the one before are unanswered.
    Addresses are issued before their data; data follows in order and does not wait until its
    address was taken. A fault is reported when its
    command is the oldest (a burst outside its region: when the bursts before it are answered, too);
    reading stops, the issued bursts are completed (with disabled bytes where data is missing), then
    the engine is done.

    Latency: n + 3 cycles from the offered command to `status.start`, where pixel_bytes has n bits
    (while another command executes, too); from there the first word is read 2 cycles later, the
    first address is on the bus 2, the first beat at the earliest 6 cycles later. Throughput: a word
    and a beat per cycle; between commands the reading pauses for a cycle. Stalls: reading stops
    while fewer than 2 of the packer's 8 units of `max(bus_bytes, lanes)` bytes are free.

    Parameters
    ----------
    config : lanes, bus, capacity.

    Members
    -------
    beats : its queue. done_counts, halt, clear : from the control block. region : its lookup.
    scratchpad : the source. axi : the bus; this engine alone writes. attributes : of all bursts.
    status, error : to the control block. `status.busy` covers unanswered bursts. watch : the bus
        as seen from here.
    """

    beats: Any
    done_counts: Any
    halt: Signal
    clear: Signal
    region: Any
    scratchpad: Any
    axi: Any
    attributes: Any
    status: Any
    error: Any
    watch: Any

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "beats": In(stream.Signature(BEAT_BITS)),
                "done_counts": In(DoneCounts()),
                "halt": In(1),
                "clear": In(1),
                "region": Out(RegionLookup()),
                "attributes": In(BusAttributes()),
                "scratchpad": Out(ScratchpadRead(config)),
                "axi": Out(AxiWrite(config)),
                "status": Out(EngineStatus()),
                "error": Out(ErrorReport()),
                "watch": Out(BusWatch()),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        config = self.config
        m.submodules.front = front = EngineFront(Engine.STORE, Opcode.STORE, config)
        m.submodules.writes = writes = WriteManager(config)
        drop = ResetInserter(front.emptied)
        jobs = StreamFifo(StoreJobLayout(config), COMMANDS_IN_FLIGHT)
        walker = StoreWalker(config)
        packer = Packer(config)
        m.submodules.jobs = drop(jobs)
        m.submodules.walker = drop(walker)
        m.submodules.packer = drop(packer)
        for name in ("beats", "done_counts", "region", "status", "error"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(front, name))
        for name in ("axi", "attributes"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(writes, name))
        wiring.connect(m, front.bursts, writes.bursts)
        wiring.connect(m, writes.issued, packer.bursts)
        wiring.connect(m, packer.beats, writes.beats)
        wiring.connect(m, jobs.o, walker.jobs)
        wiring.connect(m, walker.scratchpad, wiring.flipped(self.scratchpad))

        command = front.command
        m.d.comb += [
            front.halt.eq(self.halt),
            front.clear.eq(self.clear),
            front.room.eq(jobs.i.ready),
            front.owed.eq(writes.owed),
            # every burst of the commands before was issued when the newest was accepted
            front.settled.eq(~writes.owed),
            front.retired.eq(writes.answered & writes.answered_last & ~writes.bad),
            jobs.i.valid.eq(front.accepted),
            jobs.i.payload.index.eq(front.index),
            jobs.i.payload.lane.eq(front.lane),
            jobs.i.payload.lane_step.eq(command.row_stride),
            *(jobs.i.payload[name].eq(command[name]) for name in JOB_FIELDS),
            walker.stop.eq(front.stopped),
            walker.unit_read.eq(packer.unit_read),
            packer.placed.eq(walker.placed),
            packer.placement.eq(walker.placement),
            packer.word.eq(self.scratchpad.data),
            # bursts that were issued are completed
            packer.fill.eq(front.stopped & ~walker.pending),
            self.watch.owed.eq(writes.waits),
            self.watch.moved.eq(writes.moved),
            self.watch.of_command.eq(1),
            self.watch.command.eq(self.status.index),
        ]
        self._prepare(m, front)
        # the walker turns to a job a cycle before it may find a word outside
        walks_oldest = Signal()
        m.d.sync += walks_oldest.eq(jobs.o.payload.index == front.oldest)
        with m.If(writes.bad):
            m.d.comb += [
                front.fault.valid.eq(1),
                front.fault.code.eq(ErrorCode.WRITE_BUS),
                front.fault.command.eq(front.oldest),
            ]
        with m.Elif(walker.outside & walks_oldest):
            m.d.comb += [
                front.fault.valid.eq(1),
                front.fault.code.eq(ErrorCode.SCRATCHPAD_BOUNDS),
                front.fault.command.eq(front.oldest),
            ]
        cleared: Elaboratable = ResetInserter(self.clear)(m)
        return cleared

    def _prepare(self, m: Module, front: EngineFront) -> None:
        """Multiply out a row's bytes, a bit per cycle, while the engine may be busy with others."""
        command = front.command
        factor = Signal.like(command.pixel_bytes)
        addend = Signal(len(command.pixels) + len(command.pixel_bytes))
        last = Signal.like(addend)
        multiplying = Signal()
        m.d.sync += multiplying.eq(front.offered)
        with m.If(multiplying):
            m.d.sync += [
                factor.eq(factor >> 1),
                addend.eq(addend << 1),
                last.eq(Mux(factor[0], last + addend, last)),
            ]
        with m.Else():
            m.d.sync += [factor.eq(command.pixel_bytes), addend.eq(command.pixels), last.eq(-1)]
        m.d.comb += [
            front.prepared.eq(multiplying & (factor == 0)),
            front.last.eq(last),
            front.illegal.eq(
                _illegal(command, self.config.lanes) | last[ROW_BITS:].any() | last[:ROW_BITS].all()
            ),
        ]


def _illegal(command: Any, lanes: int) -> Value:
    """The command has a field value that ARCHITECTURE.md rules out."""
    return Cat(
        command.rows == 0,
        command.pixels == 0,
        command.pixel_words == 0,
        command.pixel_words != (command.pixel_bytes + lanes - 1) >> lanes.bit_length() - 1,
    ).any()
