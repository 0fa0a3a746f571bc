"""Reductions as sliding windows as large as what they reduce.

Sums over pixels are DEPTHWISE, sums over channels CONV with weights of one. A tensor of any rank is
reduced as a map whose sides are runs of its axes, or as several maps.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from kernels.quantization import mean_multiplier, rescale_multiplier
from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.normalize import FIELD_LIMIT, normalize
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import EXTENT_LIMIT, is_map, map_axes, map_extent
from npu.compiler.terms.strided import Change
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import Activation
from npu.model.quant_params import activation_range, blamed_on, scale_and_zero_point
from npu.model.shape_rules import reduced_axes
from rtl.isa import Opcode

SUM_KINDS = frozenset({"MEAN", "SUM"})
REDUCTION_KINDS = SUM_KINDS | {"REDUCE_MAX"}

MAP_LIMIT = 64
"""Maps of one operator at most: each takes commands of its own."""

INT8_MIN, INT8_MAX = -128, 127


@dataclass(frozen=True, slots=True)
class ReducedMaps:
    """A tensor as maps that are all reduced alike.

    Parameters
    ----------
    groups : the tensor's shape with axes joined, and whether they are reduced.
    apart : groups of which each index is a map of its own; they are not reduced.
    extent, over : the map, and which of height, width and channels are reduced.
    """

    groups: tuple[tuple[int, bool], ...]
    apart: tuple[int, ...]
    extent: Extent
    over: tuple[bool, bool, bool]

    @property
    def reduced_extent(self) -> Extent:
        """The map that a reduction makes."""
        sides = self.extent.height, self.extent.width, self.extent.channels
        return Extent(*(1 if over else n for n, over in zip(sides, self.over, strict=True)))

    @property
    def dense(self) -> bool:
        """Whether the rows of a map follow each other in the tensor."""
        spatial = [i for i in range(len(self.groups) - 1) if i not in self.apart]
        return len(spatial) < 2 or spatial[1] == spatial[0] + 1

    @property
    def count(self) -> int:
        """Number of maps."""
        return prod(self.groups[i][0] for i in self.apart)

    def parts(self) -> Iterator[tuple[Change, Change]]:
        """For each map which part of the output it makes, and which of the input it is."""
        kept = [i for i, (_, reduced) in enumerate(self.groups) if not reduced]
        sizes = [n for n, _ in self.groups]
        for chosen in product(*(range(sizes[i]) for i in self.apart)):
            index = dict(zip(self.apart, chosen, strict=True))
            yield (
                _taking([sizes[i] for i in kept], [index.get(i) for i in kept]),
                _taking(sizes, [index.get(i) for i in range(len(sizes))]),
            )


def find_reduced_maps(graph: Graph, op: Operator) -> ReducedMaps | None:
    """How a reduction is one of maps, if it is one."""
    shape = graph.tensors[op.inputs[0]].shape
    axes = reduced_axes(graph, op)
    over_channels = len(shape) - 1 in axes
    if is_map(shape) and not (over_channels and op.kind == "REDUCE_MAX"):
        return _one_map(shape, axes)
    sides = [(n, i in axes) for i, n in enumerate(shape)]
    if over_channels and op.kind == "REDUCE_MAX":
        # a maximum is one of pixels, so that channels become pixels of one channel
        sides.append((1, False))
    *spatial, channels = sides
    groups = (*_joined(spatial), channels)
    kept = [i for i, (_, reduced) in enumerate(groups[:-1]) if not reduced]
    for number in range(len(kept) + 1):
        apart = tuple(kept[:number])
        rest = [group for i, group in enumerate(groups[:-1]) if i not in apart]
        whole = [side for group in rest for side in _split(*group)]
        maps = prod(groups[i][0] for i in apart)
        if len(whole) <= 2 and maps <= MAP_LIMIT and all(_in_range(*side) for side in whole):
            height, width, last = ((1, False),) * (2 - len(whole)) + (*whole, channels)
            extent = Extent(height[0], width[0], last[0])
            return ReducedMaps(groups, apart, extent, (height[1], width[1], last[1]))
    return None


def _one_map(shape: tuple[int, ...], axes: tuple[int, ...]) -> ReducedMaps:
    """Where all pixels are reduced, it does not matter in which rows they lie."""
    extent, over = map_extent(shape), map_axes(axes, len(shape))
    whole = (over[0] or extent.height == 1) and (over[1] or extent.width == 1)
    if whole and max(extent.height, extent.width) > FIELD_LIMIT:
        sides = _split(extent.pixels, True)
        if len(sides) == 2:
            extent = Extent(sides[0][0], sides[1][0], extent.channels)
            over = True, True, over[2]
    whole_map = extent.height, extent.width, extent.channels
    return ReducedMaps(tuple(zip(whole_map, over, strict=True)), (), extent, over)


def _joined(sides: Iterable[tuple[int, bool]]) -> list[tuple[int, bool]]:
    """Neighbours that are both reduced, or both not, as one."""
    joined: list[tuple[int, bool]] = []
    for size, reduced in sides:
        if joined and joined[-1][1] == reduced:
            joined[-1] = joined[-1][0] * size, reduced
        elif size > 1:
            joined.append((size, reduced))
    return joined


def _split(size: int, reduced: bool) -> list[tuple[int, bool]]:
    """Pixels that are reduced, in two sides if one is too long."""
    if _in_range(size, reduced):
        return [(size, reduced)]
    for height in range(1, FIELD_LIMIT + 1):
        width, rest = divmod(size, height)
        if rest == 0 and width <= FIELD_LIMIT:
            return [(height, reduced), (width, reduced)]
    return [(size, reduced)]


def _in_range(size: int, reduced: bool) -> bool:
    return size <= (FIELD_LIMIT if reduced else EXTENT_LIMIT)


def _taking(sizes: list[int], index: list[int | None]) -> Change:
    # with an ellipsis, a single element is a view too
    chosen = (*(slice(None) if i is None else i for i in index), ...)
    return lambda array: np.reshape(array, sizes, copy=False)[chosen]


def lower_reduction(graph: Graph, op: Operator) -> LoweredOperator:
    """Lower MEAN, SUM or REDUCE_MAX of one of its `find_reduced_maps`, or of the only one."""
    maps = find_reduced_maps(graph, op)
    assert maps is not None, "a rule excludes others"
    ifm, ofm = maps.extent, maps.reduced_extent
    over_height, over_width, over_channels = maps.over
    window = SlidingWindow(
        height=ifm.height if over_height else 1, width=ifm.width if over_width else 1
    )
    low, high = activation_range(graph, op, Activation.NONE)
    count = ifm.size // ofm.size
    multiplier, shift = IDENTITY
    opcode, weights = Opcode.MAX_POOL, None
    bias, ifm_zero_point, ofm_zero_point = 0, INT8_MIN, 0
    if op.kind in SUM_KINDS:
        multiplier, shift = _rescaling(graph, op, count)
        opcode = Opcode.CONV if over_channels else Opcode.DEPTHWISE
        weights = np.ones((window.height, window.width, ifm.channels), np.int8)
        weights = weights[None] if over_channels else weights
        bias = -count * scale_and_zero_point(graph.tensors[op.inputs[0]])[1]
        ifm_zero_point = 0
        ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))[1]
    task = GridTask(
        opcode=opcode,
        ifm=ifm,
        ofm=ofm,
        window=window,
        area=Area.of_all(ofm),
        weights=weights,
        bias=np.full(ofm.channels, bias, np.int32),
        multiplier=np.full(ofm.channels, multiplier, np.int32),
        shift=np.full(ofm.channels, shift, np.int32),
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        activation_min=low,
        activation_max=high,
    )
    task = normalize(task) if maps.dense else task
    return LoweredOperator(op.index, op.kind, 0, (op.inputs[0],), op.outputs[0], (task,))


def _rescaling(graph: Graph, op: Operator, count: int) -> tuple[int, int]:
    ifm_scale, _ = scale_and_zero_point(graph.tensors[op.inputs[0]])
    ofm_scale, _ = scale_and_zero_point(graph.output_tensor(op))
    with blamed_on(op):
        if op.kind == "MEAN":
            return mean_multiplier(ifm_scale, ofm_scale, count)
        return rescale_multiplier(ifm_scale, ofm_scale)
