"""Windows over a batch of maps, and reductions of each: the same work for each map."""

from dataclasses import replace

from npu.compiler.lowering.dispatch import GRID_KINDS
from npu.compiler.lowering.reduction import REDUCTION_KINDS
from npu.compiler.terms.strided import Change
from npu.model.graph import Graph, Operator
from npu.model.shape_rules import reduced_axes

WINDOW_KINDS = GRID_KINDS - {"FULLY_CONNECTED"}

BATCH_LIMIT = 64
"""Maps of a batch at most: each takes commands of its own."""


def maps_of(graph: Graph, op: Operator) -> int:
    """On how many maps an operator works that does the same with each of them."""
    shape = graph.tensors[op.inputs[0]].shape
    if len(shape) != 4:
        return 1
    if op.kind in REDUCTION_KINDS and 0 not in reduced_axes(graph, op):
        return shape[0]
    return shape[0] if op.kind in WINDOW_KINDS else 1


def single_map(graph: Graph, op: Operator) -> Graph:
    """`graph` as if `op` worked on one map only."""
    tensors = list(graph.tensors)
    for index in (op.inputs[0], op.outputs[0]):
        tensors[index] = replace(tensors[index], shape=(1, *tensors[index].shape[1:]))
    return replace(graph, tensors=tuple(tensors))


def one_of(number: int) -> Change:
    """Map `number` of a batch."""
    return lambda array: array[number]
