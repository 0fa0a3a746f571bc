"""In how many stripes of rows operators run, and what their buffers hold.

Operators run alone or as a group: a chain of operators that follow each other and run stripe by
stripe together. The maps between them then exist a few rows at a time, and rows that
neighbouring stripes share are computed twice.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

from npu.compiler.stream.estimate import grid_cycles
from npu.compiler.stream.folding import Fold, choose_fold, folded
from npu.compiler.terms.geometry import NO_MAP, Extent, Place, PlacePart, Rows, ceil_div
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.tasks import ElementwiseTask, GridTask
from rtl.config import NpuConfig


class Residence(enum.Enum):
    """How an operator reaches one of its maps.

    RESIDENT: in the scratchpad for the map's whole life. LOCAL: between the operators of a group,
    some rows at a time. WHOLE: a copy of a whole map in the arena. STRIPES: some rows of a map in
    the arena at a time, in one or several buffers.
    """

    RESIDENT = "resident"
    LOCAL = "local"
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
    place : where it lies in the tensor.
    residence : see `Residence`.
    buffers, rows : the operator's own buffers for it, and the rows that each holds; those of a
        LOCAL map belong to the operator that writes it.
    """

    tensor: int
    external: Extent
    extent: Extent
    place: Place
    fold: Fold | None = None
    residence: Residence = Residence.RESIDENT
    buffers: int = 0
    rows: int = 0

    @property
    def in_arena(self) -> bool:
        """Whether it is loaded or stored rather than accessed where it lies."""
        return self.residence in (Residence.WHOLE, Residence.STRIPES)

    @property
    def parts(self) -> tuple[PlacePart, ...]:
        """The maps that it consists of in the arena."""
        return self.place.parts or (PlacePart(self.tensor, self.external.channels, self.place),)

    def streamed(self, streamed: frozenset[int]) -> bool:
        """Whether it is reached in the arena, where the tensors `streamed` lie."""
        return self.tensor in streamed or not self.place.on_chip

    def row_words(self, config: NpuConfig) -> int:
        """Scratchpad words of one row."""
        return self.extent.planes(config.lanes) * self.extent.width

    def buffer_words(self, config: NpuConfig) -> int:
        """Scratchpad words of one of its buffers."""
        return self.rows * self.row_words(config)


@dataclass(frozen=True, eq=False)
class Member:
    """An operator with its operands."""

    op: LoweredOperator
    inputs: tuple[Operand, ...]
    output: Operand

    def operands(self) -> dict[int, Operand]:
        """The operands by number; -1 is the output."""
        return {**dict(enumerate(self.inputs)), -1: self.output}


@dataclass(frozen=True, eq=False)
class GroupPlan:
    """How a group runs: stripes of the last member's output rows, in order.

    `first` is the position of the first member in the segment, `cycles` an estimate, `workspace`
    the words of direct work, which is a group of its own and has no stripes.
    """

    first: int
    members: tuple[Member, ...]
    stripes: tuple[Rows, ...]
    cycles: float
    workspace: int = 0

    def partial(self) -> frozenset[int]:
        """Local maps of which some rows are never computed, because nothing needs them."""
        made = dict.fromkeys((m.op.target for m in self.members), 0)
        gaps: set[int] = set()
        for stripe in self.stripes:
            for member, (low, high) in zip(
                self.members, row_demand(self.members, stripe), strict=True
            ):
                if low > made[member.op.target]:
                    gaps.add(member.op.target)
                made[member.op.target] = max(made[member.op.target], high)
        short = {
            m.op.target
            for m in self.members
            if m.op.direct is None and made[m.op.target] < m.op.ofm.height
        }
        return frozenset(gaps | short)


def make_member(op: LoweredOperator, external: frozenset[int], config: NpuConfig) -> Member:
    """`op` with its operands, all RESIDENT as yet; an input from outside is folded if it helps."""
    fold: Fold | None = None
    held = op.source_extents
    if op.direct is not None:
        return Member(op, (), Operand(op.target, NO_MAP, NO_MAP, op.target_at))
    task, places = op.tasks[0], op.sources_at
    dense = places[0].pixel_stride == held[0].channels or held[0].width == 1
    dense = dense and not places[0].parts
    loaded = op.sources[0] in external or not places[0].on_chip
    if len(op.tasks) == 1 and isinstance(task, GridTask) and loaded and dense:
        fold = choose_fold(task, config)
        if fold is not None:
            op = replace(op, tasks=(folded(task, fold),))
    inputs = tuple(
        Operand(tensor, external, extent, place, fold)
        for tensor, external, extent, place in zip(
            op.sources, held, op.source_extents, places, strict=True
        )
    )
    return Member(op, inputs, Operand(op.target, op.ofm, op.ofm, op.target_at))


def row_demand(members: Sequence[Member], stripe: Rows) -> list[Rows]:
    """The output rows that each member has to compute for a stripe of the last one's."""
    demand: dict[int, Rows] = {members[-1].op.target: stripe}
    for member in reversed(members):
        rows = demand[member.op.target]
        for number, tensor in enumerate(member.op.sources):
            span = member.op.input_rows(number, rows)
            low, high = demand.get(tensor, span)
            demand[tensor] = min(low, span[0]), max(high, span[1])
    return [demand[member.op.target] for member in members]


def split_rows(height: int, rows: int) -> tuple[Rows, ...]:
    """Rows `0..height` in stripes of `rows`, the last one possibly shorter."""
    return tuple((first, min(first + rows, height)) for first in range(0, height, rows))


def smallest_working_set(op: LoweredOperator, config: NpuConfig) -> int:
    """Scratchpad words that `op` needs at least: one output row and the input rows for it."""
    if op.direct is not None:
        return op.direct.smallest_workspace(config)
    words = op.ofm.width * op.ofm.planes(config.lanes)
    for number, extent in enumerate(op.source_extents):
        spans = [op.input_rows(number, (y, y + 1)) for y in range(op.ofm.height)]
        rows = max(end - first for first, end in spans)
        words += rows * extent.width * extent.planes(config.lanes)
    return words


def compute_cycles(op: LoweredOperator, rows: Rows, config: NpuConfig) -> int:
    """Estimated cycles of computing output rows, without the overhead of commands."""
    total = 0
    for task in op.tasks:
        if isinstance(task, ElementwiseTask):
            total += op.ofm.planes(config.lanes) * op.ofm.width * (rows[1] - rows[0])
            continue
        count = min(rows[1], task.area.y1) - max(rows[0], task.area.y0)
        if count > 0:
            words = task.ofm.planes(config.lanes)
            total += grid_cycles(
                task,
                rows=count,
                columns=task.area.x1 - task.area.x0,
                words=words,
                depth=words * config.groups_per_word,
                planes=ceil_div(task.ifm.planes(config.lanes), task.groups),
                config=config,
            )
    return total
