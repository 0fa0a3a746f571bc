"""Walks over the words of a LOAD command: where each comes from and where it goes."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.bursts import ROW_BITS
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Destination, Opcode
from rtl.skid import SkidBuffer

POSITION = signed(ROW_BITS + 3)
"""A byte of a row, counted from lane 0 of the row's first beat. Negative in the left padding; stops
counting somewhere between 2**25 and 2**26, where all is padding."""

SLOT_BITS = ROW_BITS
"""Beats are numbered modulo 2**SLOT_BITS, in the order of their arrival; a row of at most
2**ROW_BITS bytes has at most a quarter of that."""

JOB_FIELDS = (
    "destination",
    "rows",
    "pad_value",
    "row_bytes",
    "pad_left",
    "fold",
    "merge",
    "lane_offset",
    "pixels",
    "pixel_bytes",
    "pixel_step",
    "pixel_words",
    "base",
    "row_pitch",
    "plane_pitch",
)
"""Fields of the LOAD command that its data side needs."""


class JobLayout(data.StructLayout):
    """A LOAD command on its data side: its fields, and the byte lanes at which rows start.

    Members
    -------
    lane : of row 0. lane_step : from row to row, modulo the bus width.
    """

    def __init__(self, config: NpuConfig) -> None:
        fields = COMMANDS[Opcode.LOAD].fields
        super().__init__(
            {
                "lane": range(config.bus_bytes),
                "lane_step": range(config.bus_bytes),
                **{name: fields[name] for name in JOB_FIELDS},
            }
        )


class WordLayout(data.StructLayout):
    """One word to cut out of the bytes that arrive.

    Members
    -------
    position : of its first byte in its row. hold : of the first byte that is still needed.
    hold_past : `hold` is behind the row's last byte.
    low, high : its bytes `low <= k < high` come from memory, the others are `pad_value`.
    first, behind : its bytes `first <= k < behind` are written, the others keep their value.
    row_slot : number of the row's first beat. end_slot : of the first beat behind the row.
    row_last : last word of its row. last : last word of its command.
    destination, address, plane : where it goes; a PARAMETERS or BIASES word to plane `plane` of
        block `address`.
    """

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "position": POSITION,
                "hold": POSITION,
                "hold_past": 1,
                "low": range(config.lanes + 1),
                "high": range(config.lanes + 1),
                "first": range(config.lanes),
                "behind": range(config.lanes + 1),
                "row_slot": SLOT_BITS,
                "end_slot": SLOT_BITS,
                "row_last": 1,
                "last": 1,
                "pad_value": 8,
                "destination": Destination,
                "address": ADDRESS_BITS,
                "plane": range(PARAMETER_BYTES),
            }
        )


_PLANES = {Destination.PARAMETERS: PARAMETER_BYTES, Destination.BIASES: BIAS_BYTES}
"""Where words are byte planes of a block: how many a block has."""


def _clamp(value: Value, limit: int) -> Value:
    """`value` (signed) limited to 0..limit."""
    return Mux(value < 0, 0, Mux(value > limit, limit, value))


class LoadWalker(wiring.Component):
    """Walk rows, pixels and words of LOAD commands, one word per cycle, by additions alone.

    Beats are numbered as the unpacker stores them: a row starts at a multiple of
    `slots_per_unit`.

    Latency: the first word is offered two cycles after its job. Throughput: a word per cycle, one
    cycle lost between jobs. Stalls: holds the word until it is taken, and makes one more.

    Parameters
    ----------
    config : lanes, bus width.

    Members
    -------
    jobs : the commands; a job is taken together with its last word. words : what to cut out.
    """

    jobs: Any
    words: Any

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "jobs": In(stream.Signature(JobLayout(config))),
                "words": Out(stream.Signature(WordLayout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
        bus_bits = self.config.bus_bytes.bit_length() - 1
        unit_bits = max(self.config.bus_bytes, lanes).bit_length() - 1
        job = self.jobs.payload

        m.submodules.buffer = buffer = SkidBuffer(WordLayout(self.config))
        wiring.connect(m, buffer.o, wiring.flipped(self.words))
        walking = Signal()
        rows_left = Signal.like(job.rows)
        pixels_left = Signal.like(job.pixels)
        words_left = Signal.like(job.pixel_words)
        # of the vector, the bytes in front of the pixel included
        bytes_left = Signal(len(job.pixel_bytes) + 1)
        starting = Signal()
        lane = Signal.like(job.lane)
        row_end = Signal(ROW_BITS + 1)
        position = Signal(POSITION)
        pixel_position = Signal(POSITION)
        row_slot = Signal(SLOT_BITS)
        end_slot = Signal(SLOT_BITS)
        row_address = Signal(ADDRESS_BITS)
        pixel_address = Signal(ADDRESS_BITS)
        address = Signal(ADDRESS_BITS)
        plane = Signal(range(PARAMETER_BYTES))

        # of the pixel, the row, the job: the word at hand is in the last one
        pixel_done = Signal()
        pixels_done = Signal()
        rows_done = Signal()
        row_done = Signal()
        job_done = Signal()
        step = Signal()
        word = buffer.i.payload
        hold = Signal(POSITION)
        m.d.comb += [
            row_done.eq(pixel_done & pixels_done),
            job_done.eq(row_done & rows_done),
            buffer.i.valid.eq(walking),
            step.eq(walking & buffer.i.ready),
            self.jobs.ready.eq(step & job_done),
            hold.eq(Mux(job.fold | starting, pixel_position, position)),
            end_slot.eq(
                row_slot
                + (((row_end + (1 << unit_bits) - 1) >> unit_bits) << (unit_bits - bus_bits))
            ),
        ]
        vector_bytes = Signal.like(bytes_left)
        m.d.comb += [
            vector_bytes.eq(job.pixel_bytes + job.lane_offset),
            word.position.eq(position),
            word.hold.eq(hold),
            word.hold_past.eq(hold >= row_end),
            word.row_slot.eq(row_slot),
            word.end_slot.eq(end_slot),
            word.row_last.eq(row_done),
            word.last.eq(job_done),
            word.pad_value.eq(job.pad_value),
            word.destination.eq(job.destination),
            word.address.eq(address),
            word.plane.eq(plane),
        ]
        self._cut(m, word, row_end - position, lane - position, bytes_left, starting)

        next_lane = Signal.like(lane)
        next_pixel = Signal(POSITION)
        next_address = Signal(ADDRESS_BITS)
        m.d.comb += [
            next_lane.eq(lane + job.lane_step),
            next_pixel.eq(self._advance(pixel_position, job.pixel_step)),
            next_address.eq(pixel_address + 1),
        ]
        plane_last = self._last_plane(m, plane)
        with m.If(Cat(job.destination == d for d in _PLANES).any()):
            m.d.comb += next_address.eq(pixel_address + plane_last)

        with m.If(step):
            m.d.sync += [
                starting.eq(0),
                words_left.eq(words_left - 1),
                pixel_done.eq(words_left == 2),
                bytes_left.eq(bytes_left - lanes),
                position.eq(self._advance(position, lanes)),
                address.eq(address + job.plane_pitch),
            ]
            with m.If(pixel_done):
                m.d.sync += [
                    words_left.eq(job.pixel_words),
                    pixel_done.eq(job.pixel_words == 1),
                    bytes_left.eq(vector_bytes),
                    pixels_left.eq(pixels_left - 1),
                    pixels_done.eq(pixels_left == 2),
                    starting.eq(1),
                    position.eq(next_pixel - job.lane_offset),
                    pixel_position.eq(next_pixel),
                    address.eq(next_address),
                    pixel_address.eq(next_address),
                    plane.eq(Mux(plane_last, 0, plane + 1)),
                ]
            with m.If(row_done):
                m.d.sync += [
                    pixels_left.eq(job.pixels),
                    pixels_done.eq(job.pixels == 1),
                    rows_left.eq(rows_left - 1),
                    rows_done.eq(rows_left == 2),
                    lane.eq(next_lane),
                    row_end.eq(next_lane + job.row_bytes),
                    position.eq(next_lane - job.pad_left - job.lane_offset),
                    pixel_position.eq(next_lane - job.pad_left),
                    row_slot.eq(end_slot),
                    row_address.eq(row_address + job.row_pitch),
                    pixel_address.eq(row_address + job.row_pitch),
                    address.eq(row_address + job.row_pitch),
                ]
            with m.If(job_done):
                m.d.sync += walking.eq(0)
        with m.Elif(~walking & self.jobs.valid):
            m.d.sync += [
                walking.eq(1),
                rows_left.eq(job.rows),
                pixels_left.eq(job.pixels),
                words_left.eq(job.pixel_words),
                pixel_done.eq(job.pixel_words == 1),
                pixels_done.eq(job.pixels == 1),
                rows_done.eq(job.rows == 1),
                bytes_left.eq(vector_bytes),
                starting.eq(1),
                lane.eq(job.lane),
                row_end.eq(job.lane + job.row_bytes),
                position.eq(job.lane - job.pad_left - job.lane_offset),
                pixel_position.eq(job.lane - job.pad_left),
                row_address.eq(job.base),
                pixel_address.eq(job.base),
                address.eq(job.base),
                plane.eq(0),
            ]
        return m

    def _cut(
        self, m: Module, word: Any, row_left: Value, padded: Value, left: Signal, starting: Signal
    ) -> None:
        """Which bytes of a word come from memory, and which are written.

        Parameters
        ----------
        row_left, padded : bytes until the row ends, and until it begins. left : of the vector.
        starting : the word is the first of its pixel.
        """
        job, lanes = self.jobs.payload, self.config.lanes
        tail = Signal(range(lanes + 1))
        front = Signal.like(job.lane_offset)
        rest = Signal(range(lanes + 1))
        inside = Signal(range(lanes + 1))
        m.d.comb += [
            tail.eq(_clamp(row_left, lanes)),
            front.eq(Mux(starting, job.lane_offset, 0)),
            rest.eq(Mux(left < lanes, left, lanes)),
            inside.eq(_clamp(padded, lanes)),
            word.low.eq(Mux(inside < front, front, inside)),
            word.high.eq(Mux(rest < tail, rest, tail)),
            word.first.eq(front),
            word.behind.eq(Mux(job.merge, rest, lanes)),
        ]

    def _last_plane(self, m: Module, plane: Signal) -> Signal:
        """Whether `plane` is the last one of a block, where words are planes."""
        last = Signal()
        with m.Switch(self.jobs.payload.destination):
            for destination, planes in _PLANES.items():
                with m.Case(destination):
                    m.d.comb += last.eq(plane == planes - 1)
        return last

    @staticmethod
    def _advance(position: Signal, step: Value | int) -> Value:
        """`position + step`, but far behind the end of any row the position stays."""
        far = ~position[-1] & position[-2]
        return Mux(far, position, position + step)
