"""What load and store engine have in common: commands in, bursts, status and faults out."""

from typing import Any

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bursts import ROW_BITS, BurstLayout, BurstSplitter
from rtl.command_slot import CommandSlot
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import (
    INDEX_BITS,
    DoneCounts,
    EngineStatus,
    ErrorReport,
    RegionLookup,
)
from rtl.isa import BEAT_BITS, COMMANDS, Engine, Opcode
from rtl.registers import ErrorCode

COMMANDS_IN_FLIGHT = 4


class EngineFront(wiring.Component):
    """Accept the commands of a transfer engine, cut them into bursts, and say how the engine is.

    Up to `COMMANDS_IN_FLIGHT` commands are accepted before the oldest is complete; they complete
    in order. What is wrong with the newest one - an illegal field, a burst outside its region - is
    a fault when `settled`; a fault of the engine's own is one at once. From the first fault on
    `stopped` is high, the command it belongs to is reported, and when the bus owes nothing any
    more everything is forgotten.

    Latency: a command whose `prepared` is high is accepted in the cycle after it was offered, its
    first burst is offered two cycles later. Throughput: a command every two cycles; bursts as in
    `BurstSplitter`. Stalls: the next command waits until the last burst of the one before is taken,
    and while there is no `room`.

    Parameters
    ----------
    engine, opcode : whose commands, of one kind. config : bus.

    Members
    -------
    beats, done_counts, halt, clear, region, status, error : the engine's own.
    offered : all beats of a command are in `command`, its waits are over; `index` is its index.
    prepared : `last` and `illegal` hold for it.
    last : number of a row's last byte, counted from 0. illegal : a field is out of its range.
    room : a job can be taken. accepted : pulse: `command` is legal, take its job.
    lane : byte lane of the bus at which its first row starts.
    bursts : of the accepted commands. newest : index of the one accepted last.
    oldest : index of the oldest incomplete command. retired : pulse: it completes.
    alone : at most one command is incomplete.
    fault : of the engine. settled : what is wrong with the newest command may be reported.
    owed : the bus owes an answer. stopped : drop all jobs. emptied : pulse: the last cycle of it.
    """

    beats: Any
    done_counts: Any
    halt: Signal
    clear: Signal
    region: Any
    status: Any
    error: Any
    offered: Signal
    command: Any
    index: Signal
    prepared: Signal
    last: Signal
    illegal: Signal
    room: Signal
    accepted: Signal
    lane: Signal
    bursts: Any
    newest: Signal
    oldest: Signal
    retired: Signal
    alone: Signal
    fault: Any
    settled: Signal
    owed: Signal
    stopped: Signal
    emptied: Signal

    def __init__(self, engine: Engine, opcode: Opcode, config: NpuConfig) -> None:
        self.config = config
        self.engine = engine
        self.layout = COMMANDS[opcode].layout
        self.burst_bytes = config.burst_beats * config.bus_bytes
        burst = BurstLayout(config.bus_bytes, self.burst_bytes)
        super().__init__(
            {
                "beats": In(stream.Signature(BEAT_BITS)),
                "done_counts": In(DoneCounts()),
                "halt": In(1),
                "clear": In(1),
                "region": Out(RegionLookup()),
                "status": Out(EngineStatus()),
                "error": Out(ErrorReport()),
                "offered": Out(1),
                "command": Out(self.layout),
                "index": Out(INDEX_BITS),
                "prepared": In(1),
                "last": In(ROW_BITS),
                "illegal": In(1),
                "room": In(1),
                "accepted": Out(1),
                "lane": Out(range(config.bus_bytes)),
                "bursts": Out(stream.Signature(burst)),
                "newest": Out(INDEX_BITS),
                "oldest": Out(INDEX_BITS),
                "retired": In(1),
                "alone": Out(1),
                "fault": In(ErrorReport()),
                "settled": In(1),
                "owed": In(1),
                "stopped": Out(1),
                "emptied": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.slot = slot = CommandSlot(self.engine)
        splitter = BurstSplitter(self.config.bus_bytes, self.burst_bytes)
        indices = StreamFifo(INDEX_BITS, COMMANDS_IN_FLIGHT)
        m.submodules.splitter = ResetInserter(self.stopped)(splitter)
        m.submodules.indices = ResetInserter(self.emptied)(indices)
        wiring.connect(m, wiring.flipped(self.beats), slot.beats)
        wiring.connect(m, wiring.flipped(self.done_counts), slot.done)
        wiring.connect(m, splitter.bursts, wiring.flipped(self.bursts))
        wrong = self._accept(m, slot, splitter, indices)

        code = Signal(ErrorCode)
        culprit = Signal(INDEX_BITS)
        reported = Signal()
        shown = Signal()
        with m.If(self.stopped):
            m.d.comb += self.emptied.eq(reported & ~self.owed)
            m.d.sync += reported.eq(1)
            with m.If(self.emptied):
                m.d.sync += [self.stopped.eq(0), reported.eq(0)]
        with m.Elif(self.fault.valid):
            m.d.sync += [
                self.stopped.eq(1),
                code.eq(self.fault.code),
                culprit.eq(self.fault.command),
            ]
        with m.Elif((wrong != ErrorCode.NONE) & self.settled):
            m.d.sync += [self.stopped.eq(1), code.eq(wrong), culprit.eq(self.newest)]
        m.d.sync += shown.eq(indices.o.valid & ~indices.o.ready)
        m.d.comb += [
            slot.halt.eq(self.halt),
            slot.clear.eq(self.clear),
            indices.o.ready.eq(self.retired & ~self.stopped),
            self.oldest.eq(indices.o.payload),
            self.alone.eq(indices.level <= 1),
            self.error.valid.eq(self.stopped & ~reported),
            self.error.code.eq(code),
            self.error.command.eq(culprit),
            self.status.start.eq(indices.o.valid & ~shown & ~self.stopped),
            self.status.done.eq((self.retired & ~self.stopped) | self.emptied),
            self.status.index.eq(Mux(self.stopped, culprit, self.oldest)),
            # bytes behind the last pixel are still read when a LOAD is complete
            self.status.busy.eq(
                indices.o.valid | self.stopped | self.owed | ~splitter.transfer.ready
            ),
            self.status.waiting.eq(slot.waiting),
            self.status.idle.eq(~self.status.busy & slot.empty),
        ]
        return m

    def _accept(
        self, m: Module, slot: CommandSlot, splitter: BurstSplitter, indices: StreamFifo
    ) -> Signal:
        """Check commands and start their bursts; return the fault of the newest one."""
        command: Any = data.View(self.layout, slot.command)
        transfer = splitter.transfer
        base = Signal(32)
        illegal = Signal()
        wrong = Signal(ErrorCode)
        take = Signal()

        m.d.comb += [
            self.offered.eq(slot.valid),
            self.command.eq(slot.command),
            self.index.eq(slot.index),
            self.region.number.eq(command.region),
            self.lane.eq(transfer.payload.address),
            self.accepted.eq(take & ~illegal),
            slot.ready.eq(take),
            indices.i.valid.eq(take),
            indices.i.payload.eq(slot.index),
            transfer.valid.eq(self.accepted),
            transfer.payload.address.eq(base + command.offset),
            transfer.payload.limit.eq(base + self.region.value),
            transfer.payload.last.eq(self.last),
            transfer.payload.row_stride.eq(command.row_stride),
            transfer.payload.rows.eq(command.rows),
        ]
        with m.If(take):
            m.d.sync += self.newest.eq(slot.index)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [base.eq(self.region.value), illegal.eq(self.illegal)]
                with m.If(splitter.outside & ~self.stopped):
                    m.d.sync += wrong.eq(ErrorCode.REGION_BOUNDS)
                    m.next = "WRONG"
                with m.Elif(
                    slot.valid & self.prepared & self.room & transfer.ready & indices.i.ready
                ):
                    m.next = "ACCEPT"
            with m.State("ACCEPT"):
                m.d.comb += [self.region.size.eq(1), take.eq(slot.valid & ~self.stopped)]
                m.next = "IDLE"
                with m.If(take & illegal):
                    m.d.sync += wrong.eq(ErrorCode.ILLEGAL_FIELD)
                    m.next = "WRONG"
            with m.State("WRONG"):
                with m.If(self.stopped):
                    m.d.sync += wrong.eq(ErrorCode.NONE)
                    m.next = "IDLE"
        return wrong
