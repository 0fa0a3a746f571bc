"""Dilated convolutions that a file writes as convolutions of maps taken apart.

SPACE_TO_BATCH_ND deals the pixels of a map out to the maps of a batch, a CONV_2D or
DEPTHWISE_CONV_2D works on each, and BATCH_TO_SPACE_ND puts the pixels back: neighbours in each map
are a block apart in the whole one. On the NPU that is one convolution whose taps are a block
further apart; the operators around it do nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from npu.compiler.lowering.convolution import lower_convolution
from npu.compiler.lowering.padding import FOLDABLE_INTO, padding_value, paddings
from npu.compiler.terms.geometry import Extent, SlidingWindow
from npu.compiler.terms.normalize import FIELD_LIMIT, normalize
from npu.compiler.terms.operator import LoweredOperator
from npu.model.graph import Graph, Operator
from npu.model.quant_params import scale_and_zero_point, window_geometry

VIEW_KINDS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
DEALING_KINDS = frozenset({"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"})

Pair = tuple[int, int]


@dataclass(frozen=True)
class Dilation:
    """Operators that are one dilated convolution together.

    Attributes
    ----------
    members : their indices, in execution order.
    convolution : the index of the one that computes.
    source, target : the tensor that the first one reads, and that the last one writes.
    ifm, ofm : these tensors as maps.
    window : of the dilated convolution.
    pad_value : what it reads outside the map, int8.
    """

    members: tuple[int, ...]
    convolution: int
    source: int
    target: int
    ifm: Extent
    ofm: Extent
    window: SlidingWindow
    pad_value: int

    @property
    def inner(self) -> frozenset[int]:
        """The members that do nothing."""
        return frozenset(self.members) - {self.convolution}


def find_dilations(graph: Graph, run: Collection[int] | None = None) -> tuple[Dilation, ...]:
    """The dilated convolutions of a graph, or those of which `run` holds every operator."""
    found = (find_dilation(graph, op) for op in graph.operators if op.kind == "SPACE_TO_BATCH_ND")
    return tuple(
        one for one in found if one is not None and (run is None or set(one.members) <= set(run))
    )


def find_dilation(graph: Graph, dealing: Operator) -> Dilation | None:
    """The dilated convolution that begins with the SPACE_TO_BATCH_ND `dealing`.

    None where the operators behind it are others, are read from elsewhere too, or are no single
    window over the map.
    """
    members = [dealing]
    op = _next(graph, dealing)
    while op is not None and op.kind in VIEW_KINDS:
        members.append(op)
        op = _next(graph, op)
    if op is None or op.kind not in FOLDABLE_INTO:
        return None
    convolution = op
    members.append(op)
    op = _next(graph, op)
    while op is not None and op.kind in VIEW_KINDS:
        members.append(op)
        op = _next(graph, op)
    if op is None or op.kind != "BATCH_TO_SPACE_ND":
        return None
    members.append(op)
    padding = _padding_before(graph, dealing)
    for before in (padding, None) if padding else (None,):
        found = _as_window(graph, before, members, convolution)
        if found is not None:
            return found
    return None


def lower_dilation(graph: Graph, dilation: Dilation) -> LoweredOperator:
    """Lower a dilated convolution, as its convolution.

    Raises
    ------
    ModelError, CompileError : parameters that no kernel accepts, or that the hardware does not.
    """
    op = graph.operator(dilation.convolution)
    task = lower_convolution(graph, op, dilation.ifm, dilation.ofm, dilation.window)
    task = replace(task, ifm_zero_point=dilation.pad_value)
    macs = graph.macs(op)
    return LoweredOperator(
        op.index, op.kind, macs, (dilation.source,), dilation.target, (normalize(task),)
    )


def _next(graph: Graph, op: Operator) -> Operator | None:
    """The only operator that reads what `op` makes, and reads it as its data."""
    output = op.outputs[0]
    consumers = graph.consumers(output)
    if output in graph.outputs or len(consumers) != 1:
        return None
    return consumers[0] if consumers[0].inputs[0] == output else None


def _padding_before(graph: Graph, dealing: Operator) -> Operator | None:
    """A PAD of rows and columns that `dealing` alone reads."""
    op = graph.producer(dealing.inputs[0])
    if op is None or op.kind != "PAD" or _next(graph, op) is not dealing:
        return None
    if not graph.tensors[op.inputs[1]].is_constant:
        return None
    amounts = paddings(graph, op)
    return None if any(amounts[0]) or any(amounts[-1]) else op


def _as_window(
    graph: Graph, padding: Operator | None, members: list[Operator], convolution: Operator
) -> Dilation | None:
    first, last = members[0], members[-1]
    source, target = (padding or first).inputs[0], last.outputs[0]
    block, pairs = _block_and_pairs(graph, first)
    block_behind, crops = _block_and_pairs(graph, last)
    ifm_shape, ofm_shape = graph.tensors[source].shape, graph.tensors[target].shape
    if not block or block != block_behind or not ifm_shape[0] == ofm_shape[0] == 1:
        return None
    inner = tuple(graph.tensors[t].shape for t in (first.outputs[0], last.inputs[0]))
    maps = tuple(graph.tensors[t].shape for t in (convolution.inputs[0], convolution.outputs[0]))
    axes = _axes(inner, maps)
    if axes is None:
        return None
    amounts = ((0, 0),) * len(block)
    if padding is not None:
        amounts = paddings(graph, padding)[1:-1]
    ifm, ofm = _extent(ifm_shape, axes), _extent(ofm_shape, axes)
    windows = window_geometry(graph, convolution)
    _, zero_point = scale_and_zero_point(graph.tensors[convolution.inputs[0]])
    window: list[_AxisWindow] = []
    values: set[int] = set()
    for axis in (0, 1):
        # an axis of the maps that SPACE_TO_BATCH_ND does not know is not dealt out
        step, padded, added, crop = 1, (0, 0), (0, 0), 0
        if axis in axes:
            position = axes.index(axis)
            step, padded, added = block[position], amounts[position], pairs[position]
            crop = crops[position][0]
        stride = windows.stride[axis]
        own = windows.padding[axis] * step
        one = _AxisWindow(
            windows.kernel[axis],
            stride,
            windows.dilation[axis] * step,
            padded[0] + added[0] + own - crop * stride,
        )
        sides = (ifm.height, ifm.width)[axis], (ofm.height, ofm.width)[axis]
        if (stride != 1 and step != 1) or not one.in_range(*sides):
            return None
        window.append(one)
        # TFLM deals out the stored value 0 as padding, whatever the zero point is
        layers = [(padded, padding_value(graph, padding) if padding else 0), (added, 0)]
        values |= _values_read(one.beyond(*sides), layers, zero_point)
    if len(values) > 1:
        return None
    every = (*(() if padding is None else (padding,)), *members)
    return Dilation(
        tuple(sorted(op.index for op in every)),
        convolution.index,
        source,
        target,
        ifm,
        ofm,
        SlidingWindow(
            height=window[0].kernel,
            width=window[1].kernel,
            stride_y=window[0].stride,
            stride_x=window[1].stride,
            dilation_y=window[0].dilation,
            dilation_x=window[1].dilation,
            pad_top=window[0].pad,
            pad_left=window[1].pad,
        ),
        values.pop() if values else zero_point,
    )


class _AxisWindow(NamedTuple):
    """A window along one axis."""

    kernel: int
    stride: int
    dilation: int
    pad: int

    def in_range(self, inputs: int, outputs: int) -> bool:
        """Whether commands can hold it, and it meets the map everywhere."""
        span = (self.kernel - 1) * self.dilation + 1
        return (
            max(self.kernel, self.stride, self.dilation, abs(self.pad)) <= FIELD_LIMIT
            and self.pad < span
            and (outputs - 1) * self.stride - self.pad < inputs
        )

    def beyond(self, inputs: int, outputs: int) -> Pair:
        """How far it reads in front of the map and behind it."""
        span = (self.kernel - 1) * self.dilation + 1
        end = (outputs - 1) * self.stride - self.pad + span
        return max(self.pad, 0), max(end - inputs, 0)


def _values_read(beyond: Pair, layers: list[tuple[Pair, int]], otherwise: int) -> set[int]:
    """What a window reads that goes `beyond` a map.

    `layers` lie around the map from within: their width in front and behind, and their value.
    """
    found: set[int] = set()
    for side in (0, 1):
        left = beyond[side]
        for width, value in layers:
            if left > 0 and width[side]:
                found.add(value)
            left -= width[side]
        if left > 0:
            found.add(otherwise)
    return found


def _block_and_pairs(graph: Graph, op: Operator) -> tuple[tuple[int, ...], tuple[Pair, ...]]:
    """The block of an operator of `DEALING_KINDS`, and what it adds or cuts off at both ends.

    Nothing where they are computed.
    """
    block, pairs = (graph.tensors[i].data for i in op.inputs[1:3])
    if block is None or pairs is None:
        return (), ()
    amounts = tuple((int(before), int(after)) for before, after in pairs.reshape(-1, 2))
    return tuple(int(n) for n in block.reshape(-1)), amounts


def _axes(
    inner: tuple[tuple[int, ...], ...], maps: tuple[tuple[int, ...], ...]
) -> tuple[int, ...] | None:
    """Which axes of the convolution's maps are those of the tensors `inner` that they view.

    0: rows, 1: columns. None where views make another batch or other channels.
    """
    for axes in ((0, 1), (1,), (0,)):
        for shape, seen in zip(inner, maps, strict=True):
            others = [seen[1 + axis] for axis in (0, 1) if axis not in axes]
            sides = tuple(seen[1 + axis] for axis in axes)
            same = (shape[0], *sides, shape[-1]) == (seen[0], *shape[1:-1], seen[-1])
            if len(shape) != 2 + len(axes) or not same or any(n != 1 for n in others):
                break
        else:
            return axes
    return None


def _extent(shape: tuple[int, ...], axes: tuple[int, ...]) -> Extent:
    sides = dict(zip(axes, shape[1:-1], strict=True))
    return Extent(sides.get(0, 1), sides.get(1, 1), shape[-1])
