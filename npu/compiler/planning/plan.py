"""Which maps stay on chip, and which operators run as groups.

Maps that a segment produces stay in the scratchpad while they are needed, as long as they fit;
the others are spilled to the arena. Where maps are spilled, it is tried whether running the
operators around them as a group, or spilling others as well, is faster by estimate.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from npu.allocation import Request, allocate
from npu.compiler.errors import CompileError
from npu.compiler.planning.groups import GroupPlanner
from npu.compiler.planning.stripes import GroupPlan, Residence, make_member
from npu.compiler.terms.operator import LoweredOperator
from rtl.config import NpuConfig

MARGINS = (0, 1, 2, 4)
"""Sixteenths of the scratchpad left free, tried in order, until fragmentation no longer hurts."""

WORKSPACE = "workspace"
"""Stands for an operand in the address of direct work's workspace."""

LONGEST_FUSION = 5
"""Maps between neighbouring operators that are tried to be made local together, at most."""

ROUNDS = 4
"""How often the search goes over all maps."""


@dataclass(frozen=True, eq=False)
class SegmentPlan:
    """All groups' plans and all scratchpad addresses.

    `addresses` are words, by tensor for resident and local maps, by `(position, operand, buffer)`
    for an operator's own buffers, where operand -1 is the output, and by `(position, WORKSPACE)`.
    """

    groups: tuple[GroupPlan, ...]
    addresses: dict[Hashable, int]
    spilled: frozenset[int]

    @property
    def cycles(self) -> float:
        """Estimated cycles of all groups."""
        return sum(group.cycles for group in self.groups)


def plan_segment(
    operators: Sequence[LoweredOperator],
    external: frozenset[int],
    handed_out: frozenset[int],
    config: NpuConfig,
) -> SegmentPlan:
    """Plan a segment; `external` lie in memory, its results are `handed_out`.

    Raises
    ------
    CompileError : an operator does not fit even in stripes of one row.
    """
    planner = _Planner(operators, external, handed_out, config)
    best = planner.attempt(frozenset(), frozenset())
    if best is None:
        raise CompileError(
            f"a segment of {len(operators)} operators does not fit a scratchpad of"
            f" {config.scratchpad_kib} KiB in any tiling"
        )
    return planner.improve(best) if best.spilled else best


@dataclass(frozen=True)
class _Life:
    first: int
    last: int
    words: int


class _Crowd(NamedTuple):
    """Where memory is short: the fullest group, and the life of a buffer that found no place."""

    group: int
    first: int
    last: int


