"""What the rules share: access to operands, and errors that name the operator."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from npu.errors import ModelError
from npu.model.graph import Graph, Operator, Tensor

Shape = tuple[int, ...]
Rule = Callable[[Graph, Operator], Shape | list[Shape]]
"""The shape of the operator's output, or of all its outputs where the kind has several."""


def constant_operand(graph: Graph, op: Operator, position: int) -> NDArray[Any]:
    """The value of the constant input at `position`.

    Raises `ModelError` when the input is computed by another operator.
    """
    tensor = graph.tensors[op.inputs[position]]
    if tensor.data is None:
        raise operator_error(op, f"input {tensor.name!r} is not a constant")
    return tensor.data


def operator_error(op: Operator, message: str) -> ModelError:
    """The error `message` about `op`."""
    return ModelError(f"operator {op.index} ({op.kind}): {message}")


def input_tensor(graph: Graph, op: Operator, position: int, rank: int | None = None) -> Tensor:
    """The tensor at `position` of the inputs; `ModelError` when it has another rank."""
    tensor = graph.tensors[op.inputs[position]]
    if rank is not None and len(tensor.shape) != rank:
        raise operator_error(
            op, f"input {tensor.name!r} has shape {list(tensor.shape)}, rank {rank} expected"
        )
    return tensor


def same_shape(graph: Graph, op: Operator) -> Shape:
    """The shape of input 0."""
    return input_tensor(graph, op, 0).shape
