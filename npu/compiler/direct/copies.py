"""Copies from one place in the arena to another, with any strides.

A block of elements is cut into runs of bytes that are contiguous at both ends. LOADs gather runs
into the workspace, STOREs scatter them. Where there are no such runs, because rows become columns,
the grid transposes: see `npu.compiler.direct.transpose`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from npu.compiler.direct.transpose import find_turn
from npu.compiler.stream.estimate import ROW_OVERHEAD, TRANSFER_OVERHEAD
from npu.compiler.stream.transfers import ROW_LIMIT, RUN_LIMIT, Gather, Scatter, word_limit
from npu.compiler.terms.direct import DirectContext, DirectWork
from npu.compiler.terms.geometry import ceil_div
from npu.compiler.terms.steps import CommandStep, Step
from npu.compiler.terms.strided import Loop, Strided
from rtl.config import NpuConfig
from rtl.isa import Region

COMMAND_LIMIT = 2048
"""Commands of one copy at most: beyond it, the CPU is as fast."""


@dataclass(frozen=True, slots=True)
class Block:
    """Elements to copy: where they lie in tensor `source`, and where they go in `target`."""

    source: int
    target: int
    reads: Strided
    writes: Strided


@dataclass(frozen=True, slots=True)
class Runs:
    """A block as loops around runs of `length` bytes.

    `rows` is the loop that one command does, `repeats` are those that read the same bytes again.
    """

    outer: tuple[Loop, ...]
    rows: Loop
    repeats: tuple[Loop, ...]
    length: int

    @property
    def commands(self) -> int:
        """LOADs and STOREs, if the workspace is large enough."""
        repeats = 1
        for loop in self.repeats:
            repeats *= loop.count
        chunks = ceil_div(self.rows.count, ROW_LIMIT) * ceil_div(self.length, RUN_LIMIT)
        for loop in self.outer:
            chunks *= loop.count
        return chunks * (1 + repeats)


def find_loops(block: Block) -> list[Loop]:
    """The loops of a block, outermost first; neighbours that make one are joined."""
    loops = [
        Loop(count, read, write)
        for count, read, write in zip(
            block.reads.shape, block.reads.strides, block.writes.strides, strict=True
        )
        if count > 1
    ]
    loops.sort(key=lambda loop: -loop.write)
    joined: list[Loop] = []
    for loop in loops:
        if joined:
            last = joined[-1]
            if (last.read, last.write) == (loop.read * loop.count, loop.write * loop.count):
                joined[-1] = Loop(last.count * loop.count, loop.read, loop.write)
                continue
        joined.append(loop)
    return joined


def find_runs(loops: list[Loop]) -> Runs:
    """The runs of a block, and which loops commands do."""
    rest = list(loops)
    length = 1
    if rest and rest[-1].read == rest[-1].write == 1:
        length = rest.pop().count
    repeats = tuple(loop for loop in rest if loop.read == 0)
    rest = [loop for loop in rest if loop.read]
    forward = [loop for loop in rest if loop.read > 0]
    rows = max(forward, key=lambda loop: loop.count, default=Loop(1, 0, 0))
    return Runs(tuple(loop for loop in rest if loop is not rows), rows, repeats, length)


def command_count(block: Block) -> int:
    """Commands that copy a block takes at least, or those that transpose it."""
    loops = find_loops(block)
    turn = find_turn(loops)
    return turn.commands if turn is not None else find_runs(loops).commands


@dataclass(frozen=True)
class Copy(DirectWork):
    """Copies blocks, one after the other."""

    blocks: tuple[Block, ...]

    def smallest_workspace(self, config: NpuConfig) -> int:
        turns = [find_turn(find_loops(block)) for block in self.blocks]
        return max((turn.smallest_workspace(config) if turn else 2 for turn in turns), default=2)

    def smallest_weights(self, config: NpuConfig) -> int:
        turned = any(find_turn(find_loops(block)) for block in self.blocks)
        return config.lanes**3 if turned else 0

    def cycles(self, words: int, config: NpuConfig) -> float:
        total = 0.0
        for block in self.blocks:
            loops = find_loops(block)
            turn = find_turn(loops)
            total += turn.cycles(config) if turn else _run_cycles(find_runs(loops), config)
        return total

    def steps(self, context: DirectContext, config: NpuConfig) -> Iterator[Step]:
        for block in self.blocks:
            read = context.offsets[block.source] + block.reads.offset
            write = context.offsets[block.target] + block.writes.offset
            loops = find_loops(block)
            turn = find_turn(loops)
            if turn is not None:
                yield from turn.steps(context, read, write, config)
            else:
                yield from _run_steps(find_runs(loops), context, read, write, config)


def _run_cycles(runs: Runs, config: NpuConfig) -> float:
    count = runs.rows.count
    for loop in (*runs.outer, *runs.repeats):
        count *= loop.count
    row = max(ceil_div(runs.length, min(config.lanes, config.bus_bytes)), ROW_OVERHEAD)
    return count * row + runs.commands * TRANSFER_OVERHEAD


def _run_steps(
    runs: Runs, context: DirectContext, read: int, write: int, config: NpuConfig
) -> Iterator[Step]:
    half = context.words // 2
    longest = min(word_limit(config), half) * config.lanes
    longest = min(longest, RUN_LIMIT // config.lanes * config.lanes)
    number = 0
    for indices in product(*(range(loop.count) for loop in runs.outer)):
        pairs = list(zip(indices, runs.outer, strict=True))
        source = read + sum(i * loop.read for i, loop in pairs)
        target = write + sum(i * loop.write for i, loop in pairs)
        for start in range(0, runs.length, longest):
            length = min(longest, runs.length - start)
            most = min(half // ceil_div(length, config.lanes), ROW_LIMIT)
            for first in range(0, runs.rows.count, most):
                count = min(most, runs.rows.count - first)
                base = context.base + number % 2 * half
                number += 1
                gather = Gather(
                    Region.ARENA,
                    source + start + first * runs.rows.read,
                    count,
                    runs.rows.read,
                    length,
                )
                yield CommandStep(context.position, gather.load(base, config))
                for again in product(*(range(loop.count) for loop in runs.repeats)):
                    moved = sum(i * loop.write for i, loop in zip(again, runs.repeats, strict=True))
                    at = target + start + first * runs.rows.write + moved
                    scatter = Scatter(at, count, runs.rows.write, length)
                    yield CommandStep(context.position, scatter.store(base, config))
