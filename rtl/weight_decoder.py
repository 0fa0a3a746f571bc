"""Decodes weights on their way into the weight buffer."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import DECODER_LANES, NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Opcode, Tables
from rtl.mask_expander import MaskExpander
from rtl.memory import Registers

LANES = DECODER_LANES
PAIR = 2 * LANES
"""Weights that are decoded at once without masks, from as many bits in each granule of a unit."""

ENTRIES = 16
"""Entries of a table."""

ROW = 4
"""Entries of a table that are written at once."""

DECODE_FIELDS = ("base", "row_pitch", "plane_pitch", "rows", "code_bits", "tables", "masked")
"""Fields of a LOAD that the decoder needs."""

PITCH_BITS = 10
"""Pitches of encoded weights are below 2**PITCH_BITS units: one block of the widest grid."""

WRITE_LATENCY = 2
"""Cycles from an operation to the writing of its weights, and to `done`."""


class DecodeLayout(data.StructLayout):
    """What the decoder needs to know of a LOAD: `DECODE_FIELDS`."""

    def __init__(self) -> None:
        fields = COMMANDS[Opcode.LOAD].fields
        members = {name: fields[name] for name in DECODE_FIELDS}
        super().__init__({**members, "row_pitch": PITCH_BITS})


class WeightDecoder(wiring.Component):
    """Turn encoded units into weights, one operation per cycle.

    An operation takes a unit, or uses what is left of one, or needs none. `sim.weight_stream`
    reads and writes the same streams.

    Latency: `WRITE_LATENCY`. Throughput: two units of weights per cycle without masks, one with;
    a cycle is lost between commands. Stalls: waits for units; does not take one before the
    operation that uses its last code.

    Parameters
    ----------
    config : the encodings; capacity of the weight buffer.

    Members
    -------
    jobs : the commands. units : encoded units; `last` of their command.
    enable, address, data : two neighbouring units, which of them to write, and the even address of
        the first. outside : the address is beyond the buffer; nothing is written.
    done : a command is complete; with its last word.
    busy : a command has begun, and nothing of a later one may be written.
    """

    jobs: Any
    units: Any
    enable: Signal
    address: Signal
    data: Signal
    outside: Signal
    done: Signal
    busy: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        unit = data.StructLayout({"data": LANES * 8, "last": 1})
        super().__init__(
            {
                "jobs": In(stream.Signature(DecodeLayout())),
                "units": In(stream.Signature(unit)),
                "enable": Out(2),
                "address": Out(ADDRESS_BITS),
                "data": Out(PAIR * 8),
                "outside": Out(1),
                "done": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        job, units = self.jobs.payload, self.units.payload
        active, begun, ended, complete = Signal(), Signal(), Signal(), Signal()
        start, fire, finish = Signal(), Signal(), Signal()
        needs, takes = Signal(), Signal()
        unit = Signal(LANES * 8)
        m.d.comb += [
            start.eq(~active & self.jobs.valid),
            # behind its end a stream is zero
            unit.eq(Mux(ended, 0, units.data)),
            fire.eq(active & (~needs | self.units.valid | ended)),
            self.units.ready.eq(active & takes & ~ended),
            self.jobs.ready.eq(finish),
        ]

        # an operation reads tables, decodes, or drops what is left over
        reading, decode, pair_end = Signal(), Signal(), Signal()
        decoding = ~reading & ~complete
        m.d.comb += decode.eq(fire & decoding)
        address, section_end, command_end = self._walk(m, start, decode & pair_end)
        last_pair = decoding & pair_end & command_end
        m.d.comb += finish.eq(fire & (complete | last_pair) & (ended | (takes & units.last)))
        with m.If(start):
            m.d.sync += active.eq(1)
        with m.If(self.units.valid & self.units.ready):
            m.d.sync += [begun.eq(1), ended.eq(units.last)]
        with m.If(fire & last_pair):
            m.d.sync += complete.eq(1)
        with m.If(finish):
            m.d.sync += [active.eq(0), begun.eq(0), ended.eq(0), complete.eq(0)]

        codes: Any = Signal(data.ArrayLayout(4, PAIR))
        high: Any = Signal(data.ArrayLayout(4, LANES))
        present = Signal(LANES, init=(1 << LANES) - 1)
        enable = Signal(2)
        m.d.comb += [present.eq(~0), needs.eq(1), takes.eq(1), enable.eq(3), pair_end.eq(1)]
        if config.clustered_weights or config.int4_weights:
            self._planes(m, unit, start, decode, section_end, codes, needs, takes)
        if config.masked_weights:
            m.submodules.expander = expander = MaskExpander()
            odd = Signal()
            m.d.comb += [
                expander.unit.eq(unit),
                expander.wide.eq(job.code_bits[3]),
                expander.start.eq(start),
                expander.fire.eq(decode & job.masked),
            ]
            with m.If(job.masked):
                m.d.comb += [
                    needs.eq(expander.takes),
                    takes.eq(expander.takes),
                    enable.eq(Mux(expander.writes, Mux(odd, 2, 1), 0)),
                    pair_end.eq(expander.writes & odd),
                    Value.cast(codes).eq(Value.cast(expander.codes).replicate(2)),
                    high.eq(expander.high),
                    present.eq(expander.present),
                ]
                with m.If(decode):
                    m.d.sync += odd.eq(odd ^ expander.writes)
            with m.If(start):
                m.d.sync += odd.eq(0)
        used_up = Signal()
        with m.If(~decoding):
            m.d.comb += [needs.eq(1), takes.eq(complete | used_up)]
        tables: list[Registers] = []
        if config.clustered_weights:
            renew = decode & pair_end & section_end
            tables = self._tables(m, reading, start, fire, unit, used_up, renew)

        self._look_up(m, tables, Mux(decode, enable, 0), address, codes, high, present)
        ending = Signal(WRITE_LATENCY)
        m.d.sync += ending.eq(Cat(finish, ending))
        m.d.comb += [
            self.done.eq(ending[-1] & ~self.outside),
            self.busy.eq(begun | ending.any()),
        ]
        return m

    def _walk(self, m: Module, start: Signal, step: Value) -> tuple[Signal, Signal, Signal]:
        """The address of the pair, and whether it is the last of its section and of the command."""
        job = self.jobs.payload
        address = Signal(ADDRESS_BITS, reset_less=True)
        section = Signal(ADDRESS_BITS, reset_less=True)
        pairs = Signal.like(job.plane_pitch, reset_less=True)
        sections = Signal(PITCH_BITS - 1, reset_less=True)
        blocks = Signal.like(job.rows, reset_less=True)
        section_end, block_end, command_end = Signal(), Signal(), Signal()
        following = Signal(ADDRESS_BITS)
        m.d.comb += [
            section_end.eq(pairs == 1),
            block_end.eq(sections == 1),
            command_end.eq(section_end & block_end & (blocks == 1)),
            following.eq(
                Mux(section_end & ~block_end, section, address) + Mux(section_end, 2, job.row_pitch)
            ),
        ]
        with m.If(start):
            m.d.sync += [
                address.eq(job.base),
                section.eq(job.base),
                pairs.eq(job.plane_pitch),
                sections.eq(job.row_pitch >> 1),
                blocks.eq(job.rows),
            ]
        with m.Elif(step):
            m.d.sync += [address.eq(following), pairs.eq(pairs - 1)]
            with m.If(section_end):
                m.d.sync += [
                    section.eq(following),
                    pairs.eq(job.plane_pitch),
                    sections.eq(Mux(block_end, job.row_pitch >> 1, sections - 1)),
                    blocks.eq(blocks - block_end),
                ]
        return address, section_end, command_end

    def _planes(
        self,
        m: Module,
        unit: Signal,
        start: Signal,
        decode: Signal,
        section_end: Signal,
        codes: Any,
        needs: Signal,
        takes: Signal,
    ) -> None:
        """The codes of a pair, without masks: of each bit a plane of 16.

        A unit has four planes: those of 1, 2 or 4 pairs. Of 3 bits, the fourth planes of three
        units are those of a fourth pair.
        """
        bits = self.jobs.payload.code_bits
        granules = [unit.word_select(i, PAIR) for i in range(4)]
        planes = [Signal(PAIR, name=f"plane{i}") for i in range(4)]
        m.d.comb += [plane.eq(granule) for plane, granule in zip(planes, granules, strict=True)]
        if self.config.clustered_weights:
            phase = Signal(2)
            spare = [Signal(PAIR, name=f"spare{i}", reset_less=True) for i in range(3)]
            used_up = Signal()
            with m.If(decode):
                m.d.sync += phase.eq(Mux(section_end | used_up, 0, phase + 1))
            with m.If(start):
                m.d.sync += phase.eq(0)
            m.d.comb += takes.eq(used_up | section_end)
            with m.Switch(bits):
                with m.Case(1):
                    m.d.comb += [
                        Cat(planes).eq(Array(granules)[phase]),
                        used_up.eq(phase == 3),
                    ]
                with m.Case(2):
                    m.d.comb += [
                        Cat(planes).eq(unit.word_select(phase[0], 2 * PAIR)),
                        used_up.eq(phase[0]),
                    ]
                with m.Case(3):
                    m.d.comb += [planes[3].eq(0), takes.eq(1), used_up.eq(0)]
                    with m.If(phase == 3):
                        m.d.comb += [
                            Cat(planes).eq(Cat(spare)),
                            needs.eq(0),
                            takes.eq(0),
                            used_up.eq(1),
                        ]
                    with m.If(decode):
                        for i, plane in enumerate(spare):
                            with m.If(phase == i):
                                m.d.sync += plane.eq(granules[3])
                with m.Default():
                    m.d.comb += used_up.eq(1)
        m.d.comb += [codes[i].eq(Cat(plane[i] for plane in planes)) for i in range(PAIR)]

    def _tables(
        self,
        m: Module,
        reading: Signal,
        start: Signal,
        fire: Signal,
        unit: Signal,
        used_up: Signal,
        renew: Value,
    ) -> list[Registers]:
        """The tables of both units of a pair, in rows of `ROW` entries; `renew`: those of another
        section follow. A row of each is written in a cycle, and `used_up` says that its unit is.

        Every lane has a copy in LUT RAM: multiplexers of 16 bytes would be much larger.
        """
        job = self.jobs.payload
        channels = job.tables == Tables.CHANNELS
        tables = [Registers(ROW * 8, ENTRIES // ROW, reads=LANES, small=True) for _ in range(2)]
        row = Signal(range(ENTRIES // ROW))
        with m.If(start | (renew & channels)):
            m.d.sync += [reading.eq(job.tables != Tables.NONE), row.eq(0)]
        with m.Elif(reading & fire):
            m.d.sync += row.eq(row + 1)
            with m.If(row[0] & (row[1] | ~job.code_bits[2])):
                m.d.sync += reading.eq(0)
        # a unit has a row of each channel's table, or two of the shared one
        m.d.comb += used_up.eq(channels | row[0])
        chosen = Mux(channels, Cat(0, 1), row[0].replicate(2))
        for half, table in enumerate(tables):
            m.submodules[f"table{half}"] = table
            m.d.comb += [
                table.write_address.eq(row),
                table.write_enable.eq(reading & fire),
                table.write_data.eq(unit.word_select(chosen[half], ROW * 8)),
            ]
        return tables

    def _look_up(
        self,
        m: Module,
        tables: list[Registers],
        enable: Value,
        address: Signal,
        codes: Any,
        high: Any,
        present: Signal,
    ) -> None:
        """From codes to weights, which are written in the cycle after the next."""
        config, job = self.config, self.jobs.payload
        held_codes = Signal.like(codes, reset_less=True)
        held_high = Signal.like(high, reset_less=True)
        held_present = Signal.like(present, reset_less=True)
        held_address = Signal.like(address, reset_less=True)
        held_enable = Signal(2)
        wide = Signal(reset_less=True)
        signed = Signal(reset_less=True)
        m.d.sync += [
            held_codes.eq(codes),
            held_high.eq(high),
            held_present.eq(present),
            held_address.eq(address),
            held_enable.eq(enable),
            wide.eq(job.code_bits[3]),
            signed.eq(job.tables == Tables.NONE),
        ]
        weights: list[Value] = []
        for i in range(PAIR):
            code = held_codes[i]
            # one choice for each encoding that the hardware has
            choices: list[tuple[Value, Value]] = []
            if config.masked_weights:
                choices.append((wide, Cat(code, held_high[i % LANES])))
            if config.int4_weights:
                choices.append((signed, Cat(code, code[3].replicate(4))))
            if tables:
                table = tables[i // LANES]
                row, entry = table.read_address[i % LANES], table.read_data[i % LANES]
                m.d.comb += row.eq(code[2:])
                choices.append((~signed, entry.word_select(code[:2], 8)))
            weight = choices[-1][1]
            for chosen, value in reversed(choices[:-1]):
                weight = Mux(chosen, value, weight)
            weights.append(Mux(held_present[i % LANES], weight, 0))
        outside = Signal()
        m.d.comb += outside.eq(held_address >= config.weight_words * config.channels)
        m.d.sync += [
            self.data.eq(Cat(weights)),
            self.address.eq(held_address),
            self.enable.eq(Mux(outside, 0, held_enable)),
            self.outside.eq(outside & held_enable.any()),
        ]
