"""Executes STORE: scratchpad -> external memory."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AXI_ADDRESS_BITS, AxiWrite, Burst, Response
from rtl.bursts import ROW_BITS, BurstSplitter
from rtl.command_slot import CommandSlot
from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import (
    INDEX_BITS,
    BusAttributes,
    BusWatch,
    DoneCounts,
    EngineStatus,
    ErrorReport,
    RegionLookup,
    ScratchpadRead,
)
from rtl.isa import BEAT_BITS, COMMANDS, Engine, Opcode
from rtl.packer import Packer
from rtl.registers import ErrorCode
from rtl.store_walker import JOB_FIELDS, StoreJobLayout, StoreWalker

COMMANDS_IN_FLIGHT = 4


class StoreEngine(wiring.Component):
    """Execute STORE commands.

    The next command's words are read while the last bursts of the one before are unanswered.
    Addresses are issued before their data; data follows in order and does not wait until its
    address was taken. A fault is reported when its
    command is the oldest (a burst outside its region: when the bursts before it are answered, too);
    reading stops, the issued bursts are completed (with disabled bytes where data is missing), then
    the engine is done.

    Latency: n + 3 cycles from the offered command to `status.start`, where pixel_bytes has n bits
    (while another command executes, too); from there the first word is read 1 cycle later, the
    first address is on the bus 2, the first beat at the earliest 5 cycles later. Throughput: a word
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
        burst_bytes = config.burst_beats * config.bus_bytes
        fault = Signal(ErrorCode)
        fault_index = Signal(INDEX_BITS)
        failed = Signal()
        emptied = Signal()
        empty = ResetInserter(emptied)

        m.submodules.slot = slot = CommandSlot(Engine.STORE)
        splitter = BurstSplitter(config.bus_bytes, burst_bytes)
        jobs = StreamFifo(StoreJobLayout(config), COMMANDS_IN_FLIGHT)
        indices = StreamFifo(INDEX_BITS, COMMANDS_IN_FLIGHT)
        walker = StoreWalker(config)
        packer = Packer(config)
        m.submodules.splitter = ResetInserter(failed)(splitter)
        m.submodules.jobs = empty(jobs)
        m.submodules.indices = empty(indices)
        m.submodules.walker = empty(walker)
        m.submodules.packer = empty(packer)
        wiring.connect(m, wiring.flipped(self.beats), slot.beats)
        wiring.connect(m, wiring.flipped(self.done_counts), slot.done)
        wiring.connect(m, jobs.o, walker.jobs)
        wiring.connect(m, walker.scratchpad, wiring.flipped(self.scratchpad))
        m.d.comb += [
            slot.halt.eq(self.halt),
            slot.clear.eq(self.clear),
            walker.stop.eq(failed),
            walker.unit_read.eq(packer.unit_read),
            packer.placed.eq(walker.placed),
            packer.placement.eq(walker.placement),
            packer.word.eq(self.scratchpad.data),
            packer.fill.eq(failed),
        ]

        front_fault = self._front(m, slot, splitter, jobs, indices, failed)
        newest = Signal(INDEX_BITS)
        with m.If(indices.i.valid):
            m.d.sync += newest.eq(indices.i.payload)
        outstanding, retired = self._bus(m, splitter, packer)

        # the first fault stops reading; bursts that were issued are still completed
        reported = Signal()
        bad_answer = Signal()
        m.d.comb += [
            bad_answer.eq(self.axi.bvalid & (self.axi.bresp != Response.OKAY)),
            indices.o.ready.eq(retired & ~bad_answer),
            self.status.done.eq((retired & ~bad_answer & ~failed) | emptied),
        ]
        with m.If(failed):
            m.d.comb += emptied.eq((outstanding == 0) & reported)
            m.d.sync += reported.eq(1)
            with m.If(emptied):
                m.d.sync += [failed.eq(0), reported.eq(0)]
        with m.Elif(bad_answer):
            m.d.sync += [failed.eq(1), fault.eq(ErrorCode.WRITE_BUS)]
            m.d.sync += fault_index.eq(indices.o.payload)
        with m.Elif(walker.outside & (jobs.o.payload.index == indices.o.payload)):
            m.d.sync += [failed.eq(1), fault.eq(ErrorCode.SCRATCHPAD_BOUNDS)]
            m.d.sync += fault_index.eq(jobs.o.payload.index)
        # every burst of the commands before was issued when the newest was accepted
        with m.Elif((front_fault != ErrorCode.NONE) & (outstanding == 0)):
            m.d.sync += [failed.eq(1), fault.eq(front_fault), fault_index.eq(newest)]

        shown = Signal()
        m.d.sync += shown.eq(indices.o.valid & ~indices.o.ready)
        m.d.comb += [
            self.error.valid.eq(failed & ~reported),
            self.error.code.eq(fault),
            self.error.command.eq(fault_index),
            self.status.start.eq(indices.o.valid & ~shown & ~failed),
            self.status.index.eq(Mux(failed, fault_index, indices.o.payload)),
            self.status.busy.eq(indices.o.valid | failed | (outstanding != 0)),
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
        failed: Signal,
    ) -> Signal:
        """Check commands and start their bursts; return the fault of the newest one."""
        lanes = self.config.lanes
        command: Any = data.View(COMMANDS[Opcode.STORE].layout, slot.command)
        region_base = Signal(32)
        region_size = Signal(32)
        address = Signal(AXI_ADDRESS_BITS)
        factor = Signal.like(command.pixel_bytes)
        addend = Signal(len(command.pixels) + len(command.pixel_bytes))
        row_bytes = Signal.like(addend)
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
            transfer.payload.row_bytes.eq(row_bytes),
            transfer.payload.row_stride.eq(command.row_stride),
            transfer.payload.rows.eq(command.rows),
            indices.i.payload.eq(slot.index),
            job.payload.index.eq(slot.index),
            job.payload.lane.eq(address),
            job.payload.lane_step.eq(command.row_stride),
            *(job.payload[name].eq(command[name]) for name in JOB_FIELDS),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [
                    region_base.eq(self.region.base),
                    region_size.eq(self.region.size),
                    factor.eq(command.pixel_bytes),
                    addend.eq(command.pixels),
                    row_bytes.eq(0),
                ]
                with m.If(splitter.outside & ~failed):
                    m.d.sync += fault.eq(ErrorCode.REGION_BOUNDS)
                    m.next = "FAULT"
                with m.Elif(slot.valid):
                    m.next = "MULTIPLY"
            with m.State("MULTIPLY"):
                # row_bytes = pixels * pixel_bytes, a bit per cycle, while the engine may be busy
                m.d.sync += [
                    factor.eq(factor >> 1),
                    addend.eq(addend << 1),
                    row_bytes.eq(Mux(factor[0], row_bytes + addend, row_bytes)),
                    illegal.eq(_illegal(command, lanes) | row_bytes[ROW_BITS:].any()),
                ]
                with m.If(splitter.outside | ~slot.valid):
                    m.next = "IDLE"
                with m.Elif((factor == 0) & transfer.ready & jobs.i.ready & indices.i.ready):
                    m.next = "ACCEPT"
            with m.State("ACCEPT"):
                m.d.comb += [
                    accept.eq(slot.valid & ~failed),
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
                with m.If(failed):
                    m.d.sync += fault.eq(ErrorCode.NONE)
                    m.next = "IDLE"
        return fault

    def _bus(self, m: Module, splitter: BurstSplitter, packer: Packer) -> tuple[Signal, Signal]:
        """Drive the bus; return the unanswered bursts, and whether a command's last one is
        answered now."""
        config = self.config
        axi = self.axi
        burst = splitter.bursts
        bus_bits = config.bus_bytes.bit_length() - 1
        layout = burst.payload.shape()
        m.submodules.issued = issued = StreamFifo(layout, config.outstanding_bursts)
        m.submodules.ends = ends = StreamFifo(1, config.outstanding_bursts)
        wiring.connect(m, issued.o, packer.bursts)
        outstanding = Signal(range(config.outstanding_bursts + 1))
        offered: Any = Signal(layout)
        issue = Signal()
        answered = Signal()
        retired = Signal()
        m.d.comb += [
            burst.ready.eq((~axi.awvalid | axi.awready) & ends.i.ready),
            issue.eq(burst.valid & burst.ready),
            ends.i.valid.eq(issue),
            ends.i.payload.eq(burst.payload.last),
            axi.awaddr[bus_bits:].eq(offered.address[bus_bits:]),
            # a burst has a beat, so the difference has no sign
            axi.awlen.eq((offered.beats - 1)[: (config.burst_beats - 1).bit_length()]),
            axi.awsize.eq(bus_bits),
            axi.awburst.eq(Burst.INCR),
            axi.awcache.eq(self.attributes.cache),
            axi.awprot.eq(self.attributes.prot),
            # data must not wait until its address is taken
            issued.i.payload.eq(burst.payload),
            issued.i.valid.eq(issue),
            axi.wvalid.eq(packer.beats.valid),
            axi.wdata.eq(packer.beats.payload.data),
            axi.wstrb.eq(packer.beats.payload.strobe),
            axi.wlast.eq(packer.beats.payload.last),
            packer.beats.ready.eq(axi.wready),
            axi.bready.eq(1),
            answered.eq(axi.bvalid & axi.bready),
            ends.o.ready.eq(answered),
            retired.eq(answered & ends.o.payload),
            outstanding.eq(ends.level),
            # while bytes are missing, the bus owes nothing but an answer to earlier bursts
            self.watch.owed.eq(axi.awvalid | axi.wvalid | ((outstanding != 0) & ~issued.o.valid)),
            self.watch.moved.eq(axi.awvalid & axi.awready | axi.wvalid & axi.wready | axi.bvalid),
            self.watch.of_command.eq(1),
            self.watch.command.eq(self.status.index),
        ]
        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(issue):
            m.d.sync += [axi.awvalid.eq(1), offered.eq(burst.payload)]
        return outstanding, retired


def _illegal(command: Any, lanes: int) -> Value:
    """The command has a field value that ARCHITECTURE.md rules out."""
    return Cat(
        command.rows == 0,
        command.pixels == 0,
        command.pixel_words == 0,
        command.pixel_words != (command.pixel_bytes + lanes - 1) >> lanes.bit_length() - 1,
    ).any()
