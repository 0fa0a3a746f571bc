"""Evaluates, when a model is read, the operators whose results do not depend on its inputs.

The converter writes shapes as computations (SHAPE > STRIDED_SLICE > PACK > RESHAPE) whenever a
dimension was left open, although every stored shape is static. What follows from shapes and
constants alone is worked out here, so that nothing behind the reader sees it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.data_movement import strided_slice
from npu.errors import ModelError
from npu.model.graph import ABSENT, Graph, Operator, Tensor
from npu.model.lut_decode import TFLM_DECODE, decode_luts
from npu.model.options import Activation, AxisOptions, ConcatenationOptions
from npu.model.shape_rules.movement import operator_slices

Array = NDArray[Any]
Evaluate = Callable[[Graph, Operator, Sequence[Array]], Array | list[Array]]

# a greater constant would only be kept in memory for nothing
LARGEST_BYTES = 1 << 24
INTEGERS = frozenset({"int32", "int64", "bool"})


def fold_constants(graph: Graph) -> Graph:
    """`graph` without the operators that can be evaluated now; their outputs are constants.

    These are operators that read nothing but constants, and SHAPE and RANK of anything, as long as
    they compute in int32, int64 or bool, or only move data of any type: what is rescaled rounds as
    the hardware does, and is left to it. An operator that cannot be evaluated stays.
    """
    tensors = list(graph.tensors)
    left = []
    for op in graph.operators:
        values = None
        if _foldable(tensors, op):
            # evaluation looks at operands through a graph, which has to know the new values
            values = _evaluated(replace(graph, tensors=tuple(tensors)), op)
        if values is None:
            left.append(op)
            continue
        for index, value in zip(op.outputs, values, strict=True):
            value.flags.writeable = False
            tensors[index] = replace(tensors[index], data=value)
    return replace(graph, tensors=tuple(tensors), operators=tuple(left))


def _foldable(tensors: Sequence[Tensor], op: Operator) -> bool:
    if op.kind in SHAPES:
        return len(op.inputs) == 1
    if op.kind not in MOVES and op.kind not in ARITHMETIC:
        return False
    inputs = [tensors[i] for i in op.inputs if i != ABSENT]
    if len(inputs) != len(op.inputs) or not all(t.is_constant for t in inputs):
        return False
    if op.kind in MOVES:
        return True
    clamped = getattr(op.options, "activation", Activation.NONE) is not Activation.NONE
    return not clamped and all(t.type_name in INTEGERS for t in inputs)


def _evaluated(graph: Graph, op: Operator) -> list[Array] | None:
    """The values of the outputs; None where they are not what the file says they are."""
    outputs = [graph.tensors[i] for i in op.outputs]
    if any(t.size * t.dtype.itemsize > LARGEST_BYTES for t in outputs):
        return None
    evaluate = SHAPES.get(op.kind) or MOVES.get(op.kind) or ARITHMETIC[op.kind]
    values = [] if op.kind in SHAPES else [np.asarray(graph.tensors[i].data) for i in op.inputs]
    try:
        with np.errstate(all="ignore"):
            result = evaluate(graph, op, values)
    except (ModelError, ValueError, IndexError, TypeError, ZeroDivisionError):
        # whatever is wrong with it is said by the checks that follow, as of any other operator
        return None
    arrays = result if isinstance(result, list) else [result]
    described = [(t.shape, t.dtype) for t in outputs]
    if [(a.shape, a.dtype) for a in map(np.asarray, arrays)] != described:
        return None
    return [np.ascontiguousarray(a).reshape(t.shape) for a, t in zip(arrays, outputs, strict=True)]


def _shape(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return np.array(graph.tensors[op.inputs[0]].shape, graph.output_tensor(op).dtype)


def _rank(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return np.array(len(graph.tensors[op.inputs[0]].shape), graph.output_tensor(op).dtype)


def _as_stored(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return values[0].reshape(graph.output_tensor(op).shape)


def _transpose(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return values[0].transpose([int(i) for i in values[1].reshape(-1)])


def _concatenation(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return np.concatenate(values, op.options_as(ConcatenationOptions).axis)


def _pack(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return np.stack(values, op.options_as(AxisOptions).axis)


def _unpack(graph: Graph, op: Operator, values: Sequence[Array]) -> list[Array]:
    return list(np.moveaxis(values[0], op.options_as(AxisOptions).axis, 0))


def _split(graph: Graph, op: Operator, values: Sequence[Array]) -> list[Array]:
    data, axis = (values[1], values[0]) if op.kind == "SPLIT" else (values[0], values[2])
    where = int(axis.item())
    sizes = [graph.tensors[i].shape[where] for i in op.outputs]
    return np.split(data, np.cumsum(sizes)[:-1].tolist(), where)


def _slice(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return strided_slice(values[0], operator_slices(graph, op))


def _gather(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return np.take(values[0], values[1], op.options_as(AxisOptions).axis)


def _filled(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    data = values[1] if op.kind == "FILL" else values[0]
    return np.broadcast_to(data, graph.output_tensor(op).shape)


def _looked_up(graph: Graph, op: Operator, values: Sequence[Array]) -> list[Array]:
    return list(decode_luts(values, [graph.tensors[i] for i in op.outputs]))


def _zeros(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return np.zeros_like(values[0])


def _cast(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    made = graph.output_tensor(op)
    if made.type_name not in INTEGERS:
        raise ValueError(made.type_name)
    return values[0].astype(made.dtype)


def _broadcast_shape(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    shapes = [tuple(int(n) for n in v) for v in values]
    return np.array(np.broadcast_shapes(*shapes), values[0].dtype)


def _select(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    return np.where(*values)


def _quotient(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
    if not np.all(values[1]):
        raise ValueError("division by zero")
    function = np.floor_divide if op.kind == "FLOOR_DIV" else np.mod
    return np.asarray(function(*values))


def _function(function: Callable[..., Any]) -> Evaluate:
    def evaluate(graph: Graph, op: Operator, values: Sequence[Array]) -> Array:
        return np.asarray(function(*values))

    return evaluate


SHAPES: Mapping[str, Evaluate] = {"SHAPE": _shape, "RANK": _rank}
"""Operators that look at the shape of their input only."""
MOVES: Mapping[str, Evaluate] = {
    "RESHAPE": _as_stored,
    "SQUEEZE": _as_stored,
    "EXPAND_DIMS": _as_stored,
    "TRANSPOSE": _transpose,
    "PACK": _pack,
    "UNPACK": _unpack,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "SLICE": _slice,
    "STRIDED_SLICE": _slice,
    "GATHER": _gather,
    "BROADCAST_TO": _filled,
    TFLM_DECODE: _looked_up,
}
"""Operators that move data of any type, or look it up."""
ARITHMETIC: Mapping[str, Evaluate] = {
    "CONCATENATION": _concatenation,
    "FILL": _filled,
    "ZEROS_LIKE": _zeros,
    "CAST": _cast,
    "BROADCAST_ARGS": _broadcast_shape,
    "SELECT_V2": _select,
    "ADD": _function(np.add),
    "SUB": _function(np.subtract),
    "MUL": _function(np.multiply),
    "FLOOR_DIV": _quotient,
    "FLOOR_MOD": _quotient,
    "MAXIMUM": _function(np.maximum),
    "MINIMUM": _function(np.minimum),
    "NEG": _function(np.negative),
    "ABS": _function(np.abs),
    "EQUAL": _function(np.equal),
    "NOT_EQUAL": _function(np.not_equal),
    "LESS": _function(np.less),
    "LESS_EQUAL": _function(np.less_equal),
    "GREATER": _function(np.greater),
    "GREATER_EQUAL": _function(np.greater_equal),
    "LOGICAL_AND": _function(np.logical_and),
    "LOGICAL_OR": _function(np.logical_or),
    "LOGICAL_NOT": _function(np.logical_not),
}
"""Operators of which integers are folded."""
