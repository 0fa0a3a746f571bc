"""Windows over a batch of maps, and reductions of several maps: the same work for each map."""

from collections.abc import Iterator
from dataclasses import replace

from npu.compiler.lowering.dispatch import GRID_KINDS
from npu.compiler.lowering.padding import PAD_KINDS
from npu.compiler.lowering.reduction import MAP_LIMIT, REDUCTION_KINDS, find_reduced_maps
from npu.compiler.terms.strided import Change
from npu.model.graph import Graph, Operator

WINDOW_KINDS = GRID_KINDS - {"FULLY_CONNECTED"} | PAD_KINDS

BATCH_LIMIT = MAP_LIMIT
"""Maps of a batch at most: each takes commands of its own."""


def maps_of(graph: Graph, op: Operator) -> int:
    """On how many maps an operator works that does the same with each of them."""
    if op.kind in REDUCTION_KINDS:
        maps = find_reduced_maps(graph, op)
        return maps.count if maps is not None else 1
    shape = graph.tensors[op.inputs[0]].shape
    return shape[0] if op.kind in WINDOW_KINDS and len(shape) == 4 else 1


def parts_of(graph: Graph, op: Operator) -> Iterator[tuple[Change, Change]]:
    """The part of the output and of the input that each map of `maps_of` is."""
    maps = find_reduced_maps(graph, op) if op.kind in REDUCTION_KINDS else None
    if maps is not None:
        yield from maps.parts()
        return
    for number in range(maps_of(graph, op)):
        yield one_of(number), one_of(number)


def single_map(graph: Graph, op: Operator) -> Graph:
    """`graph` as if `op` worked on one map only. Reductions know by themselves."""
    if op.kind in REDUCTION_KINDS:
        return graph
    tensors = list(graph.tensors)
    for index in (op.inputs[0], op.outputs[0]):
        tensors[index] = replace(tensors[index], shape=(1, *tensors[index].shape[1:]))
    return replace(graph, tensors=tuple(tensors))


def one_of(number: int) -> Change:
    """Map `number` of a batch."""
    return lambda array: array[number]
