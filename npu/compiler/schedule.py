"""From a plan to steps: what is loaded, computed and stored, in an order that is right serially."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from math import isqrt

from npu.compiler.commands import Prepared, View, add, load_folded, load_rows, store_rows
from npu.compiler.estimate import COMMAND_CYCLES, MEMORY_CYCLES
from npu.compiler.pieces import Piece, constant_bytes, cut
from npu.compiler.plan import SegmentPlan
from npu.compiler.stripes import Operand, OperatorPlan, Residence, compute_cycles
from npu.compiler.tasks import AddTask, Extent, GridTask, Region, Task
from rtl.config import NpuConfig


@dataclass(frozen=True, eq=False)
class GridStep:
    """One grid command whose weights and parameters have no address yet.

    `key` names the piece of the task: its weights and parameters are the same in every stripe.
    """

    position: int
    key: Hashable
    task: GridTask
    piece: Piece
    region: Region
    ifm: View
    ofm: View


@dataclass(frozen=True, eq=False)
class TransferStep:
    """A LOAD or STORE of activations, or an ADD, of the operator at `position`."""

    position: int
    command: Prepared


Step = GridStep | TransferStep


def schedule(
    plan: SegmentPlan, offsets: dict[int, int], stored: frozenset[int], config: NpuConfig
) -> Iterator[Step]:
    """All steps of a segment.

    Parameters
    ----------
    offsets : byte offsets in the arena of the tensors that lie there.
    stored : resident tensors that are stored to the arena once they are complete.
    """
    pace = _Pace(config)
    for position, operator in enumerate(plan.operators):
        count = pace.pieces(operator)
        pieces = [
            cut(task, count, config) if isinstance(task, GridTask) else ()
            for task in operator.op.tasks
        ]
        yield from _operator_steps(position, operator, pieces, plan, offsets, config)
        target = operator.op.target
        if target in stored:
            extent = operator.output.extent
            view = _view(plan.addresses[target], extent, 0, extent.height, config)
            rows = (0, extent.height)
            yield TransferStep(position, store_rows(view, extent, offsets[target], rows, config))


class _Pace:
    """Follows, by estimate, how far loading of constants is ahead of computing.

    Where it is ahead, an operator's outputs are cut no finer than the buffers ask for. Where
    computing waits for weights, smaller pieces let it start earlier.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        self._loaded = 0
        self._computed = 0

    def pieces(self, plan: OperatorPlan) -> int:
        """Into how many pieces to cut the outputs of the next operator."""
        config = self._config
        weights, parameters = constant_bytes(plan.op, config)
        constants = (weights + parameters) // config.bus_bytes + 2 * MEMORY_CYCLES
        load = constants + sum(
            o.external.size // config.bus_bytes for o in plan.inputs if o.buffers
        )
        compute = compute_cycles(plan.op, 0, plan.op.ofm.height, config)
        late = self._loaded + load > self._computed
        count = max(isqrt(constants // (2 * COMMAND_CYCLES)), 1) if late else 1
        self._loaded += load
        start = max(self._computed, self._loaded - load + load // count)
        self._computed = max(start + compute, self._loaded + compute // count)
        # the ring bounds how far loading can be ahead
        ahead = config.weight_buffer_kib * 1024 // config.bus_bytes
        self._loaded = max(self._loaded, self._computed - ahead)
        return count


def _view(base: int, extent: Extent, first: int, rows: int, config: NpuConfig) -> View:
    return View(base, first, rows, extent.width, extent.planes(config.lanes))


def _operator_steps(
    position: int,
    plan: OperatorPlan,
    pieces: list[tuple[Piece, ...]],
    segment: SegmentPlan,
    offsets: dict[int, int],
    config: NpuConfig,
) -> Iterator[Step]:
    op = plan.op
    loaded = [0] * len(plan.inputs)
    for number, (y0, y1) in enumerate(plan.stripes):
        rows = op.input_rows(y0, y1)
        views: list[View] = []
        for index, operand in enumerate(plan.inputs):
            view = _operand_view(segment, position, index, operand, number, rows, config)
            views.append(view)
            if operand.residence == Residence.RESIDENT:
                continue
            first = max(rows[0], loaded[index])
            if operand.residence == Residence.STRIPES:
                first = rows[0]
            if first < rows[1]:
                span = (first, rows[1])
                offset = offsets[operand.tensor]
                yield TransferStep(
                    position, _load(operand, op.tasks[0], view, offset, span, config)
                )
            loaded[index] = max(loaded[index], rows[1])
        ofm = _operand_view(segment, position, -1, plan.output, number, (y0, y1), config)
        for task_number, task in enumerate(op.tasks):
            if isinstance(task, AddTask):
                for command in add(task, (y0, y1), views[0], views[1], ofm, config):
                    yield TransferStep(position, command)
                continue
            low, high = max(y0, task.region.y0), min(y1, task.region.y1)
            if low >= high:
                continue
            region = Region(low, high, task.region.x0, task.region.x1)
            for piece in pieces[task_number]:
                key = (position, task_number, piece.first)
                yield GridStep(position, key, task, piece, region, views[0], ofm)
        if plan.output.residence != Residence.RESIDENT:
            command = store_rows(ofm, plan.output.extent, offsets[op.target], (y0, y1), config)
            yield TransferStep(position, command)


def _operand_view(
    segment: SegmentPlan,
    position: int,
    index: int,
    operand: Operand,
    stripe: int,
    rows: tuple[int, int],
    config: NpuConfig,
) -> View:
    extent = operand.extent
    if operand.residence == Residence.RESIDENT:
        return _view(segment.addresses[operand.tensor], extent, 0, extent.height, config)
    base = segment.addresses[(position, index, stripe % operand.buffers)]
    if operand.residence == Residence.WHOLE:
        return _view(base, extent, 0, extent.height, config)
    return _view(base, extent, rows[0], rows[1] - rows[0], config)


def _load(
    operand: Operand,
    task: Task,
    view: View,
    offset: int,
    rows: tuple[int, int],
    config: NpuConfig,
) -> Prepared:
    if operand.fold is None:
        return load_rows(view, operand.external, offset, rows, config)
    assert isinstance(task, GridTask)
    return load_folded(
        view, operand.external, operand.fold, task.ifm_zero_point, offset, rows, config
    )
