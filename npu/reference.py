"""Executes a graph on the reference kernels, operator by operator, bit-exact with TFLM."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.executors.common import Context
from npu.executors.registry import require_kernel
from npu.graph import Graph, Operator
from npu.quant_params import blamed_on


def run_reference(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    *,
    rounding: Rounding = Rounding.DOUBLE,
) -> dict[int, NDArray[Any]]:
    """Run `graph` on `inputs` by tensor index, with requantization rounded as `rounding` says.

    Returns the value of every input and of every tensor that an operator writes.

    Raises `UnsupportedOperatorError` before anything runs when an operator has no kernel, and
    `ModelError` for parameters that no kernel accepts.
    """
    for op in graph.operators:
        require_kernel(graph, op)
    values = dict(inputs)
    context = Context(values, rounding)
    for op in graph.operators:
        run_operator(graph, op, context)
    return values


def run_operator(graph: Graph, op: Operator, context: Context) -> None:
    """Run one operator on the values of `context`, and add its outputs to them.

    Raises `UnsupportedOperatorError` when it has no kernel, and `ModelError` for parameters that
    no kernel accepts.
    """
    kernel = require_kernel(graph, op)
    with blamed_on(op):
        result = kernel.execute(graph, op, context)
    outputs = result if isinstance(result, list) else [result]
    for index, value in zip(op.outputs, outputs, strict=True):
        context.values[index] = value.reshape(graph.tensors[index].shape)
