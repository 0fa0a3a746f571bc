"""A segment's graph for inputs of other shapes than its file has."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from math import prod

from npu.errors import ModelError
from npu.model.graph import Graph, Operator
from npu.model.shape_rules import output_shapes

Shape = tuple[int, ...]
_SAY_THEMSELVES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


def resized(graph: Graph, shapes: Mapping[int, Shape], computed: Collection[int] = ()) -> Graph:
    """`graph` with inputs of these `shapes`, and what follows for every other tensor.

    Constants among `computed` were computed from shapes, in the file's shapes: where one says the
    shape of a RESHAPE, all extents but the first stay, as converters write it for an open batch.

    Raises `ModelError` where an operator does not take the shapes.
    """
    tensors = list(graph.tensors)
    for index, shape in shapes.items():
        tensors[index] = replace(tensors[index], shape=shape)
    for op in graph.operators:
        known = replace(graph, tensors=tuple(tensors))
        if op.kind in _SAY_THEMSELVES:
            made = [_reshaped(known, op, computed)]
        else:
            made = output_shapes(known, op)
        for index, shape in zip(op.outputs, made, strict=True):
            tensors[index] = replace(tensors[index], shape=shape)
    return replace(graph, tensors=tuple(tensors))


def _reshaped(graph: Graph, op: Operator, computed: Collection[int]) -> Shape:
    size, shape = graph.tensors[op.inputs[0]].size, graph.output_tensor(op).shape
    wanted = list(shape)
    said = graph.input_tensor(op, 1)
    if op.kind == "RESHAPE" and said is not None and said.index not in computed:
        if said.data is not None:
            wanted = [int(n) for n in said.data.reshape(-1)]
    elif wanted:
        wanted[0] = -1
    rest = prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and rest > 0 and size % rest == 0:
        wanted[wanted.index(-1)] = size // rest
    if prod(wanted) != size or min(wanted, default=1) < 0:
        raise ModelError(
            f"operator {op.index} ({op.kind}): {size} elements do not become {list(shape)}"
        )
    return tuple(wanted)
