"""A network as a typed graph: tensors, and operators in execution order.

The graph says what the `.tflite` file says, no more: nothing is fused, folded or renamed, and
indices are those of the file, so that every part of the project (and TFLM) names a tensor alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from npu.model.options import CallOnceOptions, IfOptions, Options, WhileOptions

ABSENT = -1
"""The tensor index of an optional operator input that is left out."""

RESOURCE = np.dtype(np.void)
"""The dtype of handles of variables, which hold nothing that could be computed with."""

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

    `dtype` is a numpy dtype where numpy has one, and `RESOURCE` for handles; other element types of
    the format are refused by the reader. A variable keeps its value from one inference to the next.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None = None
    data: NDArray[Any] | None = None
    is_variable: bool = False

    @property
    def type_name(self) -> str:
        """The element type as the format calls it, in lower case."""
        return "resource" if self.dtype == RESOURCE else self.dtype.name

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

    @property
    def subgraphs(self) -> tuple[int, ...]:
        """The subgraphs that it runs, by their index in the file: of CALL_ONCE, IF and WHILE."""
        options = self.options
        if isinstance(options, CallOnceOptions | IfOptions | WhileOptions):
            return options.subgraphs
        return ()

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
    """A network: `operators` in execution order, `inputs` and `outputs` as tensor indices.

    Operators that the reader has evaluated are not among `operators`: an operator's index is not
    its position. `subgraph` is the graph's own index in the file, 0 for the network. `subgraphs`
    are those that its operators run, by their index; their tensors and operators have indices of
    their own. `file` is the `.tflite` file that the graph was read from; the shapes of the tensors
    `repaired` are corrected in it, see `npu.model.open_batch`.
    """

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraph: int = 0
    subgraphs: Mapping[int, "Graph"] = field(default_factory=dict)
    file: bytes = b""
    repaired: tuple[int, ...] = ()

    @cached_property
    def _by_index(self) -> dict[int, Operator]:
        return {op.index: op for op in self.operators}

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

    def operator(self, index: int) -> Operator:
        """The operator with this index in the file; `KeyError` when there is none."""
        return self._by_index[index]

    def with_subgraphs(self) -> tuple["Graph", ...]:
        """The graph and all that its operators run, however deep, each once."""
        found: dict[int, Graph] = {}
        waiting = [self]
        while waiting:
            graph = waiting.pop()
            if graph.subgraph not in found:
                found[graph.subgraph] = graph
                waiting += reversed(list(graph.subgraphs.values()))
        return tuple(found.values())

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
        """The tensors with values that operators write, but for the outputs of the network."""
        written = (t for op in self.operators for t in op.outputs if t not in self.outputs)
        return tuple(t for t in written if self.tensors[t].dtype != RESOURCE)

    def macs(self, op: Operator) -> int:
        """Useful multiply-accumulates of `op`; 0 for kinds that multiply no matrices.

        As MLPerf Tiny and Vela count: every output counts its whole kernel, also where SAME
        padding lets it overhang the border; TRANSPOSE_CONV counts it for every input. Additions,
        pooling, elementwise products and data movement count nothing.
        """
        count = _MAC_COUNTS.get(op.kind)
        return 0 if count is None else count(self, op)

    @property
    def total_macs(self) -> int:
        """Useful multiply-accumulates of the whole network."""
        return sum(self.macs(op) for op in self.operators)


def _shapes(graph: Graph, op: Operator, *positions: int) -> list[tuple[int, ...]]:
    """The shapes of the output and of the inputs at `positions`."""
    return [graph.output_tensor(op).shape, *(graph.tensors[op.inputs[i]].shape for i in positions)]


def _convolution_macs(graph: Graph, op: Operator) -> int:
    # OHWI: each output channel has its own kh x kw x (input channels of its group)
    output, weights = _shapes(graph, op, 1)
    return prod(output) * prod(weights[1:])


def _depthwise_macs(graph: Graph, op: Operator) -> int:
    # 1HWO: one kh x kw kernel per output channel
    output, weights = _shapes(graph, op, 1)
    return prod(output) * prod(weights[1:3])


def _fully_connected_macs(graph: Graph, op: Operator) -> int:
    output, weights = _shapes(graph, op, 1)
    return prod(output) * weights[-1]


def _transpose_conv_macs(graph: Graph, op: Operator) -> int:
    # OHWI: each input value meets O x kh x kw weights
    _, weights, ifm = _shapes(graph, op, 1, 2)
    return prod(ifm) * prod(weights[:3])


def _batch_matmul_macs(graph: Graph, op: Operator) -> int:
    output, a = _shapes(graph, op, 0)
    # rows times depth, whichever comes first
    return prod(output) * (a[-1] * a[-2] // output[-2])


def _svdf_macs(graph: Graph, op: Operator) -> int:
    output, feature, time = _shapes(graph, op, 1, 2)
    return output[0] * (prod(feature) + prod(time))


def _lstm_macs(graph: Graph, op: Operator) -> int:
    output, from_input, from_hidden = _shapes(graph, op, 1, 5)
    return 4 * output[0] * output[1] * (prod(from_input) + prod(from_hidden))


_MAC_COUNTS: dict[str, Callable[[Graph, Operator], int]] = {
    "CONV_2D": _convolution_macs,
    "DEPTHWISE_CONV_2D": _depthwise_macs,
    "FULLY_CONNECTED": _fully_connected_macs,
    "TRANSPOSE_CONV": _transpose_conv_macs,
    "BATCH_MATMUL": _batch_matmul_macs,
    "SVDF": _svdf_macs,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm_macs,
}
