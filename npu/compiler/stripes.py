"""In how many stripes of rows an operator runs, and what its buffers hold."""

import enum
from dataclasses import dataclass

from npu.compiler.estimate import (
    COMMAND_CYCLES,
    MEMORY_CYCLES,
    add_cycles,
    grid_cycles,
    transfer_cycles,
)
from npu.compiler.layout import Fold
from npu.compiler.pieces import constant_bytes
from npu.compiler.tasks import AddTask, Extent, LoweredOperator, ceil_div
from rtl.config import NpuConfig


class Residence(enum.Enum):
    """How an operator reaches one of its maps.

    RESIDENT: in the scratchpad for the map's whole life. WHOLE: a copy of the whole map, only
    for this operator. STRIPES: some rows at a time, in one or several buffers.
    """

    RESIDENT = "resident"
    WHOLE = "whole"
    STRIPES = "stripes"


@dataclass(frozen=True)
class Operand:
    """A map as an operator uses it.

    Parameters
    ----------
    tensor : whose bytes it is.
    external : the map as it lies in the arena.
    extent : the map as it lies in the scratchpad; another one if a LOAD folds it.
    fold : how a LOAD folds it, if it does.
    residence : see `Residence`.
    buffers, rows : the operator's own buffers for it, and the rows that each holds.
    """

    tensor: int
    external: Extent
    extent: Extent
    fold: Fold | None = None
    residence: Residence = Residence.RESIDENT
    buffers: int = 0
    rows: int = 0

    def row_words(self, config: NpuConfig) -> int:
        """Scratchpad words of one row."""
        return self.extent.planes(config.lanes) * self.extent.width

    def buffer_words(self, config: NpuConfig) -> int:
        """Scratchpad words of one of the operator's own buffers."""
        return self.rows * self.row_words(config)


@dataclass(frozen=True, eq=False)
class OperatorPlan:
    """How an operator runs: stripes of output rows `(first, end)`, in order."""

    op: LoweredOperator
    inputs: tuple[Operand, ...]
    output: Operand
    stripes: tuple[tuple[int, int], ...]


Choice = tuple[float, int, int, Residence]
"""Estimated cycles, rows per stripe, buffers, residence of inputs."""


def plan_operator(
    op: LoweredOperator,
    inputs: tuple[Operand, ...],
    output: Operand,
    streamed: frozenset[int],
    budget: int,
    config: NpuConfig,
) -> OperatorPlan | None:
    """The fastest way to run `op` with at most `budget` words of own buffers; None if none fits.

    `streamed` are the tensors in the arena; the other operands are resident.
    """
    sources = [o for o in inputs if o.tensor in streamed]
    spills = output.tensor in streamed
    height = op.ofm.height
    if not sources and not spills:
        return OperatorPlan(op, inputs, output, ((0, height),))
    best: Choice | None = None
    for rows in sorted({ceil_div(height, n) for n in range(1, height + 1)}, reverse=True):
        for residence in (Residence.WHOLE, Residence.STRIPES) if sources else (Residence.STRIPES,):
            for buffers in (2, 1):
                words = _buffer_words(op, sources, output, spills, rows, residence, buffers, config)
                if words <= budget:
                    stripes = split_rows(height, rows)
                    cycles = _cycles(
                        op, sources, output, spills, stripes, residence, buffers, config
                    )
                    if best is None or cycles < best[0]:
                        best = cycles, rows, buffers, residence
    if best is None:
        return None
    _, rows, buffers, residence = best
    stripes = split_rows(height, rows)
    return OperatorPlan(
        op,
        tuple(
            _placed(o, residence, buffers, _input_rows(op, stripes)) if o in sources else o
            for o in inputs
        ),
        _placed(output, Residence.STRIPES, buffers, rows) if spills else output,
        stripes,
    )


def split_rows(height: int, rows: int) -> tuple[tuple[int, int], ...]:
    """Rows `0..height` in stripes of `rows`, the last one possibly shorter."""
    return tuple((first, min(first + rows, height)) for first in range(0, height, rows))


def smallest_working_set(op: LoweredOperator, config: NpuConfig) -> int:
    """Scratchpad words that `op` needs at least: one output row and the input rows for it."""
    rows = _input_rows(op, split_rows(op.ofm.height, 1))
    inputs = len(op.sources) * rows * op.ifm.width * op.ifm.planes(config.lanes)
    return inputs + op.ofm.width * op.ofm.planes(config.lanes)


def compute_cycles(op: LoweredOperator, y0: int, y1: int, config: NpuConfig) -> int:
    """Estimated cycles of computing output rows `y0..y1`, without the overhead of commands."""
    total = 0
    for task in op.tasks:
        if isinstance(task, AddTask):
            total += add_cycles(op.ofm.planes(config.lanes) * op.ofm.width * (y1 - y0), config)
            continue
        rows = min(y1, task.region.y1) - max(y0, task.region.y0)
        if rows > 0:
            words = task.ofm.planes(config.lanes)
            total += grid_cycles(
                task,
                rows=rows,
                columns=task.region.x1 - task.region.x0,
                words=words,
                depth=words * config.groups_per_word,
                planes=ceil_div(task.ifm.planes(config.lanes), task.groups),
                config=config,
            )
    return total


def _placed(operand: Operand, residence: Residence, buffers: int, rows: int) -> Operand:
    if residence == Residence.WHOLE:
        buffers, rows = 1, operand.extent.height
    return Operand(
        operand.tensor, operand.external, operand.extent, operand.fold, residence, buffers, rows
    )


def _input_rows(op: LoweredOperator, stripes: tuple[tuple[int, int], ...]) -> int:
    spans = [op.input_rows(*stripe) for stripe in stripes]
    return max(end - first for first, end in spans)


def _buffer_words(
    op: LoweredOperator,
    sources: list[Operand],
    output: Operand,
    spills: bool,
    rows: int,
    residence: Residence,
    buffers: int,
    config: NpuConfig,
) -> int:
    stripes = split_rows(op.ofm.height, rows)
    held = _input_rows(op, stripes)
    words = sum(
        _placed(o, residence, buffers, held).buffers
        * _placed(o, residence, buffers, held).buffer_words(config)
        for o in sources
    )
    return words + (buffers * rows * output.row_words(config) if spills else 0)


def _cycles(
    op: LoweredOperator,
    sources: list[Operand],
    output: Operand,
    spills: bool,
    stripes: tuple[tuple[int, int], ...],
    residence: Residence,
    buffers: int,
    config: NpuConfig,
) -> float:
    count = len(stripes)
    spans = [op.input_rows(*stripe) for stripe in stripes]
    rows = op.ifm.height
    if residence == Residence.STRIPES:
        rows = sum(end - first for first, end in spans)
    load = sum(
        transfer_cycles(
            rows * o.external.width * o.external.channels, rows * o.row_words(config), config
        )
        for o in sources
    )
    load += count * len(sources) * (MEMORY_CYCLES + COMMAND_CYCLES)
    weights, parameters = constant_bytes(op, config)
    if weights > config.weight_buffer_kib * 1024 and count > 1:
        load += (count - 1) * (weights + parameters) // config.bus_bytes
    compute = sum(compute_cycles(op, *stripe, config) + COMMAND_CYCLES for stripe in stripes)
    store = 0
    if spills:
        size = op.ofm.height * output.row_words(config)
        store = transfer_cycles(op.ofm.size, size, config)
        store += count * (MEMORY_CYCLES + COMMAND_CYCLES)
    if buffers == 1 and residence == Residence.STRIPES and count > 1:
        return load + compute + store
    return max(load, compute, store) + (load + store) / count
