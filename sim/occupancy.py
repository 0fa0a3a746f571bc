"""How much of the scratchpad holds something that is still needed, over time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtl.isa import ADDRESS_BITS, Engine, Opcode
from sim.accesses import Runs, scratchpad_reads, scratchpad_writes
from sim.command_table import decode_table
from sim.program import Program
from sim.result import TraceEvent

_ADDRESS_MASK = (1 << ADDRESS_BITS) - 1


class Lives(NamedTuple):
    """Words that ceased to be in use, int64 `[words]` each.

    Attributes
    ----------
    addresses : of the words. writers : the command that had written each.
    begin, end : cycles since when, and until when, it was in use.
    """

    addresses: NDArray[np.int64]
    writers: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]


def scratchpad_lives(program: Program, events: Sequence[TraceEvent]) -> Iterator[Lives]:
    """What the scratchpad held, and for how long; every life of every word is in one of these.

    A word is in use from the start of the command that writes it until the end of the last one
    that reads it before it is written again.

    Parameters
    ----------
    program : what ran. events : start and completion of all of its commands.
    """
    table = decode_table(program.commands)
    starts = np.zeros(len(table) + 1, dtype=np.int64)
    ends = np.zeros(len(table) + 1, dtype=np.int64)
    for event in events:
        (starts if event.start else ends)[event.command] = event.cycle
    words = program.config.scratchpad_words
    writer = np.full(words, -1, dtype=np.int64)
    until = np.zeros(words, dtype=np.int64)

    def ended(addresses: NDArray[np.int64]) -> Lives:
        """What was in these words is no longer needed."""
        used = addresses[writer[addresses] >= 0]
        return Lives(used, writer[used], starts[writer[used]], until[used])

    for index in range(len(table)):
        if table.engine(index) == Engine.CONTROL:
            continue
        opcode = Opcode(int(table.opcodes[index]))
        record = table.records[opcode][table.rows[index]]
        for read in scratchpad_reads(program.config, opcode, record):
            used = _addresses(read, words)
            until[used] = np.maximum(until[used], ends[index])
        written = _addresses(scratchpad_writes(program.config, opcode, record), words)
        yield ended(written)
        writer[written] = index
        until[written] = ends[index]
    yield ended(np.arange(words))


def scratchpad_occupancy(program: Program, events: Sequence[TraceEvent]) -> list[tuple[int, int]]:
    """Words in use, as (cycle, words) wherever the number changes, in time order.

    See `scratchpad_lives` for the parameters, and for what is in use.
    """
    changes: Counter[int] = Counter()
    for lives in scratchpad_lives(program, events):
        pairs, counts = np.unique(np.stack([lives.begin, lives.end]), axis=1, return_counts=True)
        for (begin, end), count in zip(pairs.T.tolist(), counts.tolist(), strict=True):
            changes[begin] += count
            changes[end] -= count
    total = 0
    result: list[tuple[int, int]] = []
    for cycle, change in sorted(changes.items()):
        if change:
            total += change
            result.append((cycle, total))
    return result


def _addresses(runs: Runs, words: int) -> NDArray[np.int64]:
    """All words of intervals, each once; those that do not exist are left out."""
    lengths = runs[:, 1]
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    addresses = np.unique((np.repeat(runs[:, 0], lengths) + offsets) & _ADDRESS_MASK)
    return addresses[addresses < words]
