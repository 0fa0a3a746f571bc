"""Where the maps of a segment's operators lie in the tensors that hold their bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from npu.compiler.lowering.placing import place_map
from npu.compiler.lowering.views import CopyNeeded, Views
from npu.compiler.terms.geometry import Extent, Place, PlacePart
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import natural_extent
from npu.compiler.terms.strided import Change
from npu.compiler.terms.tasks import ElementwiseTask
from npu.model.graph import Graph


@dataclass
class Maps:
    """The maps that a segment writes, as operators are placed one after the other.

    Parameters
    ----------
    graph : the network.
    views : which tensors share bytes.
    gathered : concatenations that exist only where they are read, and their inputs.
    lanes : channels of a scratchpad word.
    known : roots that the segment has written so far, as maps.
    made : roots that are no tensor of the graph.
    """

    graph: Graph
    views: Views
    gathered: Mapping[int, tuple[int, ...]]
    lanes: int
    known: dict[int, Extent] = field(default_factory=dict)
    made: dict[int, Extent] = field(default_factory=dict)

    def placed(self, work: LoweredOperator) -> LoweredOperator:
        """`work` on roots instead of tensors."""
        joined_rows = isinstance(work.tasks[0], ElementwiseTask)
        target = self.views.root(work.target)
        if target not in self.known and target not in self.made:
            whole = natural_extent(self.graph.tensors[target].shape)
            if target == work.target and work.part is None and whole.channels != work.ofm.channels:
                whole = work.ofm
            self.known[target] = whole
        places = tuple(
            self._place(tensor, extent, joined_rows, work.source_part)
            for tensor, extent in zip(work.sources, work.source_extents, strict=True)
        )
        return replace(
            work,
            sources=tuple(t if t in work.constants else self.views.root(t) for t in work.sources),
            target=target,
            source_places=places,
            target_place=self._place(work.target, work.ofm, joined_rows)
            if work.part is None
            else self._place_part(work, self.known[target]),
        )

    def _place(
        self, tensor: int, extent: Extent, joined_rows: bool, part: Change | None = None
    ) -> Place:
        if tensor < 0 or tensor in self.made:
            return Place.of_all(extent)
        if tensor in self.gathered:
            return self._place_gathered(tensor, extent)
        root = self.views.root(tensor)
        whole = self.known.get(root) or natural_extent(self.graph.tensors[root].shape)
        layout = self.views.view(tensor) if part is None else self.views.part(tensor, part)
        place = place_map(layout, extent, whole, self.lanes, joined_rows)
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
        layout, stride = self.views.part(work.target, work.part), 0
        if work.repeats > 1:
            stride = layout.strides[0]
            layout = layout.apply(lambda array: array[0])
        place = place_map(layout, work.ofm, whole, self.lanes, joined_rows=False)
        if place is None:
            raise self.views.separately(work.target)
        on_chip = place.on_chip and work.repeats == 1
        return replace(place, repeats=work.repeats, repeat_stride=stride, on_chip=on_chip)
