"""Lowers a run of operators for the NPU, and resolves views."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from kernels.requantize import Rounding
from npu.compiler.lowering.batch_matmul import lower_batch_matmul
from npu.compiler.lowering.batches import maps_of, parts_of, single_map
from npu.compiler.lowering.bilinear import lower_bilinear
from npu.compiler.lowering.composition import (
    Composition,
    find_compositions,
    lower_composition,
)
from npu.compiler.lowering.copying import lower_copies
from npu.compiler.lowering.dilation import Dilation, find_dilations, lower_dilation
from npu.compiler.lowering.dispatch import is_computed, lower_operator
from npu.compiler.lowering.elementwise import (
    channels_repeated,
    in_whole_words,
    lower_repetition,
    output_extent,
    repeats_minuend,
)
from npu.compiler.lowering.enlargement import grid_enlarges, lower_enlargement
from npu.compiler.lowering.maps import Maps
from npu.compiler.lowering.movement import MOVING_KINDS, RESIZE_KINDS, nearest_steps
from npu.compiler.lowering.padding import folds, paddings
from npu.compiler.lowering.parting import find_parts, part_operator
from npu.compiler.lowering.prelu import STEPS_BETWEEN, lower_prelu, several_slopes
from npu.compiler.lowering.spreading import lower_spreading
from npu.compiler.lowering.transpose_conv import lower_transpose_conv
from npu.compiler.lowering.views import CopyNeeded, Views
from npu.compiler.terms.geometry import Extent
from npu.compiler.terms.normalize import FIELD_LIMIT
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.segment import LoweredSegment, Segment
from npu.compiler.terms.shapes import natural_extent
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
    gathered: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Concatenations that exist only where they are read, and their inputs."""
    scratch: dict[int, int] = field(default_factory=dict)
    """Bytes of roots that are no tensor of the graph."""
    pads: dict[int, tuple[int, int]] = field(default_factory=dict)
    dilations: dict[int, Dilation] = field(default_factory=dict)
    """By their convolutions."""
    compositions: dict[int, Composition] = field(default_factory=dict)
    """By their last operators."""

    def run(self) -> LoweredSegment:
        """Raises `CopyNeeded` when a tensor cannot be used where it lies."""
        graph, segment = self.graph, self.segment
        self.views = Views(graph, frozenset(segment.inputs), self.separate)
        self.maps = Maps(graph, self.views, self.gathered, self.config.lanes)
        dilations = find_dilations(graph, segment.operators)
        self.dilations = {one.convolution: one for one in dilations}
        compositions = find_compositions(graph, segment.operators)
        self.compositions = {one.last: one for one in compositions}
        inner = frozenset().union(
            *(one.inner for one in dilations), *(one.inner for one in compositions)
        )
        chosen = [graph.operator(index) for index in segment.operators if index not in inner]
        for op in chosen:
            if op.index in self.dilations:
                self.views.add(graph.operator(self.dilations[op.index].members[-1]))
            elif folds(graph, op, segment.operators):
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
        produced = (t for op in chosen for t in self._written(op))
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

    def _written(self, op: Operator) -> tuple[int, ...]:
        dilation = self.dilations.get(op.index)
        return op.outputs if dilation is None else (dilation.target,)

    def _lower(self, op: Operator) -> None:
        if op.index in self.dilations:
            work = lower_dilation(self.graph, self.dilations[op.index])
            self.operators.append(self.maps.placed(work))
        elif op.index in self.compositions:
            rounding = Rounding.named(self.config.rounding)
            work = lower_composition(self.graph, self.compositions[op.index], rounding)
            self.operators.append(self.maps.placed(work))
        elif folds(self.graph, op, self.segment.operators):
            amounts = paddings(self.graph, op)
            self.pads[op.outputs[0]] = amounts[1][0], amounts[2][0]
        elif self._enlarges(op):
            self.operators.append(self.maps.placed(lower_enlargement(self.graph, op)))
        elif op.outputs[0] in self.gathered:
            pass
        elif op.kind in MOVING_KINDS:
            self.operators += lower_copies(self.graph, op, self.views)
        elif op.kind == "BATCH_MATMUL":
            self.operators += lower_batch_matmul(self.graph, op, self.views, self.scratch)
        elif op.kind == "RESIZE_BILINEAR":
            self.operators += self._resized(op)
        elif op.kind == "TRANSPOSE_CONV":
            self.operators += [self.maps.placed(w) for w in lower_transpose_conv(self.graph, op)]
        elif several_slopes(self.graph, op):
            extent = output_extent(self.graph, op)
            between = tuple(self._make(extent) for _ in range(STEPS_BETWEEN))
            rounding = Rounding.named(self.config.rounding)
            works = lower_prelu(self.graph, op, rounding, between)
            self.operators += [self.maps.placed(work) for work in works]
        elif maps_of(self.graph, op) > 1:
            rounding = Rounding.named(self.config.rounding)
            work = lower_operator(single_map(self.graph, op), op, {}, {}, rounding)
            for part, source_part in parts_of(self.graph, op):
                one = replace(work, part=part, source_part=source_part)
                self.operators.append(self.maps.placed(one))
        else:
            extents = {t: e for t in op.present_inputs if (e := self._seen_as(op, t)) is not None}
            rounding = Rounding.named(self.config.rounding)
            work = lower_operator(self.graph, op, extents, self.pads, rounding)
            if work.sources[0] in self.segment.inputs:
                work = in_whole_words(work, self.config.lanes)
            spread = channels_repeated(self.graph, op)
            names = {tensor: self._spread(op, tensor, extent) for tensor, extent in spread.items()}
            if repeats_minuend(self.graph, op):
                names[op.inputs[0]] = self._repeated(op, names)
            work = replace(work, sources=tuple(names.get(t, t) for t in work.sources))
            self.operators.append(self.maps.placed(work))

    def _resized(self, op: Operator) -> Iterator[LoweredOperator]:
        """A RESIZE_BILINEAR, which may be no more than copies of pixels."""
        if nearest_steps(self.graph, op) is not None:
            yield from lower_copies(self.graph, op, self.views)
            return
        rounding = Rounding.named(self.config.rounding)
        for work in lower_bilinear(self.graph, op, rounding):
            yield self.maps.placed(work)

    def _spread(self, op: Operator, tensor: int, extent: Extent) -> int:
        """What stands for `tensor` with its one channel repeated."""
        root = self._make(extent)
        self.operators.append(self.maps.placed(lower_spreading(op, tensor, root, extent)))
        return root

    def _repeated(self, op: Operator, names: Mapping[int, int]) -> int:
        """What stands for the first operand of `op`, itself by `names`, with all pixels."""
        root = self._make(output_extent(self.graph, op))
        work = lower_repetition(self.graph, op, root)
        work = replace(work, sources=tuple(names.get(t, t) for t in work.sources))
        self.operators.append(self.maps.placed(work))
        return root

    def _make(self, extent: Extent) -> int:
        """A root for a map that is no tensor of the graph."""
        root = len(self.graph.tensors) + len(self.scratch)
        self.scratch[root] = extent.size
        self.maps.made[root] = extent
        return root

    def _seen_as(self, op: Operator, tensor: int) -> Extent | None:
        """The map as which `op` reads a tensor, where that is not the natural one."""
        if tensor in self.pads:
            producer = self.graph.producer(tensor)
            assert producer is not None
            return natural_extent(self.graph.tensors[producer.inputs[0]].shape)
        if op.kind != "FULLY_CONNECTED" or self.graph.tensors[tensor].is_constant:
            return None
        size, whole = self.graph.tensors[tensor].size, self.maps.known.get(self.views.root(tensor))
        flat = size == self.graph.tensors[op.inputs[1]].shape[1]
        if whole is None or not flat or not self.views.covers_root(tensor):
            return None
        return whole if max(whole.height, whole.width) <= FIELD_LIMIT else None

    def _gathers(self, op: Operator) -> bool:
        """Whether a concatenation need not be made: its readers load its inputs side by side.

        That is better than writing them side by side if one comes from the arena anyway, or if
        they begin within words: they would be written pixel by pixel.
        """
        output = self.graph.output_tensor(op)
        if op.kind != "CONCATENATION" or output.index in (*self.separate, *self.segment.outputs):
            return False
        inputs = [self.graph.tensors[i] for i in op.inputs]
        maps = [natural_extent(t.shape) for t in inputs]
        whole = natural_extent(output.shape)
        if any((e.height, e.width) != (whole.height, whole.width) for e in maps):
            return False
        computing = all(
            is_computed(c.kind) and c.kind != "FULLY_CONNECTED" and maps_of(self.graph, c) == 1
            for c in self.graph.consumers(output.index)
        )
        within = any(e.channels % self.config.lanes for e in maps[:-1])
        return computing and (within or any(self._comes_from_arena(t.index) for t in inputs))

    def _comes_from_arena(self, tensor: int) -> bool:
        producer = self.graph.producer(tensor)
        if producer is None or tensor in self.segment.inputs:
            return True
        return producer.kind == "TRANSPOSE_CONV" or producer.kind in RESIZE_KINDS

    def _enlarges(self, op: Operator) -> bool:
        """Whether the grid enlarges a map: the output must be in one piece."""
        return (
            op.kind == "RESIZE_NEAREST_NEIGHBOR"
            and grid_enlarges(self.graph, op, self.config)
            and self.views.view(op.outputs[0]).is_dense
        )
