"""Corrects the shapes of files in which a batch that was left open grows on the way.

With an open batch the converter stores 1 for whatever it becomes: behind a SPACE_TO_BATCH_ND there
are as many maps as its block has pixels, and one is stored. TFLM trusts that, leaves out all maps
but one, and BATCH_TO_SPACE_ND takes the others from memory that nothing wrote. Which shapes were
meant follows from the block.
"""

import struct
from dataclasses import replace
from math import prod

from npu.model.graph import Graph, Operator
from npu.model.schema import schema

KEEPS_BATCH = frozenset(
    {
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "PAD", "QUANTIZE"),
        *("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D"),
        *("ADD", "SUB", "MUL", "RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU"),
        *("LOGISTIC", "TANH", "HARD_SWISH", "ELU"),
    }
)
"""Operators that do with each map of a batch what they do with one."""

Shape = tuple[int, ...]
_SHAPE_FIELD = 4
"""Of a tensor, in the offsets of flatbuffers."""


def close_batches(graph: Graph) -> Graph:
    """`graph` with the maps that its file leaves out, in its file (where the graph knows it) too,
    and `repaired` naming them.

    The same graph where nothing is left out, or where what is meant does not follow: every tensor
    that grows must end in a BATCH_TO_SPACE_ND whose output has the shape that is stored.
    """
    meant: dict[int, Shape] = {}
    for op in graph.operators:
        if op.kind == "SPACE_TO_BATCH_ND":
            dealt = _dealt_out(graph, op, meant)
            stored = graph.output_tensor(op).shape
            if dealt and dealt[1:] == stored[1:] and dealt[0] > stored[0]:
                meant[op.outputs[0]] = dealt
        elif meant.keys() & set(op.inputs):
            if op.kind == "BATCH_TO_SPACE_ND":
                if _joined(graph, op, meant[op.inputs[0]]) != graph.output_tensor(op).shape:
                    return graph
            elif not _grow(graph, op, meant):
                return graph
    if not meant or meant.keys() & set(graph.outputs):
        return graph
    tensors = tuple(replace(t, shape=meant.get(t.index, t.shape)) for t in graph.tensors)
    file = _with_shapes(graph.file, graph.subgraph, meant) if graph.file else b""
    return replace(graph, tensors=tensors, file=file, repaired=tuple(meant))


def _grow(graph: Graph, op: Operator, meant: dict[int, Shape]) -> bool:
    """Let the output have as many maps as the input; False where that does not follow."""
    data, ofm = op.inputs[0], graph.output_tensor(op)
    others = [i for i in op.present_inputs[1:] if not graph.tensors[i].is_constant]
    ifm = graph.tensors[data].shape
    if op.kind not in KEEPS_BATCH or others or data not in meant or ifm[:1] != ofm.shape[:1]:
        return False
    meant[ofm.index] = (meant[data][0], *ofm.shape[1:])
    return True


def _dealt_out(graph: Graph, op: Operator, meant: dict[int, Shape]) -> Shape | None:
    found = _block_and_pairs(graph, op)
    shape = meant.get(op.inputs[0], graph.tensors[op.inputs[0]].shape)
    if found is None or len(shape) != len(found[0]) + 2 or 0 in found[0]:
        return None
    block, pairs = found
    inner = [(n + sum(p)) // b for n, b, p in zip(shape[1:-1], block, pairs, strict=True)]
    return (shape[0] * prod(block), *inner, shape[-1])


def _joined(graph: Graph, op: Operator, shape: Shape) -> Shape | None:
    found = _block_and_pairs(graph, op)
    if found is None or len(shape) != len(found[0]) + 2 or 0 in found[0]:
        return None
    block, pairs = found
    sides = [n * b - sum(p) for n, b, p in zip(shape[1:-1], block, pairs, strict=True)]
    return (shape[0] // prod(block), *sides, shape[-1])


def _block_and_pairs(graph: Graph, op: Operator) -> tuple[list[int], list[list[int]]] | None:
    """The block of an operator, and what it adds or cuts off; None where that is not sound."""
    if len(op.inputs) != 3 or len(op.outputs) != 1 or min(op.inputs) < 0:
        return None
    block, pairs = (graph.tensors[i].data for i in op.inputs[1:])
    if block is None or pairs is None or pairs.size != 2 * block.size:
        return None
    return block.reshape(-1).tolist(), pairs.reshape(-1, 2).tolist()


def _with_shapes(file: bytes, subgraph: int, shapes: dict[int, Shape]) -> bytes:
    """The flatbuffer with other shapes: vectors at its end, to which the tensors point."""
    data = bytearray(file)
    tables = schema.Model.GetRootAs(data, 0).Subgraphs(subgraph)
    for index, shape in shapes.items():
        table = tables.Tensors(index)._tab
        field = table.Pos + table.Offset(_SHAPE_FIELD)
        data += bytes(-len(data) % 4)
        struct.pack_into("<I", data, field, len(data) - field)
        data += struct.pack(f"<I{len(shape)}i", len(shape), *shape)
    return bytes(data)
