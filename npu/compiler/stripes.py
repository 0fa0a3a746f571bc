"""In how many stripes of rows operators run, and what their buffers hold.

Operators run alone or as a group: a chain of operators that follow each other and run stripe by
stripe together. The maps between them then exist a few rows at a time, and rows that
neighbouring stripes share are computed twice.
"""

import enum
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from npu.compiler.estimate import (
    COMPUTE_OVERHEAD,
    TRANSFER_OVERHEAD,
    add_cycles,
    grid_cycles,
    transfer_cycles,
)
from npu.compiler.layout import Fold, choose_fold, folded
from npu.compiler.pieces import constant_bytes, cut, fits_for_reuse
from npu.compiler.tasks import AddTask, Extent, GridTask, LoweredOperator, ceil_div
from rtl.config import NpuConfig

Rows = tuple[int, int]
"""First row and the row behind the last one."""


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
    residence : see `Residence`.
    buffers, rows : the operator's own buffers for it, and the rows that each holds; those of a
        LOCAL map belong to the operator that writes it.
    """

    tensor: int
    external: Extent
    extent: Extent
    fold: Fold | None = None
    residence: Residence = Residence.RESIDENT
    buffers: int = 0
    rows: int = 0

    @property
    def in_arena(self) -> bool:
        """Whether it is loaded or stored rather than accessed where it lies."""
        return self.residence in (Residence.WHOLE, Residence.STRIPES)

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

    `first` is the position of the first member in the segment, `cycles` an estimate.
    """

    first: int
    members: tuple[Member, ...]
    stripes: tuple[Rows, ...]
    cycles: float

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
        short = {m.op.target for m in self.members if made[m.op.target] < m.op.ofm.height}
        return frozenset(gaps | short)


def make_member(op: LoweredOperator, external: frozenset[int], config: NpuConfig) -> Member:
    """`op` with its operands, all RESIDENT as yet; an input from outside is folded if it helps."""
    fold: Fold | None = None
    held = op.ifm
    task = op.tasks[0]
    if len(op.tasks) == 1 and isinstance(task, GridTask) and op.sources[0] in external:
        fold = choose_fold(task, config)
        if fold is not None:
            op = replace(op, tasks=(folded(task, fold),))
    inputs = tuple(Operand(t, held, op.ifm, fold) for t in op.sources)
    return Member(op, inputs, Operand(op.target, op.ofm, op.ofm))


def row_demand(members: Sequence[Member], stripe: Rows) -> list[Rows]:
    """The output rows that each member has to compute for a stripe of the last one's."""
    demand: dict[int, Rows] = {members[-1].op.target: stripe}
    for member in reversed(members):
        span = member.op.input_rows(*demand[member.op.target])
        for tensor in member.op.sources:
            low, high = demand.get(tensor, span)
            demand[tensor] = min(low, span[0]), max(high, span[1])
    return [demand[member.op.target] for member in members]


def split_rows(height: int, rows: int) -> tuple[Rows, ...]:
    """Rows `0..height` in stripes of `rows`, the last one possibly shorter."""
    return tuple((first, min(first + rows, height)) for first in range(0, height, rows))


def smallest_working_set(op: LoweredOperator, config: NpuConfig) -> int:
    """Scratchpad words that `op` needs at least: one output row and the input rows for it."""
    spans = [op.input_rows(y, y + 1) for y in range(op.ofm.height)]
    rows = max(end - first for first, end in spans)
    inputs = len(op.sources) * rows * op.ifm.width * op.ifm.planes(config.lanes)
    return inputs + op.ofm.width * op.ofm.planes(config.lanes)


