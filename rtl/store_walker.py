"""Walks over the words of a STORE command: where each is read and where its bytes are packed."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.interfaces import INDEX_BITS, ScratchpadRead
from rtl.isa import ADDRESS_BITS, COMMANDS, Opcode
from rtl.packer import UNITS, PlacementLayout, RingLayout

JOB_FIELDS = (
    "rows",
    "pixels",
    "pixel_bytes",
    "pixel_words",
    "base",
    "row_pitch",
    "plane_pitch",
)
"""Fields of the STORE command that its data side needs."""


class StoreJobLayout(data.StructLayout):
    """A STORE command on its data side: its fields and index, and where its rows start.

    Members
    -------
    lane : byte lane of the bus at which row 0 starts. lane_step : from row to row, modulo the bus
        width.
    """

    def __init__(self, config: NpuConfig) -> None:
        fields = COMMANDS[Opcode.STORE].fields
        super().__init__(
            {
                "index": INDEX_BITS,
                "lane": range(config.bus_bytes),
                "lane_step": range(config.bus_bytes),
                **{name: fields[name] for name in JOB_FIELDS},
            }
        )


class StoreWalker(wiring.Component):
    """Read the words of STORE commands, row by row, pixel by pixel, one per cycle.

    Requests are registers, so that who waits for the scratchpad sees a short path.

    Latency: the first request is made in the third cycle of a job. Throughput: a word per cycle,
    one cycle lost between jobs. Stalls: while the scratchpad is not ready, and while fewer than
    two units of the packer's ring are free.

    Parameters
    ----------
    config : lanes, bus width, capacity.

    Members
    -------
    jobs : the commands; a job is taken together with its last word. scratchpad : the source.
    stop : request nothing more; what is requested is still read, while `pending`.
    unit_read : the ring's unit that the packer reads next.
    placed, placement : the scratchpad's data is present; where its bytes go.
    outside : the next address is beyond the scratchpad; it is not requested.
    """

    jobs: Any
    scratchpad: Any
    stop: Signal
    pending: Signal
    unit_read: Signal
    placed: Signal
    placement: Any
    outside: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "jobs": In(stream.Signature(StoreJobLayout(config))),
                "scratchpad": Out(ScratchpadRead(config)),
                "stop": In(1),
                "pending": Out(1),
                "unit_read": In(range(2 * UNITS)),
                "placed": Out(1),
                "placement": Out(PlacementLayout(config)),
                "outside": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
        job = self.jobs.payload

        walking = Signal()
        rows_left = Signal.like(job.rows)
        pixels_left = Signal.like(job.pixels)
        words_left = Signal.like(job.pixel_words)
        # of the pixel, the row, the job: the word at hand is in the last one
        pixel_done = Signal()
        pixels_done = Signal()
        rows_done = Signal()
        lane = Signal.like(job.lane)
        row_address = Signal(ADDRESS_BITS)
        pixel_address = Signal(ADDRESS_BITS)
        address = Signal(ADDRESS_BITS)
        place: Any = Signal(RingLayout(self.config))

        row_done = Signal()
        job_done = Signal()
        room = Signal()
        step = Signal()
        transfer = Signal()
        requested: Any = Signal(PlacementLayout(self.config), reset_less=True)
        used = Signal.like(place.unit)
        rest = Signal(range(lanes))
        count = Signal(range(lanes + 1))
        following: Any = Signal(RingLayout(self.config))
        next_lane = Signal.like(lane)
        m.d.comb += [
            row_done.eq(pixel_done & pixels_done),
            job_done.eq(row_done & rows_done),
            # a word lies in at most two units
            used.eq(place.unit - self.unit_read),
            room.eq(used <= UNITS - 2),
            self.outside.eq(walking & (address >= self.config.scratchpad_words)),
            transfer.eq(self.scratchpad.valid & self.scratchpad.ready),
            step.eq(
                walking & room & ~self.outside & ~self.stop & (~self.scratchpad.valid | transfer)
            ),
            self.pending.eq(self.scratchpad.valid),
            self.jobs.ready.eq(step & job_done),
            rest.eq(job.pixel_bytes),
            count.eq(Mux(pixel_done & (rest != 0), rest, lanes)),
            following.as_value().eq(place.as_value() + count),
            next_lane.eq(lane + job.lane_step),
        ]

        m.d.sync += self.placed.eq(transfer)
        with m.If(transfer):
            m.d.sync += [self.placement.eq(requested), self.scratchpad.valid.eq(0)]
        with m.If(step):
            m.d.sync += [
                self.scratchpad.valid.eq(1),
                self.scratchpad.address.eq(address),
                requested.place.eq(place),
                requested.count.eq(count),
                words_left.eq(words_left - 1),
                pixel_done.eq(words_left == 2),
                address.eq(address + job.plane_pitch),
                place.eq(following),
                requested.following.eq(following),
            ]
            with m.If(pixel_done):
                m.d.sync += [
                    words_left.eq(job.pixel_words),
                    pixel_done.eq(job.pixel_words == 1),
                    pixels_left.eq(pixels_left - 1),
                    pixels_done.eq(pixels_left == 2),
                    address.eq(pixel_address + 1),
                    pixel_address.eq(pixel_address + 1),
                ]
            with m.If(row_done):
                unit = following.unit + (following.lane != 0)
                m.d.sync += [
                    pixels_left.eq(job.pixels),
                    pixels_done.eq(job.pixels == 1),
                    rows_left.eq(rows_left - 1),
                    rows_done.eq(rows_left == 2),
                    lane.eq(next_lane),
                    address.eq(row_address + job.row_pitch),
                    pixel_address.eq(row_address + job.row_pitch),
                    row_address.eq(row_address + job.row_pitch),
                    place.unit.eq(unit),
                    place.lane.eq(next_lane),
                    # the row's last beat counts as full
                    requested.following.unit.eq(unit),
                    requested.following.lane.eq(0),
                ]
            with m.If(job_done):
                m.d.sync += walking.eq(0)
        with m.Elif(~walking & self.jobs.valid):
            m.d.sync += [
                walking.eq(1),
                rows_left.eq(job.rows),
                pixels_left.eq(job.pixels),
                words_left.eq(job.pixel_words),
                rows_done.eq(job.rows == 1),
                pixels_done.eq(job.pixels == 1),
                pixel_done.eq(job.pixel_words == 1),
                lane.eq(job.lane),
                row_address.eq(job.base),
                pixel_address.eq(job.base),
                address.eq(job.base),
                place.lane.eq(job.lane),
            ]
        return m
