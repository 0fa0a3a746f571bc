"""Lowers a run of operators for the NPU, and resolves views."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.compiler.direct.copies import Block, Copy
from npu.compiler.lowering.batch_matmul import has_dense_rows, lower_matmul, matrices_of
from npu.compiler.lowering.movement import (
    JOINING_KINDS,
    MOVING_KINDS,
    joined,
    moved_input,
    taken,
)
from npu.compiler.lowering.operators import COMPUTE_KINDS, lower_operator
from npu.compiler.lowering.padding import folds, paddings
from npu.compiler.lowering.parting import find_parts, part_operator
from npu.compiler.lowering.placing import IN_ARENA, place_map
from npu.compiler.lowering.upsampling import grid_enlarges, lower_enlargement, lower_transpose_conv
from npu.compiler.lowering.views import CopyNeeded, Views
from npu.compiler.terms.direct import DirectWork
from npu.compiler.terms.geometry import Extent, Place, PlacePart
from npu.compiler.terms.normalize import FIELD_LIMIT
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.segment import LoweredSegment, Segment
from npu.compiler.terms.shapes import natural_extent
from npu.compiler.terms.strided import Change, Strided
from npu.compiler.terms.tasks import ElementwiseTask
from npu.model.graph import Graph, Operator
from rtl.config import NpuConfig


def lower_segment(graph: Graph, segment: Segment, config: NpuConfig) -> LoweredSegment:
    """Lower all operators of a segment."""
    separate: frozenset[int] = frozenset()
    while True:
        try:
            return _Lowering(graph, segment, separate, config).run()
        except CopyNeeded as needed:
            separate |= needed.tensors


@dataclass
class _Lowering:
    """One attempt, with the tensors `separate` in bytes of their own."""

    graph: Graph
    segment: Segment
    separate: frozenset[int]
    config: NpuConfig
    operators: list[LoweredOperator] = field(default_factory=list)
    maps: dict[int, Extent] = field(default_factory=dict)
    """Roots that the segment writes, as maps."""
    gathered: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Concatenations that exist only where they are read, and their inputs."""
    scratch: dict[int, int] = field(default_factory=dict)
    """Bytes of roots that are no tensor of the graph."""
    pads: dict[int, tuple[int, int]] = field(default_factory=dict)

    def run(self) -> LoweredSegment:
        """Raises `CopyNeeded` when a tensor cannot be used where it lies."""
        graph, segment = self.graph, self.segment
        self.views = Views(graph, frozenset(segment.inputs), self.separate)
        chosen = [graph.operator(index) for index in segment.operators]
        for op in chosen:
            if folds(graph, op, segment.operators):
                self.views.add_padded(op)
            elif self._gathers(op):
                self.gathered[op.outputs[0]] = op.inputs
            else:
                self.views.add(op)
        for tensor in segment.outputs:
            if not self.views.view(tensor).is_dense:
                raise self.views.separately(tensor)
        needed: set[int] = set()
        for op in chosen:
            try:
                self._lower(op)
            except CopyNeeded as copy:
                needed |= copy.tensors
        if needed:
            raise CopyNeeded(needed)
        produced = (t for op in chosen for t in op.outputs)
        tensors = [t for t in (*segment.inputs, *produced) if t not in self.gathered]
        roots = {t: self.views.root(t) for t in tensors}
        sizes = {root: graph.tensors[root].size for root in roots.values()}
        ends = {roots[t] for t in (*segment.inputs, *segment.outputs)}
        parts = find_parts(self.operators, ends)
        layouts = {
            t: self.views.view(t) for t in tensors if t not in self.pads and roots[t] not in parts
        }
        return LoweredSegment(
            tuple(part_operator(op, parts) for op in self.operators),
            roots,
            sizes | self.scratch,
            {t: layout.offset for t, layout in layouts.items() if layout.is_dense},
            frozenset(op.target for op in self.operators if not op.target_at.on_chip),
        )

    def _lower(self, op: Operator) -> None:
        if folds(self.graph, op, self.segment.operators):
            amounts = paddings(self.graph, op)
            self.pads[op.outputs[0]] = amounts[1][0], amounts[2][0]
        elif self._enlarges(op):
            self.operators.append(self._placed(lower_enlargement(self.graph, op)))
        elif op.outputs[0] in self.gathered:
            pass
        elif op.kind in MOVING_KINDS:
            self._copy(op)
        elif op.kind == "BATCH_MATMUL":
            self._multiply(op)
        elif op.kind == "TRANSPOSE_CONV":
            self.operators += [self._placed(w) for w in lower_transpose_conv(self.graph, op)]
        else:
            extents = {t: e for t in op.present_inputs if (e := self._seen_as(op, t)) is not None}
            rounding = Rounding.named(self.config.rounding)
            work = lower_operator(self.graph, op, extents, self.pads, rounding)
            self.operators.append(self._placed(work))

    def _seen_as(self, op: Operator, tensor: int) -> Extent | None:
        """The map as which `op` reads a tensor, where that is not the natural one."""
        if tensor in self.pads:
            producer = self.graph.producer(tensor)
            assert producer is not None
            return natural_extent(self.graph.tensors[producer.inputs[0]].shape)
        if op.kind != "FULLY_CONNECTED" or self.graph.tensors[tensor].is_constant:
            return None
        size, whole = self.graph.tensors[tensor].size, self.maps.get(self.views.root(tensor))
        flat = size == self.graph.tensors[op.inputs[1]].shape[1]
        if whole is None or not flat or not self.views.covers_root(tensor):
            return None
        return whole if max(whole.height, whole.width) <= FIELD_LIMIT else None

    def _gathers(self, op: Operator) -> bool:
        """Whether a concatenation need not be made: its readers load its inputs side by side.

        That is better than writing them side by side if one comes from the arena anyway.
        """
        output = self.graph.output_tensor(op)
        if op.kind != "CONCATENATION" or output.index in (*self.separate, *self.segment.outputs):
            return False
        inputs = [self.graph.tensors[i] for i in op.inputs]
        maps = [natural_extent(t.shape) for t in inputs]
        whole = natural_extent(output.shape)
        if any((e.height, e.width) != (whole.height, whole.width) for e in maps):
            return False
        if any(e.channels % self.config.lanes for e in maps[:-1]):
            return False
        computing = all(
            c.kind in COMPUTE_KINDS and c.kind != "FULLY_CONNECTED"
            for c in self.graph.consumers(output.index)
        )
        return computing and any(self._comes_from_arena(t.index) for t in inputs)

    def _comes_from_arena(self, tensor: int) -> bool:
        producer = self.graph.producer(tensor)
        if producer is None or tensor in self.segment.inputs:
            return True
        return producer.kind in ("TRANSPOSE_CONV", "RESIZE_NEAREST_NEIGHBOR")

    def _enlarges(self, op: Operator) -> bool:
        """Whether the grid enlarges a map: the output must be in one piece."""
        return (
            op.kind == "RESIZE_NEAREST_NEIGHBOR"
            and grid_enlarges(self.graph, op, self.config)
            and self.views.view(op.outputs[0]).is_dense
        )

    def _placed(self, work: LoweredOperator) -> LoweredOperator:
        """`work` on roots instead of tensors."""
        joined_rows = isinstance(work.tasks[0], ElementwiseTask)
        target = self.views.root(work.target)
        if target not in self.maps:
            whole = natural_extent(self.graph.tensors[target].shape)
            if target == work.target and work.part is None and whole.channels != work.ofm.channels:
                whole = work.ofm
            self.maps[target] = whole
        places = tuple(
            self._place(tensor, extent, joined_rows)
            for tensor, extent in zip(work.sources, work.source_extents, strict=True)
        )
        return replace(
            work,
            sources=tuple(t if t in work.constants else self.views.root(t) for t in work.sources),
            target=target,
            source_places=places,
            target_place=self._place(work.target, work.ofm, joined_rows)
            if work.part is None
            else self._place_part(work, self.maps[target]),
        )

    def _place(self, tensor: int, extent: Extent, joined_rows: bool) -> Place:
        if tensor < 0:
            return Place.of_all(extent)
        if tensor in self.gathered:
            return self._place_gathered(tensor, extent)
        root = self.views.root(tensor)
        whole = self.maps.get(root) or natural_extent(self.graph.tensors[root].shape)
        layout = self.views.view(tensor)
        place = place_map(layout, extent, whole, self.config.lanes, joined_rows)
        if place is None:
            raise self.views.separately(tensor)
        return place

    def _place_gathered(self, tensor: int, extent: Extent) -> Place:
        """A concatenation, as the places of its inputs."""
        if extent != natural_extent(self.graph.tensors[tensor].shape):
            raise CopyNeeded({tensor})
        parts = []
        for one in self.gathered[tensor]:
            channels = self.graph.tensors[one].shape[-1]
            place = self._place(one, replace(extent, channels=channels), joined_rows=False)
            parts.append(PlacePart(self.views.root(one), channels, place))
        return replace(Place.of_all(extent), on_chip=False, parts=tuple(parts))

    def _place_part(self, work: LoweredOperator, whole: Extent) -> Place:
        """Where the part of its target lies that `work` computes."""
        assert work.part is not None
        layout, stride = self._changed(work.target, work.part), 0
        if work.repeats > 1:
            stride = layout.strides[0]
            layout = layout.apply(lambda array: array[0])
        place = place_map(layout, work.ofm, whole, self.config.lanes, joined_rows=False)
        if place is None:
            raise self.views.separately(work.target)
        on_chip = place.on_chip and work.repeats == 1
        return replace(place, repeats=work.repeats, repeat_stride=stride, on_chip=on_chip)

    def _copy(self, op: Operator) -> None:
        """Copies what an operator moves and what is not where it belongs already."""
        if op.kind in JOINING_KINDS:
            for number, tensor in enumerate(op.inputs):
                reads = self.views.view(tensor)
                writes = self._changed(op.outputs[0], joined(self.graph, op, number))
                self._move(op, tensor, op.outputs[0], reads, writes)
            return
        source = op.inputs[moved_input(op)]
        for number, output in enumerate(op.outputs):
            reads = self._changed(source, taken(self.graph, op, number))
            try:
                writes = self.views.view(output).reshape(*reads.shape)
            except ValueError:
                raise self.views.separately(output) from None
            self._move(op, source, output, reads, writes)

    def _changed(self, tensor: int, change: Change) -> Strided:
        try:
            return self.views.view(tensor).apply(change)
        except ValueError:
            raise self.views.separately(tensor) from None

    def _move(
        self, op: Operator, source: int, target: int, reads: Strided, writes: Strided
    ) -> None:
        roots = self.views.root(source), self.views.root(target)
        if roots[0] != roots[1] or not reads.same_bytes(writes):
            block = Block(*roots, reads, writes)
            self._add_direct(op, Copy((block,)), roots[:1], roots[1])

    def _add_direct(
        self,
        op: Operator,
        work: DirectWork,
        sources: tuple[int, ...],
        target: int,
        constants: Mapping[int, NDArray[np.int8]] | None = None,
        macs: int = 0,
    ) -> None:
        self.operators.append(
            LoweredOperator(
                op.index,
                op.kind,
                macs,
                sources,
                target,
                (),
                constants=constants or {},
                source_places=(IN_ARENA,) * len(sources),
                target_place=IN_ARENA,
                direct=work,
            )
        )

    def _multiply(self, op: Operator) -> None:
        """BATCH_MATMUL, after copies of operands whose rows are not dense."""
        matrices = matrices_of(self.graph, op, self.views.view)
        rows: list[tuple[int, Strided]] = []
        for tensor, layout in zip(op.inputs, matrices.operands, strict=True):
            if layout is None:
                continue
            root = self.views.root(tensor)
            if not has_dense_rows(layout):
                copy, root = root, len(self.graph.tensors) + len(self.scratch)
                self.scratch[root] = layout.size
                dense = Strided.dense(layout.shape)
                self._add_direct(op, Copy((Block(copy, root, layout, dense),)), (copy,), root)
                layout = dense
            rows.append((root, layout))
        if not has_dense_rows(matrices.ofm):
            raise self.views.separately(op.outputs[0])
        work, constants = lower_matmul(
            self.graph, op, rows, (self.views.root(op.outputs[0]), matrices.ofm)
        )
        sources = tuple(root for root, _ in rows)
        self._add_direct(op, work, sources, work.tensors[2], constants, matrices.macs)
