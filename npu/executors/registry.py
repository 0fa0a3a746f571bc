"""Which kernel executes an operator, by its kind and its element types: the one place that says so.

What is declared here is what `require_kernel` checks, and what the table of supported operators
shows.
"""

from collections.abc import Mapping

from npu.errors import UnsupportedOperatorError
from npu.executors import elementwise, int16, movement, weights
from npu.executors.common import Kernel
from npu.graph import Graph, Operator, Tensor

DATA_OPERANDS = {"TRANSPOSE_CONV": 2, "SPLIT": 1}
"""The position of the input whose type decides, where it is not the first."""

KERNELS: Mapping[str, tuple[Kernel, ...]] = {
    kind: tuple(
        table[kind]
        for table in (weights.KERNELS, elementwise.KERNELS, movement.KERNELS, int16.KERNELS)
        if kind in table
    )
    for kind in sorted({*weights.KERNELS, *elementwise.KERNELS, *movement.KERNELS, *int16.KERNELS})
}
"""The kernels of each operator kind; no two of them take the same types."""


def find_kernel(graph: Graph, op: Operator) -> Kernel | None:
    """The kernel that takes `op` with the types of its data input and its first output."""
    given, result = _data_types(graph, op)
    for kernel in KERNELS.get(op.kind, ()):
        if kernel.takes(given, result):
            return kernel
    return None


def require_kernel(graph: Graph, op: Operator) -> Kernel:
    """The kernel for `op`.

    Raises `UnsupportedOperatorError`, which lists what is supported, when there is none.
    """
    kernel = find_kernel(graph, op)
    if kernel is not None:
        return kernel
    where = f"operator {op.index} ({op.kind})"
    if op.kind not in KERNELS:
        raise UnsupportedOperatorError(f"{where} has no kernel; supported are {', '.join(KERNELS)}")
    given, result = _data_types(graph, op)
    supported = ", ".join(types for kernel in KERNELS[op.kind] for types in kernel.signatures())
    raise UnsupportedOperatorError(
        f"{where} has no kernel from {given or 'nothing'} to {result or 'nothing'}; supported are "
        f"{supported}"
    )


def _data_types(graph: Graph, op: Operator) -> tuple[str, str]:
    source = graph.input_tensor(op, DATA_OPERANDS.get(op.kind, 0))
    return _type_name(source), _type_name(graph.output_tensor(op) if op.outputs else None)


def _type_name(tensor: Tensor | None) -> str:
    return "" if tensor is None else tensor.dtype.name
