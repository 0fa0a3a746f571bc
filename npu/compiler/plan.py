"""Which maps stay on chip.

Maps that a segment produces stay in the scratchpad while they are needed, as long as they fit;
the others are spilled to the arena. What is in the arena is used in stripes of rows, so that
LOAD, compute and STORE of neighbouring stripes overlap.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from npu.compiler.allocate import Request, allocate
from npu.compiler.errors import CompileError
from npu.compiler.layout import Fold, choose_fold, folded
from npu.compiler.stripes import Operand, OperatorPlan, plan_operator
from npu.compiler.tasks import Extent, GridTask, LoweredOperator
from rtl.config import NpuConfig

MARGINS = (0, 1, 2, 4)
"""Sixteenths of the scratchpad left free, tried in order, until fragmentation no longer hurts."""


@dataclass(frozen=True, eq=False)
class SegmentPlan:
    """All operators' plans and all scratchpad addresses.

    `addresses` are words, by tensor for resident maps, by `(position, operand, buffer)` for an
    operator's own buffers, where operand -1 is the output.
    """

    operators: tuple[OperatorPlan, ...]
    addresses: dict[Hashable, int]
    spilled: frozenset[int]


@dataclass(frozen=True)
class _Life:
    first: int
    last: int
    words: int


@dataclass(frozen=True)
class _Work:
    """An operator with its operands, before it is known where they lie."""

    op: LoweredOperator
    inputs: tuple[Operand, ...]
    output: Operand


def plan_segment(
    operators: Sequence[LoweredOperator], external: frozenset[int], config: NpuConfig
) -> SegmentPlan:
    """Plan a segment; `external` are the tensors that it reads from the arena.

    Raises
    ------
    CompileError : an operator does not fit even in stripes of one row.
    """
    work = [_with_operands(op, external, config) for op in operators]
    lives = _lifetimes(operators, config)
    spilled: set[int] = set()
    while True:
        for margin in MARGINS:
            streamed = external | spilled
            capacity = config.scratchpad_words * (16 - margin) // 16
            plans: list[OperatorPlan] = []
            for position, item in enumerate(work):
                live = _live(lives, spilled, position)
                budget = capacity - sum(lives[t].words for t in live)
                plan = plan_operator(
                    item.op, item.inputs, item.output, frozenset(streamed), budget, config
                )
                if plan is None or budget < 0:
                    break
                plans.append(plan)
            if len(plans) < len(work):
                crowded = len(plans)
                break
            requests = _requests(plans, lives, spilled, config)
            addresses, used = allocate(requests)
            if used <= config.scratchpad_words:
                return SegmentPlan(tuple(plans), addresses, frozenset(spilled))
            crowded = _fullest(requests, len(work))
        candidates = _live(lives, spilled, crowded)
        if not candidates:
            op = work[crowded].op
            raise CompileError(
                f"operator {op.index} ({op.kind}) does not fit a scratchpad of"
                f" {config.scratchpad_kib} KiB in any tiling"
            )
        spilled.add(max(candidates, key=lambda t: (lives[t].words, t)))


def _with_operands(op: LoweredOperator, external: frozenset[int], config: NpuConfig) -> _Work:
    fold: Fold | None = None
    task = op.tasks[0]
    held: Extent = op.ifm
    if len(op.tasks) == 1 and isinstance(task, GridTask) and op.sources[0] in external:
        fold = choose_fold(task, config)
        if fold is not None:
            op = replace(op, tasks=(folded(task, fold),))
    inputs = tuple(Operand(t, held, op.ifm, fold) for t in op.sources)
    return _Work(op, inputs, Operand(op.target, op.ofm, op.ofm))


def _lifetimes(operators: Sequence[LoweredOperator], config: NpuConfig) -> dict[int, _Life]:
    lives: dict[int, _Life] = {}
    for position, op in enumerate(operators):
        for tensor in op.sources:
            if tensor in lives:
                lives[tensor] = replace(lives[tensor], last=position)
        lives[op.target] = _Life(position, position, op.ofm.words(config.lanes))
    return lives


def _live(lives: dict[int, _Life], spilled: set[int], position: int) -> list[int]:
    """Tensors that are resident while the operator at `position` runs."""
    return [
        tensor
        for tensor, life in lives.items()
        if tensor not in spilled and life.first <= position <= life.last
    ]


def _requests(
    plans: Sequence[OperatorPlan], lives: dict[int, _Life], spilled: set[int], config: NpuConfig
) -> list[Request]:
    requests = [
        Request(tensor, life.words, life.first, life.last)
        for tensor, life in lives.items()
        if tensor not in spilled
    ]
    for position, plan in enumerate(plans):
        operands = {**dict(enumerate(plan.inputs)), -1: plan.output}
        for number, operand in operands.items():
            words = operand.buffer_words(config)
            requests += [
                Request((position, number, buffer), words, position, position)
                for buffer in range(operand.buffers)
            ]
    return requests


def _fullest(requests: Sequence[Request], positions: int) -> int:
    """The position at which the most words are needed."""

    def needed(position: int) -> int:
        return sum(r.size for r in requests if r.first <= position <= r.last)

    return max(range(positions), key=needed)
