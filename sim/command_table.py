"""A command stream as tables: one record array per opcode, for vectorized and compiled use."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from numpy.typing import NDArray

from rtl.isa import BEAT_BITS, COMMANDS, Command, CommandFormat, Engine, Opcode
from rtl.registers import ErrorCode

Records = NDArray[Any]
"""A structured array with an int64 member for every field of a command format."""

_OPCODES = {int(opcode): opcode for opcode in Opcode}


@dataclass(frozen=True, eq=False)
class CommandTable:
    """All commands up to END, or up to the first that cannot be decoded.

    Attributes
    ----------
    opcodes : int64 `[commands]`.
    rows : int64 `[commands]`, the command's row in `records[opcode]`.
    records : for each opcode that occurs, its commands' fields.
    reserved : for each opcode that occurs, bool `[rows]`: a reserved bit or flag is set.
    error : why decoding ended before END (NONE if it did not), at command `len(opcodes)`.
    """

    opcodes: NDArray[np.int64]
    rows: NDArray[np.int64]
    records: dict[Opcode, Records]
    reserved: dict[Opcode, NDArray[np.bool_]]
    error: ErrorCode

    def __len__(self) -> int:
        return len(self.opcodes)

    def command(self, index: int) -> Command:
        """One command by its index in the stream."""
        opcode = Opcode(int(self.opcodes[index]))
        record = self.records[opcode][self.rows[index]]
        return Command(opcode, {name: int(record[name]) for name in record.dtype.names})

    def engine(self, index: int) -> Engine:
        """The engine that executes a command."""
        return COMMANDS[Opcode(int(self.opcodes[index]))].engine


@cache
def record_type(opcode: Opcode) -> np.dtype[Any]:
    """The record of a command format: int64 members named as its fields."""
    return np.dtype([(name, np.int64) for name in COMMANDS[opcode].fields])


def decode_table(stream: NDArray[np.uint64]) -> CommandTable:
    """Decode a command stream, uint64 `[beats]`. Never raises: see `CommandTable.error`."""
    starts: dict[Opcode, list[int]] = {}
    opcodes: list[int] = []
    rows: list[int] = []
    first_bytes = (stream & np.uint64(0xFF)).tolist()
    lengths = {number: COMMANDS[opcode].beats for number, opcode in _OPCODES.items()}
    position, error = 0, ErrorCode.TRUNCATED_STREAM
    while position < len(first_bytes):
        number = first_bytes[position]
        if number not in lengths:
            error = ErrorCode.ILLEGAL_OPCODE
            break
        if position + lengths[number] > len(first_bytes):
            break
        of_opcode = starts.setdefault(_OPCODES[number], [])
        opcodes.append(number)
        rows.append(len(of_opcode))
        of_opcode.append(position)
        position += lengths[number]
        if number == Opcode.END:
            error = ErrorCode.NONE
            break
    records: dict[Opcode, Records] = {}
    reserved: dict[Opcode, NDArray[np.bool_]] = {}
    for opcode, positions in starts.items():
        fmt = COMMANDS[opcode]
        beats = stream[np.array(positions)[:, None] + np.arange(fmt.beats)]
        records[opcode], reserved[opcode] = _extract(fmt, beats)
    return CommandTable(
        np.array(opcodes, dtype=np.int64), np.array(rows, dtype=np.int64), records, reserved, error
    )


@cache
def _members(opcode: Opcode) -> tuple[tuple[str, int, int, int, bool], ...]:
    """Name, beat, first bit, width and signedness of every member of a command format."""
    members = []
    for name, member in COMMANDS[opcode].layout:
        shape = Shape.cast(member.shape)
        members.append((name, *divmod(member.offset, BEAT_BITS), shape.width, shape.signed))
    return tuple(members)


def _extract(fmt: CommandFormat, beats: NDArray[np.uint64]) -> tuple[Records, NDArray[np.bool_]]:
    """Cut the fields out of uint64 `[commands, beats]`; no field crosses a beat."""
    records = np.zeros(len(beats), dtype=record_type(fmt.opcode))
    reserved = np.zeros(len(beats), dtype=np.bool_)
    for name, beat, bit, width, signed in _members(fmt.opcode):
        spare = BEAT_BITS - width
        # shifted to the top first, so that an arithmetic shift down extends the sign
        top = beats[:, beat] << np.uint64(spare - bit)
        if name in fmt.fields:
            if signed:
                records[name] = top.view(np.int64) >> spare
            else:
                records[name] = (top >> np.uint64(spare)).astype(np.int64)
        elif name != "opcode":
            reserved |= top >> np.uint64(spare) != 0
    return records, reserved
