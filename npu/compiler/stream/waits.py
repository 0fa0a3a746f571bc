"""Which earlier commands a command must wait for, from the ranges of memory that it touches."""

import enum
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field


class Memory(enum.Enum):
    """What a range belongs to; addresses are in the units of the commands."""

    SCRATCHPAD = "scratchpad"
    WEIGHTS = "weights"
    PARAMETERS = "parameters"
    TABLE = "table"
    ARENA = "arena"


@dataclass(frozen=True, slots=True)
class Access:
    """`count` ranges of `length` units, `pitch` apart, from `start`."""

    memory: Memory
    start: int
    length: int
    count: int = 1
    pitch: int = 0

    def ranges(self) -> Iterable[tuple[int, int]]:
        """The ranges as (first, end), neighbouring ones joined."""
        if self.count == 1 or self.pitch == self.length:
            return [(self.start, self.start + self.length * self.count)]
        starts = (self.start + i * self.pitch for i in range(self.count))
        return [(start, start + self.length) for start in starts]


MOST_RANGES = 32
"""Rows that are tracked one by one; of more, the bytes in between count as touched, too."""


def strided_bytes(offset: int, count: int, stride: int, length: int) -> Access:
    """The bytes of the arena that `count` rows of `length` bytes, `stride` apart, touch."""
    if count == 1 or stride == 0:
        return Access(Memory.ARENA, offset, length)
    if count > MOST_RANGES or stride < length:
        return Access(Memory.ARENA, offset, (count - 1) * stride + length)
    return Access(Memory.ARENA, offset, length, count, stride)


_NOBODY = -1
_END = 1 << 62


@dataclass(slots=True)
class _Piece:
    """Units that have the same last writer and the same readers since."""

    end: int
    writer: int
    readers: list[int] = field(default_factory=list)


class RangeTracker:
    """Last writer and readers of every unit of one memory, as a map of adjacent pieces."""

    def __init__(self) -> None:
        self._starts = [0]
        self._pieces = [_Piece(_END, _NOBODY)]

    def read(self, command: int, start: int, end: int, found: set[int]) -> None:
        """Note a read of `start..end`; adds the commands that wrote there to `found`."""
        self._split(start)
        self._split(end)
        for piece in self._covered(start, end):
            if piece.writer != _NOBODY:
                found.add(piece.writer)
            if not piece.readers or piece.readers[-1] != command:
                piece.readers.append(command)

    def write(self, command: int, start: int, end: int, found: set[int]) -> None:
        """Note a write of `start..end`; adds the commands that wrote or read there to `found`."""
        self._split(start)
        self._split(end)
        for piece in self._covered(start, end):
            if piece.writer != _NOBODY:
                found.add(piece.writer)
            found.update(piece.readers)
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        self._starts[first:last] = [start]
        self._pieces[first:last] = [_Piece(end, command)]

    def _covered(self, start: int, end: int) -> list[_Piece]:
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return self._pieces[first:last]

    def _split(self, at: int) -> None:
        index = bisect_right(self._starts, at) - 1
        piece = self._pieces[index]
        if self._starts[index] == at:
            return
        self._starts.insert(index + 1, at)
        self._pieces.insert(index + 1, _Piece(piece.end, piece.writer, list(piece.readers)))
        piece.end = at
