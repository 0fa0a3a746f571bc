"""Executors of comparisons, logical operators, and the choice between two values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.broadcasting import broadcast_together, check_same_dtype
from kernels.comparison import COMPARISONS, compare, compare_quantized
from npu.model.graph import Graph, Operator
from npu.reference.executors.common import Context, TypedExecutor, input_quantization, operand


def _compare(graph: Graph, op: Operator, context: Context) -> NDArray[np.bool_]:
    a, b = operand(graph, op, 0, context), operand(graph, op, 1, context)
    if a.dtype != np.int8:
        return compare(op.kind, a, b)
    a_scale, a_zero_point = input_quantization(graph, op, 0)
    b_scale, b_zero_point = input_quantization(graph, op, 1)
    return compare_quantized(
        op.kind,
        a,
        b,
        a_scale=a_scale,
        a_zero_point=a_zero_point,
        b_scale=b_scale,
        b_zero_point=b_zero_point,
        rounding=context.rounding,
    )


def _logical(graph: Graph, op: Operator, context: Context) -> NDArray[np.bool_]:
    a, b = broadcast_together(operand(graph, op, 0, context), operand(graph, op, 1, context))
    result = a & b if op.kind == "LOGICAL_AND" else a | b
    return np.ascontiguousarray(result).reshape(a.shape)


def _logical_not(graph: Graph, op: Operator, context: Context) -> NDArray[np.bool_]:
    return ~operand(graph, op, 0, context)


def _select(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    condition, x, y = (operand(graph, op, i, context) for i in range(3))
    check_same_dtype(x, y)
    return np.where(condition, x, y)


_ORDERED = "int8", "int32", "int64", "float32"
_BOOL = ("bool",)
_EQUALITY = "EQUAL", "NOT_EQUAL"

EXECUTORS = {
    **{
        kind: TypedExecutor(_compare, (*_ORDERED, "bool") if kind in _EQUALITY else _ORDERED, _BOOL)
        for kind in COMPARISONS
    },
    "LOGICAL_AND": TypedExecutor(_logical, _BOOL),
    "LOGICAL_OR": TypedExecutor(_logical, _BOOL),
    "LOGICAL_NOT": TypedExecutor(_logical_not, _BOOL),
    "SELECT_V2": TypedExecutor(_select, ("int8", "int16", "float32")),
}
"""The kernels of operators on conditions.

None compares int16: TFLM does it with parameters that it never sets.
"""
