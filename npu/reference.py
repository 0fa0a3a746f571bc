"""Executes a graph on the reference kernels, operator by operator, bit-exact with TFLM."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.errors import UnsupportedOperatorError
from npu.executors import elementwise, movement, weights
from npu.executors.common import Context, Executor
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
        require_supported(op)
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
    require_supported(op)
    with blamed_on(op):
        result = _EXECUTORS[op.kind](graph, op, context)
    outputs = result if isinstance(result, list) else [result]
    for index, value in zip(op.outputs, outputs, strict=True):
        context.values[index] = value.reshape(graph.tensors[index].shape)


def require_supported(op: Operator) -> None:
    """Raise `UnsupportedOperatorError`, which lists what is supported, when `op` has no kernel."""
    if op.kind not in _EXECUTORS:
        raise UnsupportedOperatorError(
            f"operator {op.index} ({op.kind}) has no kernel; supported are "
            + ", ".join(SUPPORTED_KINDS)
        )


_EXECUTORS: dict[str, Executor] = {
    **weights.EXECUTORS,
    **elementwise.EXECUTORS,
    **movement.EXECUTORS,
}

SUPPORTED_KINDS: tuple[str, ...] = tuple(sorted(_EXECUTORS))
"""The operator kinds that have a kernel."""
