"""The streams of encoded weights: what `rtl.weight_decoder.WeightDecoder` reads, written and read.

`rtl/ARCHITECTURE.md` describes them. One walk over a stream serves the compiler, which writes it,
the functional simulator, which reads it, and the cycle model, which needs what the decoder does in
each of its cycles.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtl.errors import EncodingError
from rtl.isa import Tables
from sim.jit import entry, jit

UNIT_BYTES = 8
"""Bytes of a unit, encoded or decoded: what hardware with a decoder has as `lanes`."""

TABLE_ENTRIES = 16
"""Entries of a table for codes of 4 bits; those for fewer bits have half of them."""

NEEDS, TAKES = 1, 2
"""What the decoder does in a cycle, bits: it waits for a unit, unless none is left; it takes it."""

_NONE, _SHARED, _CHANNELS = map(int, Tables)
_ROW = 4
"""Entries of a table that the decoder takes in a cycle."""

_MASKS = 8
"""Masks in a unit: one byte for each decoded unit."""

_WALK = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("bits", "tables", "masked", "pitch", "pairs", "blocks"),
            *("capacity", "table_units", "write"),
            *("used", "count", "misfits", "table", "phase"),
            *("held", "current", "following", "place"),
            *("values", "before", "position"),
        )
    ]
)
"""Where a walk is: of what `Encoding` says, and derived from it; whether the stream is written;
units used and cycles counted, weights without a code.

