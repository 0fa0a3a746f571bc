"""The fastest way to run a group of operators, by estimate."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isqrt

from npu.compiler.planning.stripes import (
    GroupPlan,
    Member,
    Operand,
    Residence,
    compute_cycles,
    row_demand,
    split_rows,
)
from npu.compiler.stream.estimate import COMPUTE_OVERHEAD, TRANSFER_OVERHEAD, row_transfer_cycles
from npu.compiler.stream.pieces import constant_size, cut, reloaded_bytes
from npu.compiler.terms.geometry import Rows, ceil_div
from npu.compiler.terms.tasks import GridTask
from rtl.config import NpuConfig


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
    """Rows of one member over all stripes: what it makes and what it needs of each source."""

    made: tuple[Rows, ...]
    needed: tuple[tuple[Rows, ...], ...]
    most_made: int
    most_needed: tuple[int, ...]


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
        self._constants = [constant_size(m.op, config) for m in members]
        self._commands = [
            sum(
                len(cut(task, 1, config))
                if isinstance(task, GridTask)
                else task.command_count(config)
                for task in m.op.tasks
            )
            for m in members
        ]
        # the first operator waits for its weights and is cut finer, in every stripe
        start = self._constants[0].bytes // config.bus_bytes
        self._commands[0] = max(self._commands[0], isqrt(start // COMPUTE_OVERHEAD))
        self._touched = [frozenset((*m.op.sources, m.op.target)) for m in members]

    def plan(self, first: int, end: int, streamed: frozenset[int], budget: int) -> GroupPlan | None:
        """Plan operators `first..end` with at most `budget` words of own buffers.

        `streamed` are the tensors in the arena. None when nothing fits.
        """
        direct = self._members[first].op.direct
        if direct is not None:
            assert end == first + 1
            for workspace in direct.workspaces(self._config):
                if workspace.words <= budget:
                    members = tuple(self._members[first:end])
                    return GroupPlan(first, members, (), workspace.cycles, workspace.words)
            return None
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
        loads = any(
            o.tensor not in inner and o.streamed(streamed) for m in members for o in m.inputs
        )
        stores = members[-1].output.streamed(streamed)
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
            needed = tuple(
                tuple(member.op.input_rows(source, rows) for rows in made)
                for source in range(len(member.inputs))
            )
            spans.append(_Spans(made, needed, _most(made), tuple(map(_most, needed))))
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
            for operand, needed, most in zip(
                member.inputs, span.needed, span.most_needed, strict=True
            ):
                if operand.tensor not in inner and operand.streamed(streamed):
                    height = operand.extent.height
                    if whole or most == height:
                        loaded, held = height, height
                    else:
                        loaded, held = sum(high - low for low, high in needed), buffers * most
                    load += self._transfer(operand, loaded, count)
                    words += held * operand.row_words(config)
            output = member.output
            if output.tensor in inner:
                words += span.most_made * output.row_words(config)
            elif output.streamed(streamed):
                words += buffers * span.most_made * output.row_words(config)
                store += self._transfer(output, output.extent.height, count)
        reloads = reloaded_bytes(self._constants[first:end], config) // config.bus_bytes
        load += reloads * (count - 1)
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
            for operand, most in zip(member.inputs, span.most_needed, strict=True):
                height = operand.extent.height
                if operand.tensor in inner:
                    operand = replace(operand, residence=Residence.LOCAL)
                elif operand.streamed(streamed) and (whole or most == height):
                    operand = replace(operand, residence=Residence.WHOLE, buffers=1, rows=height)
                elif operand.streamed(streamed):
                    operand = replace(
                        operand, residence=Residence.STRIPES, buffers=option.buffers, rows=most
                    )
                inputs.append(operand)
            output, made = member.output, span.most_made
            if output.tensor in inner:
                output = replace(output, residence=Residence.LOCAL, buffers=1, rows=made)
            elif output.streamed(streamed):
                buffers = option.buffers
                output = replace(output, residence=Residence.STRIPES, buffers=buffers, rows=made)
            placed.append(Member(member.op, tuple(inputs), output))
        stripes = split_rows(members[-1].op.ofm.height, option.rows)
        return GroupPlan(first, tuple(placed), stripes, option.cycles)

    def _transfer(self, operand: Operand, rows: int, count: int) -> int:
        extent, place = operand.external, operand.place
        if operand.fold is not None:
            row_bytes = extent.width * extent.channels
            overhead = (count - 1) * TRANSFER_OVERHEAD
            return overhead + operand.fold.load_cycles(rows, row_bytes, self._config)
        words = rows * operand.row_words(self._config)
        apart = 1
        if extent.width > 1 and place.pixel_stride != extent.channels:
            apart = rows * extent.width
        elif place.row_stride != extent.width * extent.channels:
            apart = rows
        size = rows * extent.width * extent.channels
        return count * TRANSFER_OVERHEAD + row_transfer_cycles(apart, size, words, self._config)


def _most(spans: Iterable[Rows]) -> int:
    return max(high - low for low, high in spans)
