"""From a plan to steps: what is loaded, computed and stored, in an order that is right serially."""

from collections.abc import Iterator
from dataclasses import replace
from math import isqrt

from npu.compiler.planning.plan import WORKSPACE, SegmentPlan
from npu.compiler.planning.stripes import (
    GroupPlan,
    Member,
    Operand,
    Residence,
    compute_cycles,
    row_demand,
)
from npu.compiler.stream.elementwise import elementwise
from npu.compiler.stream.encoding import estimated_bytes
from npu.compiler.stream.estimate import COMPUTE_OVERHEAD
from npu.compiler.stream.folded_loads import load_folded
from npu.compiler.stream.map_transfers import load_rows, store_rows
from npu.compiler.stream.pieces import constant_size, cut, tapered
from npu.compiler.terms.direct import DirectContext
from npu.compiler.terms.geometry import Area, Rows, ceil_div
from npu.compiler.terms.piece import Piece, PieceKey
from npu.compiler.terms.steps import CommandStep, GridStep, Step
from npu.compiler.terms.tasks import ElementwiseTask, GridTask
from npu.compiler.terms.view import View
from rtl.config import NpuConfig
from rtl.isa import Region


def schedule(
    plan: SegmentPlan, offsets: dict[int, int], stored: frozenset[int], config: NpuConfig
) -> Iterator[Step]:
    """All steps of a segment.

    Parameters
    ----------
    offsets : byte offsets of the tensors that lie in the arena, and of the maps that are
        constants.
    stored : resident and local tensors that are stored to the arena as well.
    """
    pace = _Pace(config)
    for group in plan.groups:
        direct = group.members[0].op.direct
        if direct is not None:
            base = plan.addresses[group.first, WORKSPACE]
            context = DirectContext(group.first, base, group.workspace, offsets)
            yield from direct.steps(context, config)
            continue
        steps = _GroupSteps(group, plan, offsets, stored, config)
        last = plan.groups[-1].members[-1]
        cuts = [pace.pieces(member, member is last) for member in group.members]
        yield from steps.steps(cuts)


