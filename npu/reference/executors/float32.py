"""Executors of what the converter leaves in float32 between DEQUANTIZE and QUANTIZE; int32 too."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import float32 as kernels
from npu.model.graph import Graph, Operator
from npu.model.options import CumsumOptions, ElementwiseOptions, LeakyReluOptions
from npu.reference.executors.common import Context, TypedExecutor, operand, operands


def _unary(graph: Graph, op: Operator, context: Context) -> NDArray[np.float32]:
    options = op.options
    alpha = options.alpha if isinstance(options, LeakyReluOptions) else 0.0
    return kernels.unary(op.kind, operand(graph, op, 0, context), alpha=alpha)


def _binary(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    options = op.options
    activation = options.activation.name if isinstance(options, ElementwiseOptions) else "NONE"
    a, b = operand(graph, op, 0, context), operand(graph, op, 1, context)
    return kernels.binary(op.kind, a, b, activation=activation)


def _cumsum(graph: Graph, op: Operator, context: Context) -> NDArray[np.float32]:
    options = op.options_as(CumsumOptions)
    return kernels.cumsum(
        operand(graph, op, 0, context),
        int(operand(graph, op, 1, context).item()),
        exclusive=options.exclusive,
        reverse=options.reverse,
    )


def _add_n(graph: Graph, op: Operator, context: Context) -> NDArray[np.float32]:
    return kernels.add_n(operands(graph, op, context))


_FLOAT = ("float32",)
_BINARY_TYPES = {
    **dict.fromkeys(("FLOOR_DIV", "FLOOR_MOD", "PRELU"), _FLOAT),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), ("float32", "int32", "int64")),
}

EXECUTORS = {
    **{kind: TypedExecutor(_unary, _FLOAT) for kind in kernels.UNARY},
    **{
        kind: TypedExecutor(_binary, _BINARY_TYPES.get(kind, ("float32", "int32")))
        for kind in kernels.BINARY
    },
    "CUMSUM": TypedExecutor(_cumsum, _FLOAT),
    "ADD_N": TypedExecutor(_add_n, _FLOAT),
}
"""The kernels of float32 and of plain int32 numbers."""
