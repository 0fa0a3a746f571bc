"""Output shapes of elementwise operators, reductions and SOFTMAX."""

import numpy as np

from kernels.quantization import resolve_axes
from npu.model.graph import Graph, Operator
from npu.model.options import ReduceOptions
from npu.model.shape_rules.common import Shape, constant_operand, input_tensor, operator_error


def elementwise(graph: Graph, op: Operator) -> Shape:
    """Two operands that broadcast."""
    a, b = input_tensor(graph, op, 0), input_tensor(graph, op, 1)
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise operator_error(
            op, f"shapes {list(a.shape)} and {list(b.shape)} do not broadcast"
        ) from None


def prelu(graph: Graph, op: Operator) -> Shape:
    """PRELU: slopes that broadcast to the input."""
    x, alpha = input_tensor(graph, op, 0), input_tensor(graph, op, 1)
    if np.broadcast_shapes(x.shape, elementwise(graph, op)) != x.shape:
        raise operator_error(
            op, f"slopes of shape {list(alpha.shape)} for an input of shape {list(x.shape)}"
        )
    return x.shape


def reduced_axes(graph: Graph, op: Operator) -> tuple[int, ...]:
    """The axes that a reduction (MEAN, ...) runs over, each once, from 0, in rising order.

    Raises `ModelError` for axes that its input does not have.
    """
    rank = len(graph.tensors[op.inputs[0]].shape)
    axes = [int(a) for a in constant_operand(graph, op, 1).reshape(-1)]
    try:
        return resolve_axes(axes, rank)
    except ValueError as error:
        raise operator_error(op, str(error)) from None


def reduction(graph: Graph, op: Operator) -> Shape:
    """MEAN and its like."""
    shape = input_tensor(graph, op, 0).shape
    axes = reduced_axes(graph, op)
    if op.options_as(ReduceOptions).keep_dims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def arg_max(graph: Graph, op: Operator) -> Shape:
    """ARG_MAX and ARG_MIN."""
    shape = input_tensor(graph, op, 0).shape
    axis = reduced_axes(graph, op)
    if len(axis) != 1:
        raise operator_error(op, f"axes are {list(axis)}, one expected")
    return tuple(n for i, n in enumerate(shape) if i != axis[0])


def softmax(graph: Graph, op: Operator) -> Shape:
    """SOFTMAX and others over the last dimension."""
    x = input_tensor(graph, op, 0)
    if not x.shape:
        raise operator_error(op, f"input {x.name!r} is a scalar")
    return x.shape


def select(graph: Graph, op: Operator) -> Shape:
    """SELECT_V2: three operands that broadcast, the first one bool."""
    condition = input_tensor(graph, op, 0)
    shapes = [input_tensor(graph, op, i).shape for i in range(3)]
    if condition.type_name != "bool":
        raise operator_error(
            op, f"condition {condition.name!r} is {condition.type_name}, bool expected"
        )
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise operator_error(op, f"shapes {[list(s) for s in shapes]} do not broadcast") from None


def add_n(graph: Graph, op: Operator) -> Shape:
    """ADD_N: two or more operands of one shape."""
    shapes = [input_tensor(graph, op, i).shape for i in range(len(op.inputs))]
    if len(set(shapes)) != 1:
        raise operator_error(op, f"shapes {[list(s) for s in shapes]} differ")
    return shapes[0]
