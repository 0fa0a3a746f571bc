"""Which kernel executes an operator, by its kind and its element types: the one place that says so.

What is declared here is what `require_executor` checks, and what the table of supported operators
shows.
"""

from collections.abc import Mapping

from kernels.requantize import Rounding
from npu.errors import UnsupportedOperatorError
from npu.model.graph import Graph, Operator, Tensor
from npu.model.quant_params import blamed_on
from npu.model.schema import COMPILED_OPERATOR
from npu.model.tflm_only import only_tflm
from npu.reference.executors import (
    elementwise,
    float32,
    indexing,
    int16,
    logic,
    movement,
    normalization,
    quantize,
    recurrent,
    variables,
    weights,
)
from npu.reference.executors.common import NOTHING, Context, TypedExecutor
from npu.reference.executors.control import control_executors
from npu.reference.executors.tflm import TFLM, reason_against_tflm

DATA_OPERANDS = {
    "TRANSPOSE_CONV": 2,
    **dict.fromkeys(("SPLIT", "ASSIGN_VARIABLE", "SELECT_V2", "EMBEDDING_LOOKUP", "FILL"), 1),
}
"""The position of the input whose type decides, where it is not the first."""


def run_operator(graph: Graph, op: Operator, context: Context) -> None:
    """Run one operator on the values of `context`, and add its outputs to them.

    Raises `UnsupportedOperatorError` when it has no kernel, and `ModelError` for parameters that
    no kernel accepts.
    """
    kernel = require_executor(graph, op, context.rounding)
    with blamed_on(op):
        result = kernel.execute(graph, op, context)
        outputs = result if isinstance(result, list) else [result]
        for index, value in zip(op.outputs, outputs, strict=True):
            context.values[index] = value.reshape(graph.tensors[index].shape)


_TABLES: tuple[Mapping[str, TypedExecutor], ...] = (
    weights.EXECUTORS,
    recurrent.EXECUTORS,
    elementwise.EXECUTORS,
    *quantize.TABLES,
    movement.EXECUTORS,
    int16.EXECUTORS,
    variables.EXECUTORS,
    normalization.EXECUTORS,
    logic.EXECUTORS,
    *indexing.TABLES,
    float32.EXECUTORS,
    control_executors(run_operator),
)
EXECUTORS: dict[str, tuple[TypedExecutor, ...]] = {
    kind: tuple(table[kind] for table in _TABLES if kind in table)
    for kind in sorted({kind for table in _TABLES for kind in table})
}
"""The kernels of each operator kind; no two of them take the same types."""


def find_executor(graph: Graph, op: Operator) -> TypedExecutor | None:
    """The kernel that takes `op` with the types of its data input and its first output."""
    if only_tflm(graph, op):
        return None
    given, result = _data_types(graph, op)
    for kernel in EXECUTORS.get(op.kind, ()):
        if kernel.takes(given, result):
            return kernel
    return None


def require_executor(
    graph: Graph, op: Operator, rounding: Rounding = Rounding.DOUBLE
) -> TypedExecutor:
    """The kernel for `op`, or where there is none, TFLM.

    Raises `UnsupportedOperatorError` when TFLM cannot execute it either.
    """
    kernel = find_executor(graph, op)
    if kernel is not None:
        return kernel
    if op.kind == f"CUSTOM:{COMPILED_OPERATOR}":
        raise UnsupportedOperatorError(
            f"operator {op.index} is compiled for an NPU: run the file in an interpreter with "
            "npu.delegate, or take the network that it was compiled from"
        )
    against = reason_against_tflm(graph, op, rounding)
    if not against:
        return TFLM
    reason = only_tflm(graph, op)
    if reason:
        because = f": {reason}"
    elif op.kind in EXECUTORS:
        given, result = _data_types(graph, op)
        supported = "; ".join(kernel.summary() for kernel in EXECUTORS[op.kind])
        because = f" from {given} to {result} (those that exist: {supported})"
    else:
        because = ""
    raise UnsupportedOperatorError(
        f"operator {op.index} ({op.kind}) has no kernel{because}; {against}"
    )


def require_executors(graph: Graph, rounding: Rounding = Rounding.DOUBLE) -> None:
    """`require_executor` of every operator of `graph` and of the subgraphs that it runs."""
    for each in graph.with_subgraphs():
        for op in each.operators:
            require_executor(each, op, rounding)


def runs_in_tflm(graph: Graph, op: Operator) -> bool:
    """Whether TFLM executes `op`, or an operator of a subgraph that it runs: no kernel does."""
    if find_executor(graph, op) is None:
        return True
    called = [graph.subgraphs[index] for index in op.subgraphs]
    return any(runs_in_tflm(each, inner) for each in called for inner in each.operators)


def _data_types(graph: Graph, op: Operator) -> tuple[str, str]:
    source = graph.input_tensor(op, DATA_OPERANDS.get(op.kind, 0))
    return _type_name(source), _type_name(graph.output_tensor(op) if op.outputs else None)


def _type_name(tensor: Tensor | None) -> str:
    return NOTHING if tensor is None else tensor.type_name
