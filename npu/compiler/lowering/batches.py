"""Windows over a batch of maps: the same work for each map."""

from dataclasses import replace

from npu.compiler.lowering.dispatch import GRID_KINDS
from npu.compiler.terms.strided import Change
from npu.model.graph import Graph, Operator

BATCHED_KINDS = GRID_KINDS - {"FULLY_CONNECTED"}

BATCH_LIMIT = 64
"""Maps of a batch at most: each takes commands of its own."""


def maps_of(graph: Graph, op: Operator) -> int:
    """How many maps a window operator works on."""
    shape = graph.output_tensor(op).shape
    return shape[0] if op.kind in BATCHED_KINDS and len(shape) == 4 else 1


def single_map(graph: Graph, op: Operator) -> Graph:
    """`graph` as if `op` worked on one map only."""
    tensors = list(graph.tensors)
    for index in (op.inputs[0], op.outputs[0]):
        tensors[index] = replace(tensors[index], shape=(1, *tensors[index].shape[1:]))
    return replace(graph, tensors=tuple(tensors))


def one_of(number: int) -> Change:
    """Map `number` of a batch."""
    return lambda array: array[number]
