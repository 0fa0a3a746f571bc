"""What a network keeps from one inference to the next: its variables."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import Graph, Tensor
from npu.model.variables import variable_name


@dataclass(frozen=True, eq=False)
class Past:
    """What an operator has computed with so far, whose state nothing but TFLM knows.

    Two are equal when the operator has seen the same.
    """

    before: "Past | None"
    inputs: tuple[NDArray[Any], ...]
    digest: bytes

    @classmethod
    def after(cls, before: "Past | None", inputs: Sequence[NDArray[Any]]) -> "Past":
        """What `before` becomes when the operator runs on `inputs`, which are copied."""
        digest = hashlib.sha256(b"" if before is None else before.digest)
        for value in inputs:
            digest.update(np.array(value, order="C").tobytes())
        return cls(before, tuple(value.copy() for value in inputs), digest.digest())

    def inputs_so_far(self) -> list[tuple[NDArray[Any], ...]]:
        """The inputs of all inferences, the first one first."""
        found: list[tuple[NDArray[Any], ...]] = []
        each: Past | None = self
        while each is not None:
            found.append(each.inputs)
            each = each.before
        return found[::-1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Past) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class State:
    """The variables of one network, as they are between two inferences.

    Three kinds: tensors that are variables (of SVDF and LSTM), variables that operators read and
    assign by name, and what operators that TFLM executes have seen. A new state is that of a
    network just loaded.
    """

    def __init__(self) -> None:
        self._tensors: dict[tuple[int, int], NDArray[Any]] = {}
        self._named: dict[str, NDArray[Any]] = {}
        self._initialized: set[tuple[int, int]] = set()
        self._past: dict[tuple[int, int], Past] = {}

    def reset(self) -> None:
        """Forget everything: the next inference starts as the first one did."""
        self._tensors.clear()
        self._named.clear()
        self._initialized.clear()
        self._past.clear()

    def copy(self) -> "State":
        """A state that goes its own way from here."""
        other = State()
        other._tensors.update(self._tensors)
        other._named.update(self._named)
        other._initialized.update(self._initialized)
        other._past.update(self._past)
        return other

    def declare(self, graph: Graph) -> None:
        """Give every variable that `graph` assigns by name its first value, unless it has one.

        As TFLM: the zero point of the first value to be assigned in the file, in every byte.
        """
        for each in graph.with_subgraphs():
            for op in each.operators:
                if op.kind == "ASSIGN_VARIABLE":
                    name = variable_name(each, op.inputs[0])
                    if name not in self._named:
                        self._named[name] = _filled(each.tensors[op.inputs[1]])

    def tensor(self, graph: Graph, index: int) -> NDArray[Any]:
        """The value of a variable tensor of `graph`; at first an int8's zero point, otherwise 0."""
        value = self._tensors.get((graph.subgraph, index))
        return _first(graph.tensors[index]) if value is None else value

    def set_tensor(self, graph: Graph, index: int, value: NDArray[Any]) -> None:
        """Keep `value`, which must not be changed afterwards."""
        self._tensors[graph.subgraph, index] = value

    def read(self, name: str) -> NDArray[Any]:
        """The value of the variable `name`; ValueError when nothing declares it."""
        if name not in self._named:
            raise ValueError(f"variable {name!r} is never assigned")
        return self._named[name]

    def assign(self, name: str, value: NDArray[Any]) -> None:
        """Keep a copy of `value` under `name`.

        Raises ValueError unless the type and shape are those that it is declared with.
        """
        declared = self.read(name)
        if (value.dtype, value.shape) != (declared.dtype, declared.shape):
            raise ValueError(
                f"variable {name!r} is {declared.dtype} of shape {list(declared.shape)}, "
                f"{value.dtype} of shape {list(value.shape)} is assigned"
            )
        self._named[name] = value.copy()

    def past(self, graph: Graph, operator: int) -> Past | None:
        """What the operator of `graph` has seen; None before its first inference."""
        return self._past.get((graph.subgraph, operator))

    def set_past(self, graph: Graph, operator: int, past: Past) -> None:
        """Keep what the operator has seen by now."""
        self._past[graph.subgraph, operator] = past

    def call_once(self, graph: Graph, operator: int) -> bool:
        """Whether this CALL_ONCE of `graph` has not run yet; from now on it has."""
        key = graph.subgraph, operator
        first = key not in self._initialized
        self._initialized.add(key)
        return first


def _zero_point(tensor: Tensor) -> int:
    return 0 if tensor.quantization is None else int(tensor.quantization.zero_points[0])


def _first(tensor: Tensor) -> NDArray[Any]:
    value = _zero_point(tensor) if tensor.dtype == np.int8 else 0
    return np.full(tensor.shape, value, tensor.dtype)


def _filled(tensor: Tensor) -> NDArray[Any]:
    byte = _zero_point(tensor) & 0xFF
    data = np.full(tensor.size * tensor.dtype.itemsize, byte, np.uint8)
    return data.view(tensor.dtype).reshape(tensor.shape)
