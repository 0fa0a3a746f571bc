"""A network as a typed graph: tensors, and operators in execution order.

The graph says what the `.tflite` file says, no more: nothing is fused, folded or renamed, and
indices are those of the file, so that every part of the project (and TFLM) names a tensor alike.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from npu.options import Options

ABSENT = -1
"""The tensor index of an optional operator input that is left out."""

OptionsT = TypeVar("OptionsT")


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """`real = scales * (q - zero_points)`, per tensor or along `axis`.

    `scales` is float32 and `zero_points` int64, both of shape (1,) for a whole tensor or
    (channels,) along `axis`.
    """

    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int = 0

    @property
    def per_tensor(self) -> bool:
        """Whether one scale holds for the whole tensor."""
        return self.scales.size == 1

    @property
    def scale(self) -> float:
        """The one scale of a per-tensor quantization; `ValueError` when there are several."""
        return float(self.scales.item())

    @property
    def zero_point(self) -> int:
        """The one zero point of a per-tensor quantization; `ValueError` when there are several."""
        return int(self.zero_points.item())


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the model; `data` is its read-only value when it is a constant.

    `dtype` is a numpy dtype where numpy has one; other element types of the format are refused by
    the reader.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None = None
    data: NDArray[Any] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def is_constant(self) -> bool:
        """Whether the file holds the tensor's value."""
        return self.data is not None


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator; `inputs` and `outputs` are tensor indices (`ABSENT` for an input left out).

    `kind` is the schema's name (`"CONV_2D"`), or `"CUSTOM:name"` for a custom operator.
    """

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options

    @property
    def present_inputs(self) -> tuple[int, ...]:
        """The inputs that are not left out."""
        return tuple(i for i in self.inputs if i != ABSENT)

    def options_as(self, expected: type[OptionsT]) -> OptionsT:
        """The options, checked to be of the type that belongs to the kind.

        Raises `TypeError` when they are not, which is a mistake of whoever built the operator.
        """
        if not isinstance(self.options, expected):
            raise TypeError(
                f"operator {self.index} ({self.kind}) has {type(self.options).__name__}, "
                f"{expected.__name__} expected"
            )
        return self.options


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: `operators` in execution order, `inputs` and `outputs` as tensor indices."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @cached_property
    def _producers(self) -> dict[int, Operator]:
        return {t: op for op in self.operators for t in op.outputs}

    @cached_property
    def _consumers(self) -> dict[int, tuple[Operator, ...]]:
        found: dict[int, list[Operator]] = {}
        for op in self.operators:
            for t in dict.fromkeys(op.present_inputs):
                found.setdefault(t, []).append(op)
        return {t: tuple(ops) for t, ops in found.items()}

    def producer(self, tensor: int) -> Operator | None:
        """The operator that writes `tensor`, or None for inputs and constants."""
        return self._producers.get(tensor)

    def consumers(self, tensor: int) -> tuple[Operator, ...]:
        """The operators that read `tensor`, each once, in execution order."""
        return self._consumers.get(tensor, ())

    def input_tensor(self, op: Operator, position: int) -> Tensor | None:
        """The tensor at `position` of the operator's inputs, or None when it is left out."""
        if position >= len(op.inputs) or op.inputs[position] == ABSENT:
            return None
        return self.tensors[op.inputs[position]]

    def output_tensor(self, op: Operator, position: int = 0) -> Tensor:
        """The tensor at `position` of the operator's outputs."""
        return self.tensors[op.outputs[position]]

    def intermediates(self) -> tuple[int, ...]:
        """The tensors that an operator writes and that are not outputs of the network."""
        return tuple(t for op in self.operators for t in op.outputs if t not in self.outputs)

    def macs(self, op: Operator) -> int:
        """Useful multiply-accumulates of `op`; 0 for kinds that multiply no weights.

        As MLPerf Tiny and Vela count: every output counts its whole kernel, also where SAME
        padding lets it overhang the border. Additions, pooling and data movement count nothing.
        """
        weights = self.input_tensor(op, 1)
        if weights is None or op.kind not in _MAC_COUNTS:
            return 0
        return _MAC_COUNTS[op.kind](self.output_tensor(op).shape, weights.shape)

    @property
    def total_macs(self) -> int:
        """Useful multiply-accumulates of the whole network."""
        return sum(self.macs(op) for op in self.operators)


def _convolution_macs(output: tuple[int, ...], weights: tuple[int, ...]) -> int:
    # OHWI: each output channel has its own kh x kw x (input channels of its group)
    return prod(output) * prod(weights[1:])


def _depthwise_macs(output: tuple[int, ...], weights: tuple[int, ...]) -> int:
    # 1HWO: one kh x kw kernel per output channel
    return prod(output) * prod(weights[1:3])


def _fully_connected_macs(output: tuple[int, ...], weights: tuple[int, ...]) -> int:
    return prod(output) * weights[-1]


_MAC_COUNTS = {
    "CONV_2D": _convolution_macs,
    "DEPTHWISE_CONV_2D": _depthwise_macs,
    "FULLY_CONNECTED": _fully_connected_macs,
}