class _Pace:
    """Follows, by estimate, how far loading of constants is ahead of computing.

    Where it is ahead, an operator's outputs are cut no finer than the buffers ask for. Where
    computing waits for weights, smaller pieces let it start earlier, or end soon after the last
    weights.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        self._loaded = 0
        self._computed = 0

    def pieces(self, member: Member, last: bool) -> list[tuple[Piece, ...]]:
        """The pieces of every task of the next operator, which may be the last."""
        config = self._config
        count, taper = self._count(member, last)
        found: list[tuple[Piece, ...]] = []
        for task in member.op.tasks:
            if isinstance(task, GridTask):
                pieces = cut(task, count, config)
                found.append(tapered(pieces, config) if taper else pieces)
            else:
                found.append(())
        return found

    def _count(self, member: Member, last: bool) -> tuple[int, bool]:
        """Into how many pieces to cut an operator's outputs, and whether to taper them."""
        config = self._config
        constants = _loaded_bytes(member, config) // config.bus_bytes
        load = constants + sum(
            o.external.size // config.bus_bytes for o in member.inputs if o.in_arena
        )
        compute = compute_cycles(member.op, (0, member.op.ofm.height), config)
        late = self._loaded + load > self._computed
        # where loading takes longer than computing, only what follows the last LOAD counts
        taper = late and last and load > compute
        finer = late and compute >= load
        count = max(isqrt(constants // COMPUTE_OVERHEAD), 1) if finer else 1
        self._loaded += load
        start = max(self._computed, self._loaded - load + load // count)
        self._computed = max(start + compute, self._loaded + compute // count)
        # the ring bounds how far loading can be ahead
        ahead = config.weight_buffer_kib * 1024 // config.bus_bytes
        self._loaded = max(self._loaded, self._computed - ahead)
        return count, taper


def _loaded_bytes(member: Member, config: NpuConfig) -> int:
    """Bytes of an operator's constants that are loaded, compressed where the hardware decodes."""
    size = constant_size(member.op, config)
    if not config.decodes_weights:
        return size.bytes
    tasks = [t for t in member.op.tasks if isinstance(t, GridTask) and t.weights is not None]
    weights = sum(t.weights.size for t in tasks if t.weights is not None)
    encoded = sum(estimated_bytes(t.weights, config) for t in tasks if t.weights is not None)
    return size.parameter_bytes + size.weight_bytes * encoded // max(weights, 1)


class _GroupSteps:
    """The steps of one group, stripe by stripe."""

    def __init__(
        self,
        group: GroupPlan,
        plan: SegmentPlan,
        offsets: dict[int, int],
        stored: frozenset[int],
        config: NpuConfig,
    ) -> None:
        self._group = group
        self._plan = plan
        self._offsets = offsets
        self._stored = stored
        self._config = config
        self._loaded: dict[tuple[int, int], int] = {}

    def steps(self, cuts: list[list[tuple[Piece, ...]]]) -> Iterator[Step]:
        """All steps; `cuts` are the pieces of every task of every member."""
        members = self._group.members
        for number, stripe in enumerate(self._group.stripes):
            demand = row_demand(members, stripe)
            made = {m.op.target: rows for m, rows in zip(members, demand, strict=True)}
            for index, pieces in enumerate(cuts):
                yield from self._member(index, number, made, pieces)
        last, position = members[-1], self._group.first + len(members) - 1
        rows = (0, last.output.extent.height)
        if last.output.residence == Residence.RESIDENT and last.op.target in self._stored:
            view = self._operand_view(position, -1, last.output, 0, rows)
            yield from self._store(position, last, view, rows)

    def _member(
        self, index: int, stripe: int, made: dict[int, Rows], pieces: list[tuple[Piece, ...]]
    ) -> Iterator[Step]:
        member = self._group.members[index]
        position = self._group.first + index
        rows = made[member.op.target]
        views: list[View] = []
        for number, operand in enumerate(member.inputs):
            needed = member.op.input_rows(number, rows)
            held = made[operand.tensor] if operand.residence == Residence.LOCAL else needed
            view = self._operand_view(position, number, operand, stripe, held)
            views.append(view)
            if operand.in_arena:
                yield from self._fetch(position, number, member, view, needed)
        ofm = self._operand_view(position, -1, member.output, stripe, rows)
        for task, cut_pieces in zip(member.op.tasks, pieces, strict=True):
            if isinstance(task, ElementwiseTask):
                operands = views[0], views[-1]
                for command in elementwise(task, rows, *operands, ofm, self._config):
                    yield CommandStep(position, command, task.table)
                continue
            low, high = max(rows[0], task.area.y0), min(rows[1], task.area.y1)
            if low >= high:
                continue
            area = Area(low, high, task.area.x0, task.area.x1)
            for piece in cut_pieces:
                key = PieceKey(position, task.area, piece.first)
                yield GridStep(position, key, task, piece, area, views[0], ofm)
        local = member.output.residence == Residence.LOCAL
        if member.output.in_arena or (local and member.op.target in self._stored):
            yield from self._store(position, member, ofm, rows)

    def _fetch(
        self, position: int, number: int, member: Member, view: View, needed: Rows
    ) -> Iterator[Step]:
        """The LOAD of the rows of an operand that are not on chip yet."""
        operand = member.inputs[number]
        first = needed[0]
        if operand.residence == Residence.WHOLE:
            first = max(first, self._loaded.get((position, number), 0))
            self._loaded[position, number] = max(first, needed[1])
        if first >= needed[1]:
            return
        rows = (first, needed[1])
        task = member.op.tasks[0]
        if operand.fold is None:
            region = Region.ARENA
            if operand.tensor in member.op.constants:
                region = Region.CONSTANTS
            channel = 0
            for part in operand.parts:
                extent = replace(operand.external, channels=part.channels)
                plane, lane = divmod(channel, self._config.lanes)
                planes = view.part(plane, ceil_div(lane + part.channels, self._config.lanes))
                offset = self._offsets[part.tensor]
                for command in load_rows(
                    planes, extent, part.place, region, offset, rows, self._config, lane
                ):
                    yield CommandStep(position, command)
                channel += part.channels
        else:
            assert isinstance(task, GridTask)
            for command in load_folded(
                view,
                operand.external,
                operand.place,
                operand.fold,
                task.ifm_zero_point,
                self._offsets[operand.tensor],
                rows,
                self._config,
            ):
                yield CommandStep(position, command)

    def _store(self, position: int, member: Member, view: View, rows: Rows) -> Iterator[Step]:
        offset, output = self._offsets[member.op.target], member.output
        for command in store_rows(view, output.extent, output.place, offset, rows, self._config):
            yield CommandStep(position, command)

    def _operand_view(
        self, position: int, number: int, operand: Operand, stripe: int, rows: Rows
    ) -> View:
        extent, whole = operand.extent, (0, operand.extent.height)
        addresses, place = self._plan.addresses, operand.place
        match operand.residence:
            case Residence.RESIDENT:
                pitch = place.whole.pixels
                plane = place.channel // self._config.lanes
                base = addresses[operand.tensor] + plane * pitch + place.pixel
                planes = extent.planes(self._config.lanes)
                return View(base, 0, extent.width, planes, place.row_pitch, pitch)
            case Residence.LOCAL:
                return View.dense(addresses[operand.tensor], rows, extent, self._config)
            case Residence.WHOLE:
                base = addresses[position, number, 0]
                return View.dense(base, whole, extent, self._config)
            case Residence.STRIPES:
                base = addresses[position, number, stripe % operand.buffers]
                return View.dense(base, rows, extent, self._config)
