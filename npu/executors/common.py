"""What the executors share: access to values and quantization by the position of an operand."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from npu.graph import Graph, Operator
from npu.quant_params import scale_and_zero_point

Values = Mapping[int, NDArray[Any]]
"""Tensor values by index; constants need not be among them."""

Executor = Callable[[Graph, Operator, Values], NDArray[Any] | list[NDArray[Any]]]
"""Computes an operator's output, or all its outputs where the kind has several.

Raises `ValueError` or `ModelError` for parameters that the kernel does not accept.
"""


def operand(graph: Graph, op: Operator, position: int, values: Values) -> NDArray[Any]:
    """The value of the input at `position`."""
    index = op.inputs[position]
    constant = graph.tensors[index].data
    return values[index] if constant is None else constant


def operands(graph: Graph, op: Operator, values: Values) -> list[NDArray[Any]]:
    """The values of all inputs."""
    return [operand(graph, op, i, values) for i in range(len(op.inputs))]


def input_quantization(graph: Graph, op: Operator, position: int) -> tuple[float, int]:
    """Scale and zero point of the input at `position`."""
    return scale_and_zero_point(graph.tensors[op.inputs[position]])


def output_quantization(graph: Graph, op: Operator) -> tuple[float, int]:
    """Scale and zero point of the output."""
    return scale_and_zero_point(graph.output_tensor(op))
