"""Executors of variables that are read and assigned by name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import RESOURCE, Graph, Operator
from npu.model.variables import variable_name
from npu.reference.executors.common import NOTHING, Context, TypedExecutor, operand

VALUES = "int8", "int16", "int32", "int64", "bool"


def _var_handle(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    # the name, which is all there is to a handle, is read where it is used
    return np.empty(graph.output_tensor(op).shape, RESOURCE)


def _read_variable(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    name, expected = variable_name(graph, op.inputs[0]), graph.output_tensor(op)
    value = context.state.read(name)
    if (value.dtype, value.shape) != (expected.dtype, expected.shape):
        raise ValueError(
            f"variable {name!r} is {value.dtype} of shape {list(value.shape)}, it is read as "
            f"{expected.dtype} of shape {list(expected.shape)}"
        )
    return value


def _assign_variable(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
    value = operand(graph, op, 1, context)
    context.state.assign(variable_name(graph, op.inputs[0]), value)
    return []


EXECUTORS = {
    "VAR_HANDLE": TypedExecutor(_var_handle, (NOTHING,), ("resource",)),
    "READ_VARIABLE": TypedExecutor(_read_variable, ("resource",), VALUES),
    "ASSIGN_VARIABLE": TypedExecutor(_assign_variable, VALUES, (NOTHING,)),
}
"""The kernels of variables by name; that of CALL_ONCE is in the registry, which it runs."""