class _Planner:
    def __init__(
        self,
        operators: Sequence[LoweredOperator],
        external: frozenset[int],
        handed_out: frozenset[int],
        config: NpuConfig,
    ) -> None:
        self._config = config
        self._external = external
        self._members = [make_member(op, external, config) for op in operators]
        self._groups = GroupPlanner(self._members, config)
        self._lives = _lifetimes(operators, external, config)
        self._fusable = [
            self._can_fuse(position) and self._members[position].op.target not in handed_out
            for position in range(len(operators))
        ]

    def improve(self, best: SegmentPlan) -> SegmentPlan:
        """Local search from a first plan, over what is fused and what is spilled in addition."""
        fused: frozenset[int] = frozenset()
        forced: frozenset[int] = frozenset()
        for _ in range(ROUNDS):
            before = best
            for position, member in enumerate(self._members):
                if position not in fused and member.op.target not in best.spilled:
                    continue
                for window in self._windows(position):
                    trial = self.attempt(fused ^ window, forced, best.cycles)
                    if trial is not None:
                        best, fused = trial, fused ^ window
            for tensor in sorted(self._lives):
                trial = self.attempt(fused, forced ^ {tensor}, best.cycles)
                if trial is not None:
                    best, forced = trial, forced ^ {tensor}
            if best is before:
                break
        return best

    def attempt(
        self, fused: frozenset[int], forced: frozenset[int], bound: float = math.inf
    ) -> SegmentPlan | None:
        """Plan with the maps of positions `fused` made local and the tensors `forced` spilled.

        More tensors are spilled until everything fits. None when even that is not enough, when a
        group would contain a map that is not local, or when it takes `bound` cycles or more.
        """
        ranges = self._ranges(fused)
        if any(p not in fused for first, end in ranges for p in range(first, end - 1)):
            return None
        local = {self._members[p].op.target for p in fused}
        lives = self._group_lives(ranges, local)
        spilled: set[int] = set()
        resident = [0] * len(ranges)
        for life in lives.values():
            for group in range(life.first, life.last + 1):
                resident[group] += life.words

        def spill(tensor: int) -> None:
            spilled.add(tensor)
            life = lives[tensor]
            for group in range(life.first, life.last + 1):
                resident[group] -= life.words

        for tensor in sorted(forced & lives.keys()):
            spill(tensor)
        while True:
            result = self._place(ranges, lives, spilled, resident, bound)
            if not isinstance(result, _Crowd):
                return result
            candidates = _live(lives, spilled, result.group, result.group)
            if not candidates:
                # nothing to spill where most is needed: memory is short of one piece elsewhere
                candidates = _live(lives, spilled, result.first, result.last)
            if not candidates:
                return None
            spill(max(candidates, key=lambda t: (lives[t].words, t)))

    def _place(
        self,
        ranges: list[tuple[int, int]],
        lives: dict[int, _Life],
        spilled: set[int],
        resident: list[int],
        bound: float,
    ) -> "SegmentPlan | _Crowd | None":
        """A plan, None if it is not below `bound`, or where memory is short."""
        streamed = self._external | spilled
        crowd = None
        for margin in MARGINS:
            capacity = self._config.scratchpad_words * (16 - margin) // 16
            groups: list[GroupPlan] = []
            for number, (first, end) in enumerate(ranges):
                budget = capacity - resident[number]
                group = self._groups.plan(first, end, streamed, budget) if budget >= 0 else None
                if group is None:
                    return crowd or _Crowd(number, number, number)
                groups.append(group)
            if sum(group.cycles for group in groups) >= bound:
                return None
            requests = list(self._requests(groups, lives, spilled))
            addresses, used = allocate(requests)
            if used <= self._config.scratchpad_words:
                return SegmentPlan(tuple(groups), addresses, frozenset(spilled))
            crowd = self._crowd(requests, addresses, len(ranges))
        return crowd

    def _crowd(
        self, requests: Sequence[Request], addresses: Mapping[Hashable, int], groups: int
    ) -> "_Crowd":
        """Where an allocation went beyond the scratchpad."""
        end = self._config.scratchpad_words
        beyond = next(r for r in requests if addresses[r.key] + r.size > end)
        return _Crowd(_fullest(requests, groups), beyond.first, beyond.last)

    def _requests(
        self, groups: Sequence[GroupPlan], lives: dict[int, _Life], spilled: set[int]
    ) -> Iterable[Request]:
        for tensor, life in lives.items():
            if tensor not in spilled:
                yield Request(tensor, life.words, life.first, life.last)
        for number, group in enumerate(groups):
            if group.workspace:
                yield Request((group.first, WORKSPACE), group.workspace, number, number)
            for index, member in enumerate(group.members):
                for operand_number, operand in member.operands().items():
                    words = operand.buffer_words(self._config)
                    if operand.residence == Residence.LOCAL and operand.buffers:
                        yield Request(operand.tensor, words, number, number)
                        continue
                    for buffer in range(operand.buffers):
                        key = (group.first + index, operand_number, buffer)
                        yield Request(key, words, number, number)

    def _can_fuse(self, position: int) -> bool:
        """Whether all readers of the map written at `position` see it as it was written."""
        target = self._members[position].op.target
        written = self._members[position].op.ofm
        if not self._members[position].op.target_at.is_all(written):
            return False
        if any(target in member.op.read_in_arena for member in self._members):
            return False
        readers = [
            extent == written and place.is_all(written)
            for member in self._members
            for source, extent, place in zip(
                member.op.sources, member.op.source_extents, member.op.sources_at, strict=True
            )
            if source == target
        ]
        return bool(readers) and all(readers)

    def _windows(self, position: int) -> list[frozenset[int]]:
        """Sets of neighbouring positions with `position` among them whose maps can be local."""
        found = []
        for first in range(max(position - LONGEST_FUSION + 1, 0), position + 1):
            for end in range(position + 1, first + LONGEST_FUSION + 1):
                window = range(first, end)
                if end <= len(self._members) and all(self._fusable[p] for p in window):
                    found.append(frozenset(window))
        return found

    def _ranges(self, fused: frozenset[int]) -> list[tuple[int, int]]:
        """Groups as position ranges: a fused map ties its producer to all its readers."""
        reach = list(range(len(self._members)))
        for position in fused:
            target = self._members[position].op.target
            reach[position] = max(
                other for other, m in enumerate(self._members) if target in m.op.sources
            )
        ranges: list[tuple[int, int]] = []
        first, end = 0, 0
        for position in range(len(self._members)):
            end = max(end, reach[position])
            if end == position:
                ranges.append((first, position + 1))
                first = end = position + 1
        return ranges

    def _group_lives(self, ranges: list[tuple[int, int]], local: set[int]) -> dict[int, _Life]:
        group_of = [n for n, (first, end) in enumerate(ranges) for _ in range(first, end)]
        return {
            tensor: _Life(group_of[life.first], group_of[life.last], life.words)
            for tensor, life in self._lives.items()
            if tensor not in local
        }


def _lifetimes(
    operators: Sequence[LoweredOperator], external: frozenset[int], config: NpuConfig
) -> dict[int, _Life]:
    """From the first operator that writes a map to the last one that reads it on chip."""
    lives: dict[int, _Life] = {}
    for position, op in enumerate(operators):
        for tensor, place in zip(op.sources, op.sources_at, strict=True):
            if tensor in lives and place.on_chip:
                life = lives[tensor]
                lives[tensor] = _Life(life.first, position, life.words)
        if op.target not in external:
            words = op.target_at.whole.words(config.lanes)
            first = lives[op.target].first if op.target in lives else position
            lives[op.target] = _Life(first, position, words)
    return lives


def _live(lives: dict[int, _Life], spilled: set[int], first: int, last: int) -> list[int]:
    """Tensors that are resident while some group from `first` to `last` runs."""
    return [
        tensor
        for tensor, life in lives.items()
        if tensor not in spilled and life.first <= last and first <= life.last
    ]


def _fullest(requests: Sequence[Request], groups: int) -> int:
    """The group at which the most words are needed."""
    changes = np.zeros(groups + 1, np.int64)
    for request in requests:
        changes[request.first] += request.size
        changes[request.last + 1] -= request.size
    return int(np.argmax(np.cumsum(changes[:groups])))
