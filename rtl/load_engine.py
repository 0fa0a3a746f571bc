"""Executes LOAD: external memory -> scratchpad, weight or parameter buffer, or lookup table."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AXI_ADDRESS_BITS
from rtl.bursts import BurstSplitter
from rtl.command_slot import CommandSlot
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import (
    INDEX_BITS,
    DoneCounts,
    EngineStatus,
    ErrorReport,
    ParameterWrite,
    ReadClient,
    RegionLookup,
    ScratchpadWrite,
    TableWrite,
    WeightWrite,
)
from rtl.isa import BEAT_BITS, COMMANDS, Destination, Engine, Opcode
from rtl.load_walker import JOB_FIELDS, JobLayout, LoadWalker
from rtl.read_manager import LOAD_TAG_BITS
from rtl.registers import ErrorCode
from rtl.unpacker import Unpacker

COMMANDS_IN_FLIGHT = 4


class LoadEngine(wiring.Component):
    """Execute LOAD commands; the address side runs ahead into the following commands.

    Up to `COMMANDS_IN_FLIGHT` commands whose dependencies are met have their bursts requested
    while the oldest still writes, so that consecutive commands keep the bus busy. They complete in
    order. A fault is reported when its command is the oldest (a bus error: when it arrives);
    the engine then drops all its commands, takes the beats that are still owed, and is done.

    Latency, without stalls and with a memory that answers L cycles after the address: the address
    is on the bus 4 cycles after the slot offers the command, the first word is written L + 2
    cycles later. Throughput: a beat in and a word out per cycle; between commands the output
    pauses for a cycle. Stalls: when the destination does, after 8 units of `max(bus_bytes, lanes)`
    bytes are buffered.

    Parameters
    ----------
    config : lanes, bus, capacities.

    Members
    -------
    beats : its queue. done_counts, halt, clear : from the control block. region : its lookup.
    read : towards the read manager.
    scratchpad, weights, parameters, table : the destinations.
    status, error : to the control block.
    """

    beats: Any
    done_counts: Any
    halt: Signal
    clear: Signal
    region: Any
    read: Any
    scratchpad: Any
    weights: Any
    parameters: Any
    table: Any
    status: Any
    error: Any

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "beats": In(stream.Signature(BEAT_BITS)),
                "done_counts": In(DoneCounts()),
                "halt": In(1),
                "clear": In(1),
                "region": Out(RegionLookup()),
                "read": Out(ReadClient(config, LOAD_TAG_BITS)),
                "scratchpad": Out(ScratchpadWrite(config)),
                "weights": Out(WeightWrite(config)),
                "parameters": Out(ParameterWrite(config)),
                "table": Out(TableWrite(config)),
                "status": Out(EngineStatus()),
                "error": Out(ErrorReport()),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        config = self.config
        flushing = Signal()
        flush = ResetInserter(flushing)

        m.submodules.slot = slot = CommandSlot(Engine.LOAD)
        splitter = BurstSplitter(config.bus_bytes, config.burst_beats * config.bus_bytes)
        jobs = StreamFifo(JobLayout(config), COMMANDS_IN_FLIGHT)
        indices = StreamFifo(INDEX_BITS, COMMANDS_IN_FLIGHT)
        walker = LoadWalker(config)
        unpacker = Unpacker(config)
        m.submodules.splitter = flush(splitter)
        m.submodules.jobs = flush(jobs)
        m.submodules.indices = flush(indices)
        m.submodules.walker = flush(walker)
        m.submodules.unpacker = flush(unpacker)
        wiring.connect(m, wiring.flipped(self.beats), slot.beats)
        wiring.connect(m, wiring.flipped(self.done_counts), slot.done)
        wiring.connect(m, jobs.o, walker.jobs)
        wiring.connect(m, walker.words, unpacker.words)
        m.d.comb += [slot.halt.eq(self.halt), slot.clear.eq(self.clear)]

        front_fault = self._front(m, slot, splitter, jobs, indices, flushing)
        outstanding, newest = self._reads(m, splitter, unpacker, indices, flushing)
        retired = self._writes(m, unpacker, flushing)

        # the first fault, oldest command first, empties the engine
        fault = Signal(ErrorCode)
        fault_index = Signal(INDEX_BITS)
        reported = Signal()
        beat = self.read.beats
        with m.If(flushing):
            m.d.sync += reported.eq(1)
            with m.If(outstanding == 0):
                m.d.comb += self.status.done.eq(1)
                m.d.sync += [flushing.eq(0), reported.eq(0)]
        with m.Else():
            m.d.comb += [indices.o.ready.eq(retired), self.status.done.eq(retired)]
            m.d.sync += fault_index.eq(indices.o.payload)
            with m.If(unpacker.writes.valid & unpacker.writes.payload.outside):
                m.d.sync += flushing.eq(1)
                with m.If(unpacker.writes.payload.destination == Destination.SCRATCHPAD):
                    m.d.sync += fault.eq(ErrorCode.SCRATCHPAD_BOUNDS)
                with m.Else():
                    m.d.sync += fault.eq(ErrorCode.BUFFER_BOUNDS)
            with m.Elif(beat.valid & beat.ready & beat.payload.error):
                m.d.sync += [
                    flushing.eq(1),
                    fault.eq(ErrorCode.READ_BUS),
                    fault_index.eq(beat.payload.tag[1:]),
                ]
            # all commands before the newest are complete; so is the newest itself when only bytes
            # behind its last pixel leave the region
            with m.Elif((front_fault != ErrorCode.NONE) & (indices.level <= 1)):
                m.d.sync += [flushing.eq(1), fault.eq(front_fault), fault_index.eq(newest)]

        shown = Signal()
        m.d.sync += shown.eq(indices.o.valid & ~indices.o.ready)
        m.d.comb += [
            self.error.valid.eq(flushing & ~reported),
            self.error.code.eq(fault),
            self.error.command.eq(fault_index),
            self.status.start.eq(indices.o.valid & ~shown & ~flushing),
            self.status.index.eq(Mux(flushing, fault_index, indices.o.payload)),
            # bytes behind the last pixel are still read when the command is complete
            self.status.busy.eq(
                indices.o.valid | flushing | (outstanding != 0) | ~splitter.transfer.ready
            ),
            self.status.waiting.eq(slot.waiting),
            self.status.idle.eq(~self.status.busy & slot.empty),
        ]
        cleared: Elaboratable = ResetInserter(self.clear)(m)
        return cleared

    def _front(
        self,
        m: Module,
        slot: CommandSlot,
        splitter: BurstSplitter,
        jobs: StreamFifo,
        indices: StreamFifo,
        flushing: Signal,
    ) -> Signal:
        """Check commands and start their bursts; return the fault of the newest one."""
        config = self.config
        command: Any = data.View(COMMANDS[Opcode.LOAD].layout, slot.command)
        region_base = Signal(32)
        region_size = Signal(32)
        address = Signal(AXI_ADDRESS_BITS)
        illegal = Signal()
        fault = Signal(ErrorCode)
        accept = Signal()
        transfer, job = splitter.transfer, jobs.i

        m.d.comb += [
            self.region.number.eq(command.region),
            address.eq(region_base + command.offset),
            transfer.payload.address.eq(address),
            transfer.payload.offset.eq(command.offset),
            transfer.payload.size.eq(region_size),
            transfer.payload.row_bytes.eq(command.row_bytes),
            transfer.payload.row_stride.eq(command.row_stride),
            transfer.payload.rows.eq(command.rows),
            indices.i.payload.eq(slot.index),
            job.payload.lane.eq(address),
            job.payload.lane_step.eq(command.row_stride),
            *(job.payload[name].eq(command[name]) for name in JOB_FIELDS),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    region_base.eq(self.region.base),
                    region_size.eq(self.region.size),
                    illegal.eq(_illegal(command, config.lanes)),
                ]
                with m.If(splitter.outside & ~flushing):
                    m.d.sync += fault.eq(ErrorCode.REGION_BOUNDS)
                    m.next = "FAULT"
                with m.Elif(slot.valid & splitter.transfer.ready & jobs.i.ready & indices.i.ready):
                    m.next = "ACCEPT"
            with m.State("ACCEPT"):
                m.d.comb += [
                    accept.eq(slot.valid & ~flushing),
                    slot.ready.eq(accept),
                    indices.i.valid.eq(accept),
                    job.valid.eq(accept & ~illegal),
                    transfer.valid.eq(accept & ~illegal),
                ]
                m.next = "IDLE"
                with m.If(accept & illegal):
                    m.d.sync += fault.eq(ErrorCode.ILLEGAL_FIELD)
                    m.next = "FAULT"
            with m.State("FAULT"):
                with m.If(flushing):
                    m.d.sync += fault.eq(ErrorCode.NONE)
                    m.next = "IDLE"
        return fault

    def _reads(
        self,
        m: Module,
        splitter: BurstSplitter,
        unpacker: Unpacker,
        indices: StreamFifo,
        flushing: Signal,
    ) -> tuple[Signal, Signal]:
        """Connect the read manager; return how many bursts are unanswered, and the index of the
        newest command."""
        request, beats = self.read.request, self.read.beats
        burst = splitter.bursts
        bus_bits = self.config.bus_bytes.bit_length() - 1
        outstanding = Signal(range(self.config.outstanding_bursts + 1))
        newest = Signal(INDEX_BITS)
        with m.If(indices.i.valid):
            m.d.sync += newest.eq(indices.i.payload)
        m.d.comb += [
            request.valid.eq(burst.valid & ~flushing),
            burst.ready.eq(request.ready & ~flushing),
            request.payload.address[bus_bits:].eq(burst.payload.address[bus_bits:]),
            request.payload.beats.eq(burst.payload.beats),
            request.payload.tag.eq(Cat(burst.payload.row_last, newest)),
            beats.ready.eq(unpacker.beats.ready | flushing),
            unpacker.beats.valid.eq(beats.valid & ~flushing),
            unpacker.beats.payload.data.eq(beats.payload.data),
            unpacker.beats.payload.end.eq(beats.payload.last & beats.payload.tag[0]),
        ]
        answered = beats.valid & beats.ready & beats.payload.last
        m.d.sync += outstanding.eq(outstanding + (request.valid & request.ready) - answered)
        return outstanding, newest

    def _writes(self, m: Module, unpacker: Unpacker, flushing: Signal) -> Signal:
        """Connect the destinations; return whether a command's last word is being written."""
        writes = unpacker.writes
        word = writes.payload
        go = Signal()
        retired = Signal()
        m.d.comb += [
            go.eq(writes.valid & ~word.outside & ~flushing),
            self.scratchpad.address.eq(word.address),
            self.scratchpad.data.eq(word.data),
            self.scratchpad.enable.eq(word.enable),
            self.weights.address.eq(word.address),
            self.weights.data.eq(word.data),
            self.parameters.block.eq(word.address),
            self.parameters.plane.eq(word.plane),
            self.parameters.data.eq(word.data),
            self.table.row.eq(word.address),
            self.table.data.eq(word.data),
            retired.eq(go & writes.ready & word.last),
        ]
        with m.Switch(word.destination):
            with m.Case(Destination.SCRATCHPAD):
                m.d.comb += [
                    self.scratchpad.valid.eq(go),
                    writes.ready.eq(self.scratchpad.ready),
                ]
            with m.Case(Destination.WEIGHTS):
                m.d.comb += [self.weights.valid.eq(go), writes.ready.eq(1)]
            with m.Case(Destination.PARAMETERS, Destination.BIASES):
                m.d.comb += [self.parameters.valid.eq(go), writes.ready.eq(1)]
            with m.Case(Destination.TABLE):
                m.d.comb += [self.table.valid.eq(go), writes.ready.eq(1)]
        return retired


def _illegal(command: Any, lanes: int) -> Value:
    """The command has a field value that ARCHITECTURE.md rules out."""
    general = (Destination.SCRATCHPAD, Destination.WEIGHTS)
    addressed = Cat(command.destination == destination for destination in general).any()
    vector_bytes = command.pixel_bytes + command.lane_offset
    folds = (vector_bytes <= 4 * lanes) & (command.pixel_step <= 4 * lanes)
    merges = (command.destination == Destination.SCRATCHPAD) & (command.lane_offset < lanes)
    units = (command.rows == 1) & (command.pixel_bytes == lanes)
    pitches = Cat(command.row_pitch, command.plane_pitch)
    return Cat(
        command.rows == 0,
        command.row_bytes == 0,
        command.pixels == 0,
        command.pixel_step == 0,
        command.pixel_bytes == 0,
        command.pixel_words != (vector_bytes + lanes - 1) >> lanes.bit_length() - 1,
        ~Mux(command.fold, folds, command.pixel_step == command.pixel_bytes),
        ~Mux(command.merge, merges, command.lane_offset == 0),
        command.destination > max(Destination),
        ~addressed & (~units | pitches.any()),
    ).any()
