"""Executes LOAD: external memory -> scratchpad, weight or parameter buffer, or lookup table."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.engine_front import COMMANDS_IN_FLIGHT, EngineFront
from rtl.fifo import StreamFifo
from rtl.interfaces import (
    DoneCounts,
    EngineStatus,
    ErrorReport,
    ListWrite,
    ParameterWrite,
    ReadClient,
    RegionLookup,
    ScratchpadWrite,
    TableWrite,
    WeightWrite,
)
from rtl.isa import BEAT_BITS, Destination, Engine, Opcode, Region, Tables
from rtl.load_walker import JOB_FIELDS, JobLayout, LoadWalker
from rtl.read_manager import LOAD_TAG_BITS
from rtl.registers import ErrorCode
from rtl.unpacker import Unpacker
from rtl.weight_decoder import DECODE_FIELDS, PITCH_BITS, DecodeLayout, WeightDecoder


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
    bytes are buffered. Encoded weights: see `rtl.weight_decoder`.

    Parameters
    ----------
    config : lanes, bus, capacities.

    Members
    -------
    beats : its queue. done_counts, halt, clear : from the control block. region : its lookup.
    read : towards the read manager.
    scratchpad, weights, parameters, table, steps (with `pruned_weights` only) : the destinations.
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
        lists = {"steps": Out(ListWrite())} if config.pruned_weights else {}
        super().__init__(
            {
                **lists,
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
        m.submodules.front = front = EngineFront(Engine.LOAD, Opcode.LOAD, config)
        drop = ResetInserter(front.stopped)
        jobs = StreamFifo(JobLayout(config), COMMANDS_IN_FLIGHT)
        walker = LoadWalker(config)
        unpacker = Unpacker(config)
        m.submodules.jobs = drop(jobs)
        m.submodules.walker = drop(walker)
        m.submodules.unpacker = drop(unpacker)
        for name in ("beats", "done_counts", "region", "status", "error"):
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(front, name))
        wiring.connect(m, jobs.o, walker.jobs)
        wiring.connect(m, walker.words, unpacker.words)

        command = front.command
        # the command is there a cycle before it is offered, most of it two
        vector_bytes = Signal(len(command.pixel_bytes) + 1, reset_less=True)
        m.d.sync += vector_bytes.eq(command.pixel_bytes + command.lane_offset)
        rules = _rules(command, vector_bytes, config)
        broken = Signal(len(rules), reset_less=True)
        m.d.sync += broken.eq(rules)
        m.d.comb += [
            front.halt.eq(self.halt),
            front.clear.eq(self.clear),
            front.prepared.eq(1),
            front.last.eq(command.row_bytes - 1),
            front.illegal.eq(broken.any()),
            front.room.eq(jobs.i.ready),
            # all commands before the newest are complete; so is the newest itself when only bytes
            # behind its last pixel leave the region
            front.settled.eq(front.alone),
            jobs.i.valid.eq(front.accepted),
            jobs.i.payload.lane.eq(front.lane),
            jobs.i.payload.lane_step.eq(command.row_stride),
            *(jobs.i.payload[name].eq(command[name]) for name in JOB_FIELDS),
        ]
        self._reads(m, front, unpacker)
        # a command is being decoded, and nothing of a later one may be written
        decoding = Signal()
        self._writes(m, front, unpacker, decoding)
        if config.decodes_weights:
            self._decode(m, front, unpacker, decoding)
        cleared: Elaboratable = ResetInserter(self.clear)(m)
        return cleared

    def _reads(self, m: Module, front: EngineFront, unpacker: Unpacker) -> None:
        """Connect the read manager; beats that nobody needs any more are taken."""
        request, beats = self.read.request, self.read.beats
        burst = front.bursts
        bus_bits = self.config.bus_bytes.bit_length() - 1
        outstanding = Signal(range(self.config.outstanding_bursts + 1))
        m.d.comb += [
            request.valid.eq(burst.valid & ~front.stopped),
            burst.ready.eq(request.ready & ~front.stopped),
            request.payload.address[bus_bits:].eq(burst.payload.address[bus_bits:]),
            request.payload.length.eq(burst.payload.length),
            request.payload.tag.eq(Cat(burst.payload.row_last, front.newest)),
            beats.ready.eq(unpacker.beats.ready | front.stopped),
            unpacker.beats.valid.eq(beats.valid & ~front.stopped),
            unpacker.beats.payload.data.eq(beats.payload.data),
            unpacker.beats.payload.end.eq(beats.payload.last & beats.payload.tag[0]),
            front.owed.eq(outstanding != 0),
        ]
        answered = beats.valid & beats.ready & beats.payload.last
        m.d.sync += outstanding.eq(outstanding + (request.valid & request.ready) - answered)

    def _writes(self, m: Module, front: EngineFront, unpacker: Unpacker, decoding: Signal) -> None:
        """Connect the destinations, and report what goes wrong behind the front."""
        writes = unpacker.writes
        word, beat = writes.payload, self.read.beats
        offered, go, ready = Signal(), Signal(), Signal()
        # whether there is room for a beat is known late; its data is not written before the next
        bad = Signal()
        tag = Signal.like(beat.payload.tag, reset_less=True)
        m.d.sync += [
            bad.eq(beat.valid & beat.ready & beat.payload.error & ~front.stopped),
            tag.eq(beat.payload.tag),
        ]
        m.d.comb += [
            offered.eq(writes.valid & ~decoding & (word.destination != Destination.ENCODED)),
            writes.ready.eq(ready & ~decoding),
            go.eq(offered & ~word.outside & ~front.stopped),
            self.scratchpad.address.eq(word.address),
            self.scratchpad.data.eq(word.data),
            self.scratchpad.enable.eq(word.enable),
            self.weights.address.eq(word.address),
            *(data.eq(word.data) for data in self.weights.data),
            self.parameters.block.eq(word.address),
            self.parameters.plane.eq(word.plane),
            self.parameters.data.eq(word.data),
            self.table.row.eq(word.address),
            self.table.data.eq(word.data),
            *self._steps(word),
            front.retired.eq(go & ready & word.last),
        ]
        with m.If(offered & word.outside):
            in_scratchpad = word.destination == Destination.SCRATCHPAD
            m.d.comb += [
                front.fault.valid.eq(1),
                front.fault.command.eq(front.oldest),
                front.fault.code.eq(
                    Mux(in_scratchpad, ErrorCode.SCRATCHPAD_BOUNDS, ErrorCode.BUFFER_BOUNDS)
                ),
            ]
        with m.Elif(bad):
            m.d.comb += [
                front.fault.valid.eq(1),
                front.fault.command.eq(tag[1:]),
                front.fault.code.eq(ErrorCode.READ_BUS),
            ]
        with m.Switch(word.destination):
            with m.Case(Destination.SCRATCHPAD):
                m.d.comb += [
                    self.scratchpad.valid.eq(go),
                    ready.eq(self.scratchpad.ready),
                ]
            with m.Case(Destination.WEIGHTS):
                place = word.address[0] if self.config.weight_ports > 1 else 0
                m.d.comb += [self.weights.enable.eq(go << place), ready.eq(1)]
            with m.Case(Destination.PARAMETERS, Destination.BIASES):
                m.d.comb += [self.parameters.valid.eq(go), ready.eq(1)]
            with m.Case(Destination.TABLE):
                m.d.comb += [self.table.valid.eq(go), ready.eq(1)]
            if self.config.pruned_weights:
                with m.Case(Destination.LIST):
                    m.d.comb += [self.steps.valid.eq(go), ready.eq(1)]

    def _steps(self, word: Any) -> list[Any]:
        """What goes to the step list, if there is one."""
        if not self.config.pruned_weights:
            return []
        return [self.steps.row.eq(word.address), self.steps.data.eq(word.data)]

    def _decode(self, m: Module, front: EngineFront, unpacker: Unpacker, decoding: Signal) -> None:
        """Encoded weights go through the decoder, whose commands end and fail with it."""
        drop = ResetInserter(front.stopped)
        decoder = WeightDecoder(self.config)
        jobs = StreamFifo(DecodeLayout(), COMMANDS_IN_FLIGHT)
        m.submodules.decoder = drop(decoder)
        m.submodules.decoder_jobs = drop(jobs)
        wiring.connect(m, jobs.o, decoder.jobs)
        command, writes = front.command, unpacker.writes
        encoded = writes.payload.destination == Destination.ENCODED
        m.d.comb += [
            jobs.i.valid.eq(front.accepted & (command.destination == Destination.ENCODED)),
            *(jobs.i.payload[name].eq(command[name]) for name in DECODE_FIELDS),
            decoder.units.valid.eq(writes.valid & encoded),
            decoder.units.payload.data.eq(writes.payload.data),
            decoder.units.payload.last.eq(writes.payload.last),
            decoding.eq(decoder.busy),
        ]
        with m.If(encoded):
            m.d.comb += writes.ready.eq(decoder.units.ready)
        with m.If(decoding):
            m.d.comb += [
                front.retired.eq(decoder.done & ~front.stopped),
                self.weights.enable.eq(Mux(front.stopped, 0, decoder.enable)),
                self.weights.address.eq(decoder.address),
                Cat(self.weights.data).eq(decoder.data),
            ]
        with m.If(decoder.outside):
            m.d.comb += [
                front.fault.valid.eq(1),
                front.fault.command.eq(front.oldest),
                front.fault.code.eq(ErrorCode.BUFFER_BOUNDS),
            ]


def _rules(command: Any, vector_bytes: Signal, config: NpuConfig) -> Value:
    """A bit for each rule of ARCHITECTURE.md that a field of the command breaks."""
    lanes = config.lanes
    general = (Destination.SCRATCHPAD, Destination.WEIGHTS)
    addressed = Cat(command.destination == destination for destination in general).any()
    folds = (vector_bytes <= 4 * lanes) & (command.pixel_step <= 4 * lanes)
    merges = (command.destination == Destination.SCRATCHPAD) & (command.lane_offset < lanes)
    units = (command.rows == 1) & (command.pixel_bytes == lanes)
    pitches = Cat(command.row_pitch, command.plane_pitch)
    encoding = Cat(command.code_bits, command.tables, command.masked)
    encoded = command.destination == Destination.ENCODED
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
        (command.destination == Destination.LIST)
        & (command.region != Region.CONSTANTS if config.pruned_weights else 1),
        Mux(
            encoded,
            _illegal_encoding(command, config),
            encoding.any() | (~addressed & (~units | pitches.any())),
        ),
    )


def _illegal_encoding(command: Any, config: NpuConfig) -> Value:
    """This hardware does not decode a LOAD of encoded weights."""
    bits, tables, masked = command.code_bits, command.tables, command.masked
    few, four, eight = (bits >= 1) & (bits <= 3), bits == 4, bits == 8
    with_table = (tables == Tables.SHARED) | (tables == Tables.CHANNELS)
    decoded = []
    if config.clustered_weights:
        decoded.append(with_table & (four | (few & ~masked)))
    if config.int4_weights:
        decoded.append((tables == Tables.NONE) & four)
    known = Cat(decoded).any()
    if config.masked_weights:
        known = Mux(masked, known | ((tables == Tables.NONE) & eight), known)
    else:
        known = known & ~masked
    pitch = command.row_pitch
    return Cat(
        ~known,
        command.region != Region.CONSTANTS,
        command.pixel_bytes != config.lanes,
        command.base[0],
        pitch[0],
        pitch[PITCH_BITS:].any(),
        pitch == 0,
        command.plane_pitch == 0,
    ).any()
