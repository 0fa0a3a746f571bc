"""Which earlier commands a command must wait for, from the ranges of memory that it touches."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

_NOBODY = -1
_END = 1 << 62


@dataclass(slots=True)
class _Span:
    """Units that have the same last writer and the same readers since."""

    end: int
    writer: int
    readers: list[int] = field(default_factory=list)


class RangeTracker:
    """Last writer and readers of every unit of one memory, as a map of adjacent spans."""

    def __init__(self) -> None:
        self._starts = [0]
        self._spans = [_Span(_END, _NOBODY)]

    def read(self, command: int, start: int, end: int, found: set[int]) -> None:
        """Note a read of `start..end`; adds the commands that wrote there to `found`."""
        self._split(start)
        self._split(end)
        for span in self._covered(start, end):
            if span.writer != _NOBODY:
                found.add(span.writer)
            if not span.readers or span.readers[-1] != command:
                span.readers.append(command)

    def write(self, command: int, start: int, end: int, found: set[int]) -> None:
        """Note a write of `start..end`; adds the commands that wrote or read there to `found`."""
        self._split(start)
        self._split(end)
        for span in self._covered(start, end):
            if span.writer != _NOBODY:
                found.add(span.writer)
            found.update(span.readers)
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        self._starts[first:last] = [start]
        self._spans[first:last] = [_Span(end, command)]

    def _covered(self, start: int, end: int) -> list[_Span]:
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return self._spans[first:last]

    def _split(self, at: int) -> None:
        index = bisect_right(self._starts, at) - 1
        span = self._spans[index]
        if self._starts[index] == at:
            return
        self._starts.insert(index + 1, at)
        self._spans.insert(index + 1, _Span(span.end, span.writer, list(span.readers)))
        span.end = at