table : the first unit of the tables. phase : which pair of those that share units.
held : units of masks that are held, `current` in use, `following`; `place` of the mask in it.
values : the unit whose codes are used up, `position` of the next one in it; `before` : the one
before, when a decoded unit takes codes of both. `capacity` : codes in a unit.
"""


@dataclass(frozen=True)
class Encoding:
    """How weights are encoded, and where they go.

    Attributes
    ----------
    code_bits : 1 to 4, or 8 for values as they are (only with `masked`).
    tables : what codes stand for; NONE: themselves, signed.
    masked : a bit for every weight says which are not zero; only these have codes.
    pitch : units from one pair of units of a section to the next; half as many sections in a block.
    pairs : pairs of a section. blocks : blocks, one behind the other.
    """

    code_bits: int
    tables: Tables
    masked: bool
    pitch: int
    pairs: int
    blocks: int = 1

    @property
    def units(self) -> int:
        """Units of `UNIT_BYTES` weights that are decoded."""
        return self.blocks * self.pitch * self.pairs

    @property
    def sections(self) -> int:
        """Sections in all."""
        return self.blocks * self.pitch // 2

    @property
    def table_units(self) -> int:
        """Units of one table."""
        return TABLE_ENTRIES // UNIT_BYTES if self.code_bits == 4 else 1

    @property
    def table_cycles(self) -> int:
        """Cycles in which tables are read."""
        sections = {Tables.NONE: 0, Tables.SHARED: 1, Tables.CHANNELS: self.sections}
        return sections[self.tables] * self.table_units * UNIT_BYTES // _ROW

    @property
    def most_cycles(self) -> int:
        """Cycles of the decoder at most, besides those in which it drops what is left over."""
        # of masks, one for eight units and the first
        return self.table_cycles + self.units + self.units // _MASKS + 2

    def section_units(self, weights: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Weights in the order of the stream, `[sections, pairs, 2, UNIT_BYTES]`, from `[units,
        UNIT_BYTES]` in the order of addresses."""
        split = weights.reshape(self.blocks, self.pairs, self.pitch // 2, 2, UNIT_BYTES)
        return split.transpose(0, 2, 1, 3, 4).reshape(self.sections, self.pairs, 2, UNIT_BYTES)


class Decoded(NamedTuple):
    """Units in the order of addresses, uint8 `[units, UNIT_BYTES]`, and what the decoder does,
    uint8 `[cycles]` of `NEEDS` and `TAKES`."""

    weights: NDArray[np.uint8]
    cycles: NDArray[np.uint8]


def encode_weights(weights: NDArray[np.uint8], encoding: Encoding) -> NDArray[np.uint8]:
    """The stream for weights `[units, UNIT_BYTES]`, in the order of addresses; flat bytes.

    Raises
    ------
    EncodingError : more values than a table has entries, or one that its code cannot hold.
    """
    ordered = encoding.section_units(weights)
    tables = _tables(ordered, encoding)
    # besides what decoding takes: every weight may need its own byte
    stream = np.zeros((encoding.most_cycles + encoding.units, UNIT_BYTES), np.uint8)
    cycles = np.zeros(encoding.most_cycles, np.uint8)
    walk = _start(encoding, write=True)
    _walk(walk, stream, weights, cycles, tables)
    if walk["misfits"][0]:
        raise EncodingError(f"weights that are no {encoding.code_bits}-bit integers")
    # behind its end a stream is zero
    content = np.flatnonzero(stream.any(axis=1))
    size = int(content[-1]) + 1 if len(content) else 1
    return stream[: -(-size // encoding.blocks) * encoding.blocks].reshape(-1)


def decode_weights(stream: NDArray[np.uint8], encoding: Encoding) -> Decoded:
    """What the decoder makes of a stream, flat bytes: whatever they are."""
    units = np.array(stream, np.uint8).reshape(-1, UNIT_BYTES)
    weights = np.zeros((encoding.units, UNIT_BYTES), np.uint8)
    cycles = np.zeros(encoding.most_cycles + len(units), np.uint8)
    unused = np.zeros((1, TABLE_ENTRIES), np.uint8)
    walk = _start(encoding, write=False)
    _walk(walk, units, weights, cycles, unused)
    count = int(walk["count"][0])
    left = max(len(units) - int(walk["used"][0]), 0)
    cycles[count : count + left] = NEEDS | TAKES
    return Decoded(weights, cycles[: count + left])


def _start(encoding: Encoding, *, write: bool) -> NDArray[Any]:
    """A walk at its beginning, `_WALK` `[1]`."""
    walk = np.zeros(1, _WALK)
    four = encoding.code_bits == 4
    walk["bits"], walk["tables"], walk["masked"] = (
        encoding.code_bits,
        encoding.tables,
        encoding.masked,
    )
    walk["pitch"], walk["pairs"], walk["blocks"] = encoding.pitch, encoding.pairs, encoding.blocks
    walk["capacity"] = 2 * UNIT_BYTES if four else UNIT_BYTES
    walk["table_units"] = encoding.table_units
    walk["write"] = write
    walk["values"] = -1
    return walk


def _tables(ordered: NDArray[np.uint8], encoding: Encoding) -> NDArray[np.uint8]:
    """The values that codes stand for, `[tables, TABLE_ENTRIES]`; unused entries repeat the last.

    `ordered` is `[sections, pairs, 2, UNIT_BYTES]`.
    """
    groups = [ordered]
    if encoding.tables == Tables.CHANNELS:
        groups = [section[:, half] for section in ordered for half in range(2)]
    tables = np.zeros((len(groups), TABLE_ENTRIES), np.uint8)
    if encoding.tables == Tables.NONE:
        return tables
    entries = 1 << encoding.code_bits
    for table, group in zip(tables, groups, strict=True):
        values = np.unique(group)
        if encoding.masked:
            values = values[values != 0]
        if len(values) > entries:
            raise EncodingError(
                f"{len(values)} different weights, where a table has {entries} entries"
            )
        if len(values):
            table[: len(values)] = values
            table[len(values) :] = values[-1]
    return tables


@jit
def _bit(stream: Any, unit: int, granule: int, bit: int) -> int:
    """A bit of one of the four 16-bit granules of a unit; behind its end a stream is zero."""
    if unit >= stream.shape[0]:
        return 0
    return int(stream[unit, 2 * granule + (bit >> 3)] >> (bit & 7) & 1)


@jit
def _byte(stream: Any, unit: int, byte: int) -> int:
    return int(stream[unit, byte]) if unit < stream.shape[0] else 0


@jit
def _code_of(w: Any, value: int, entries: Any, table: int) -> int:
    """The code of a weight; -1 if there is none."""
    if w.bits == 8:
        return value
    if w.tables == _NONE:
        limit = 1 << (w.bits - 1)
        signed = value - 256 if value >= 128 else value
        return int(signed & (2 * limit - 1)) if -limit <= signed < limit else -1
    for code in range(1 << w.bits):
        if entries[table, code] == value:
            return code
    return -1


@jit
def _value_of(w: Any, stream: Any, code: int, half: int) -> int:
    """The weight that a code stands for in the first or second unit of a pair."""
    if w.bits == 8:
        return code
    if w.tables == _NONE:
        limit = 1 << (w.bits - 1)
        return int(((code ^ limit) - limit) & 0xFF)
    if w.tables == _CHANNELS:
        return _byte(stream, w.table + code // _ROW, _ROW * half + code % _ROW)
    return _byte(stream, w.table + code // UNIT_BYTES, code % UNIT_BYTES)


@jit
def _cycle(w: Any, cycles: Any, what: int) -> None:
    """The decoder works for a cycle."""
    cycles[w.count] = what
    w.count += 1
    if what & TAKES:
        w.used += 1


@jit
def _read_tables(w: Any, stream: Any, cycles: Any, entries: Any, section: int) -> None:
    """The tables in front of a section: a row of `_ROW` entries of both in a cycle."""
    if w.tables == _NONE or (w.tables == _SHARED and section > 0):
        return
    w.table = w.used
    channels = w.tables == _CHANNELS
    for row in range(w.table_units * UNIT_BYTES // _ROW):
        # a unit has a row of each channel's table, or two of the shared one
        half = 0 if channels else row & 1
        if w.write:
            for k in range(_ROW):
                first = 2 * section if channels else 0
                stream[w.used, _ROW * half + k] = entries[first, _ROW * row + k]
                if channels:
                    stream[w.used, _ROW + k] = entries[first + 1, _ROW * row + k]
        _cycle(w, cycles, NEEDS | TAKES if channels or half else NEEDS)


@jit
def _start_pair(w: Any, cycles: Any, last: bool) -> None:
    """The codes of a pair of units, without masks; `last` of its section.

    Units hold the codes of 4, 2 or 1 pairs of 1, 2 or 4 bits. Of 3 bits, three units hold those of
    four pairs.
    """
    if w.bits == 3 and w.phase == 3:
        _cycle(w, cycles, 0)
        return
    if w.bits >= 3 or w.phase == 0:
        w.values = w.used
    used_up = w.bits >= 3 or last or w.phase == (1 if w.bits == 2 else 3)
    _cycle(w, cycles, NEEDS | TAKES if used_up else NEEDS)


@jit
def _place_of_bit(w: Any, plane: int) -> tuple[int, int]:
    """Unit and granule of a bit of the codes of a pair, without masks."""
    unit, granule = w.values, plane
    if w.bits == 3 and w.phase == 3:
        unit, granule = w.values - 2 + plane, 3
    elif w.bits < 3:
        granule = w.bits * w.phase + plane
    return unit, granule


@jit
def _next_mask(w: Any, stream: Any, weights: Any, cycles: Any, address: int) -> int:
    """The mask of a decoded unit; a unit of codes, or the next one of masks, is taken with it."""
    if w.held == 0:
        w.current, w.held = w.used, 1
        _cycle(w, cycles, NEEDS | TAKES)
    mask = count = 0
    if w.write:
        for lane in range(UNIT_BYTES):
            if weights[address, lane] != 0:
                mask |= 1 << lane
        stream[w.current, w.place] = mask
    else:
        mask = _byte(stream, w.current, w.place)
    for lane in range(UNIT_BYTES):
        count += mask >> lane & 1
    if w.values < 0 or w.position == w.capacity:
        needed = count > 0
        w.position = w.capacity
    else:
        needed = w.position + count > w.capacity
    w.before = w.values
    what = 0
    if needed:
        w.values, what = w.used, NEEDS | TAKES
        w.position -= w.capacity
    elif w.held == 1:
        w.following, w.held, what = w.used, 2, NEEDS | TAKES
    _cycle(w, cycles, what)
    w.place += 1
    if w.place == _MASKS:
        w.place, w.current, w.held = 0, w.following, w.held - 1
    return mask


@jit
def _weight(
    w: Any, stream: Any, weights: Any, entries: Any, address: int, lane: int, section: int
) -> None:
    """One weight, whose code is next."""
    half = address & 1
    code = 0
    if w.write:
        table = 2 * section + half if w.tables == _CHANNELS else 0
        code = _code_of(w, int(weights[address, lane]), entries, table)
        if code < 0:
            w.misfits += 1
            code = 0
    for plane in range(w.bits):
        if w.masked:
            unit = w.values if w.position >= 0 else w.before
            granule, bit = plane & 3, w.position + 8 * (plane >> 2)
            if w.position < 0:
                bit += w.capacity
        else:
            unit, granule = _place_of_bit(w, plane)
            bit = 8 * half + lane
        if w.write:
            stream[unit, 2 * granule + (bit >> 3)] |= np.uint8((code >> plane & 1) << (bit & 7))
        else:
            code |= _bit(stream, unit, granule, bit) << plane
    if w.masked:
        w.position += 1
    if not w.write:
        weights[address, lane] = _value_of(w, stream, code, half)


@entry
def _walk(
    walk: NDArray[Any],
    stream: NDArray[np.uint8],
    weights: NDArray[np.uint8],
    cycles: NDArray[np.uint8],
    entries: NDArray[np.uint8],
) -> None:
    """Read a stream into `weights`, or write it from them and the tables' `entries`."""
    w = walk[0]
    for section in range(w.blocks * w.pitch // 2):
        block, column = divmod(2 * section, w.pitch)
        _read_tables(w, stream, cycles, entries, section)
        w.phase = 0
        for pair in range(w.pairs):
            address = (block * w.pairs + pair) * w.pitch + column
            if not w.masked:
                _start_pair(w, cycles, pair == w.pairs - 1)
            for half in range(2):
                mask = 0xFF
                if w.masked:
                    mask = _next_mask(w, stream, weights, cycles, address + half)
                for lane in range(UNIT_BYTES):
                    if mask >> lane & 1:
                        _weight(w, stream, weights, entries, address + half, lane, section)
            if w.bits < 4:
                w.phase = (w.phase + 1) & (1 if w.bits == 2 else 3)