def compute_cycles(op: LoweredOperator, rows: Rows, config: NpuConfig) -> int:
    """Estimated cycles of computing output rows, without the overhead of commands."""
    total = 0
    for task in op.tasks:
        if isinstance(task, AddTask):
            words = op.ofm.planes(config.lanes) * op.ofm.width * (rows[1] - rows[0])
            total += add_cycles(words, config)
            continue
        count = min(rows[1], task.region.y1) - max(rows[0], task.region.y0)
        if count > 0:
            words = task.ofm.planes(config.lanes)
            total += grid_cycles(
                task,
                rows=count,
                columns=task.region.x1 - task.region.x0,
                words=words,
                depth=words * config.groups_per_word,
                planes=ceil_div(task.ifm.planes(config.lanes), task.groups),
                config=config,
            )
    return total


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to run a group: estimated cycles, words of own buffers, and what gives them."""

    cycles: float
    words: int
    rows: int
    residence: Residence
    buffers: int


@dataclass(frozen=True, slots=True)
class _Spans:
    """Rows of one member over all stripes: what it makes and what it needs."""

    made: tuple[Rows, ...]
    needed: tuple[Rows, ...]
    most_made: int
    most_needed: int


class GroupPlanner:
    """Finds the fastest way to run a group; remembers what it has found.

    Parameters
    ----------
    members : all operators of a segment, in order.
    """

    def __init__(self, members: Sequence[Member], config: NpuConfig) -> None:
        self._members = members
        self._config = config
        self._options: dict[Hashable, list[_Option]] = {}
        self._plans: dict[Hashable, GroupPlan] = {}
        self._spans = lru_cache(maxsize=None)(self._find_spans)
        self._cycles = lru_cache(maxsize=None)(self._member_cycles)
        self._constants = [constant_bytes(m.op, config) for m in members]
        self._commands = [
            sum(len(cut(t, 1, config)) if isinstance(t, GridTask) else 1 for t in m.op.tasks)
            for m in members
        ]
        self._touched = [frozenset((*m.op.sources, m.op.target)) for m in members]

    def plan(self, first: int, end: int, streamed: frozenset[int], budget: int) -> GroupPlan | None:
        """Plan operators `first..end` with at most `budget` words of own buffers.

        `streamed` are the tensors in the arena. None when nothing fits.
        """
        streamed &= frozenset().union(*self._touched[first:end])
        key = (first, end, streamed)
        if key not in self._options:
            options = self._search(first, end, streamed)
            self._options[key] = sorted(options, key=lambda option: option.cycles)
        for option in self._options[key]:
            if option.words <= budget:
                plan_key = (key, option)
                if plan_key not in self._plans:
                    self._plans[plan_key] = self._make(first, end, streamed, option)
                return self._plans[plan_key]
        return None

    def _search(self, first: int, end: int, streamed: frozenset[int]) -> Iterator[_Option]:
        members = self._members[first:end]
        height = members[-1].op.ofm.height
        inner = {m.op.target for m in members[:-1]}
        loads = any(t in streamed - inner for m in members for t in m.op.sources)
        stores = members[-1].op.target in streamed
        heights = sorted({ceil_div(height, n) for n in range(1, height + 1)}, reverse=True)
        if not inner and not loads and not stores:
            heights = [height]
        for rows in heights:
            for residence in (Residence.WHOLE, Residence.STRIPES) if loads else (Residence.WHOLE,):
                for buffers in (2, 1) if loads or stores else (1,):
                    yield self._option(first, end, streamed, rows, residence, buffers)

    def _find_spans(self, first: int, end: int, rows: int) -> list[_Spans]:
        members = self._members[first:end]
        stripes = split_rows(members[-1].op.ofm.height, rows)
        demands = [row_demand(members, stripe) for stripe in stripes]
        spans = []
        for number, member in enumerate(members):
            made = tuple(demand[number] for demand in demands)
            needed = tuple(member.op.input_rows(*rows) for rows in made)
            most = [max(high - low for low, high in of) for of in (made, needed)]
            spans.append(_Spans(made, needed, most[0], most[1]))
        return spans

    def _member_cycles(self, position: int, count: int, rows: Rows | None) -> int:
        return compute_cycles(self._members[position].op, rows or (0, count), self._config)

    def _option(
        self,
        first: int,
        end: int,
        streamed: frozenset[int],
        rows: int,
        residence: Residence,
        buffers: int,
    ) -> _Option:
        """Cycles: the busiest engine, and the others' first or last stripe."""
        config = self._config
        members = self._members[first:end]
        inner = {m.op.target for m in members[:-1]}
        spans = self._spans(first, end, rows)
        count = len(spans[0].made)
        whole = residence == Residence.WHOLE
        compute = load = store = 0.0
        words = 0
        for position, (member, span) in enumerate(zip(members, spans, strict=True), first):
            compute += count * self._commands[position] * COMPUTE_OVERHEAD
            regular = len(member.op.tasks) == 1
            compute += sum(
                self._cycles(position, high - low, None if regular else (low, high))
                for low, high in span.made
            )
            for operand in member.inputs:
                if operand.tensor in streamed and operand.tensor not in inner:
                    height = operand.extent.height
                    loaded = height if whole else sum(high - low for low, high in span.needed)
                    load += self._transfer(operand, loaded, count)
                    held = height if whole else buffers * span.most_needed
                    words += held * operand.row_words(config)
            output = member.output
            if output.tensor in inner:
                words += span.most_made * output.row_words(config)
            elif output.tensor in streamed:
                words += buffers * span.most_made * output.row_words(config)
                store += self._transfer(output, output.extent.height, count)
        load += self._reloads(first, end) * (count - 1)
        serial = buffers == 1 and count > 1 and (store > 0 or not whole)
        if serial:
            cycles = load + compute + store
        else:
            cycles = max(load, compute, store) + (load + store) / count
        return _Option(cycles, words, rows, residence, buffers)

    def _make(self, first: int, end: int, streamed: frozenset[int], option: _Option) -> GroupPlan:
        members = self._members[first:end]
        inner = {m.op.target for m in members[:-1]}
        whole = option.residence == Residence.WHOLE
        placed = []
        for member, span in zip(members, self._spans(first, end, option.rows), strict=True):
            inputs = []
            for operand in member.inputs:
                if operand.tensor in inner:
                    operand = replace(operand, residence=Residence.LOCAL)
                elif operand.tensor in streamed:
                    operand = replace(
                        operand,
                        residence=option.residence,
                        buffers=1 if whole else option.buffers,
                        rows=operand.extent.height if whole else span.most_needed,
                    )
                inputs.append(operand)
            output, made = member.output, span.most_made
            if output.tensor in inner:
                output = replace(output, residence=Residence.LOCAL, buffers=1, rows=made)
            elif output.tensor in streamed:
                buffers = option.buffers
                output = replace(output, residence=Residence.STRIPES, buffers=buffers, rows=made)
            placed.append(Member(member.op, tuple(inputs), output))
        stripes = split_rows(members[-1].op.ofm.height, option.rows)
        return GroupPlan(first, tuple(placed), stripes, option.cycles)

    def _transfer(self, operand: Operand, rows: int, count: int) -> int:
        size = rows * operand.external.width * operand.external.channels
        words = rows * operand.row_words(self._config)
        return count * TRANSFER_OVERHEAD + transfer_cycles(size, words, self._config)

    def _reloads(self, first: int, end: int) -> int:
        """Cycles of loading constants again for every stripe, if the buffers cannot keep them."""
        weights, parameters = (
            sum(sizes) for sizes in zip(*self._constants[first:end], strict=True)
        )
        kept_weights, kept_parameters = fits_for_reuse(weights, parameters, self._config)
        size = (0 if kept_weights else weights) + (0 if kept_parameters else parameters)
        return size // self._config.bus_bytes
