"""What the executors share: access to values and quantization by the position of an operand."""

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.errors import ModelError
from npu.model.graph import Graph, Operator, Tensor
from npu.model.quant_params import scale_and_zero_point
from npu.reference.state import State

NOTHING = "nothing"
"""The type of the input or output of an operator that has none."""

ANYTHING = "any type"
"""In an executor's types: every type, whatever the others are."""

Values = MutableMapping[int, NDArray[Any]]
"""Tensor values by index; constants need not be among them."""


@dataclass(frozen=True)
class Context:
    """What operators compute with, beside the graph.

    Attributes
    ----------
    values : every tensor known so far; the outputs of an operator are added to them.
    rounding : how the kernels round where they rescale by a quantized multiplier.
    state : the network's variables.
    """

    values: Values
    rounding: Rounding = Rounding.DOUBLE
    state: State = field(default_factory=State)


Executor = Callable[[Graph, Operator, Context], NDArray[Any] | list[NDArray[Any]]]
"""Computes an operator's output, or all its outputs where the kind has several.

Raises `ValueError` or `ModelError` for parameters that the kernel does not accept.
"""


@dataclass(frozen=True)
class TypedExecutor:
    """An executor, and the element types that it takes.

    Attributes
    ----------
    execute : computes the operator.
    inputs : types of the data input, or `ANYTHING` alone.
    outputs : types of the output, each possible with each input; None for the type of the input.
    """

    execute: Executor
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] | None = None

    def takes(self, given: str, result: str) -> bool:
        """Whether the kernel computes a `result` from a `given` type."""
        if self.inputs == (ANYTHING,):
            return True
        return given in self.inputs and result in (self.outputs or (given,))

    def summary(self) -> str:
        """What the kernel takes: `int8, int16`, or `int8 -> int8, int16` with other outputs."""
        given = ", ".join(self.inputs)
        return given if self.outputs is None else f"{given} -> {', '.join(self.outputs)}"


def int8_executors(executors: Mapping[str, Executor]) -> dict[str, TypedExecutor]:
    """Kernels from int8 to int8 only."""
    return {kind: TypedExecutor(execute, ("int8",)) for kind, execute in executors.items()}


def check_value(tensor: Tensor, value: NDArray[Any]) -> None:
    """ModelError unless `value` has the type and the shape of `tensor`."""
    if value.shape != tensor.shape or value.dtype != tensor.dtype:
        raise ModelError(
            f"tensor {tensor.name!r} is given as {value.dtype} of shape "
            f"{list(value.shape)}, {tensor.dtype} of shape {list(tensor.shape)} expected"
        )


def operand(graph: Graph, op: Operator, position: int, context: Context) -> NDArray[Any]:
    """The value of the input at `position`."""
    index = op.inputs[position]
    constant = graph.tensors[index].data
    return context.values[index] if constant is None else constant


def operands(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
    """The values of all inputs."""
    return [operand(graph, op, i, context) for i in range(len(op.inputs))]


def input_quantization(graph: Graph, op: Operator, position: int) -> tuple[float, int]:
    """Scale and zero point of the input at `position`."""
    return scale_and_zero_point(graph.tensors[op.inputs[position]])


def output_quantization(graph: Graph, op: Operator) -> tuple[float, int]:
    """Scale and zero point of the output."""
    return scale_and_zero_point(graph.output_tensor(op))
