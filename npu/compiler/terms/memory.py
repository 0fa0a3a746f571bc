"""Ranges of memory that a command touches."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Memory(enum.Enum):
    """What a range belongs to; addresses are in the units of the commands."""

    SCRATCHPAD = "scratchpad"
    WEIGHTS = "weights"
    PARAMETERS = "parameters"
    TABLE = "table"
    LIST = "step list"
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
