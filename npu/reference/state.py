"""What a network keeps from one inference to the next: its variables."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import Graph, Tensor
from npu.model.variables import variable_name


class State:
    """The variables of one network, as they are between two inferences.

    Two kinds: tensors that are variables (of SVDF and LSTM), and variables that operators read and
    assign by name. A new state is that of a network just loaded.
    """

    def __init__(self) -> None:
        self._tensors: dict[tuple[int, int], NDArray[Any]] = {}
        self._named: dict[str, NDArray[Any]] = {}
        self._initialized: set[tuple[int, int]] = set()

    def reset(self) -> None:
        """Forget everything: the next inference starts as the first one did."""
        self._tensors.clear()
        self._named.clear()
        self._initialized.clear()

    def copy(self) -> "State":
        """A state that goes its own way from here."""
        other = State()
        other._tensors.update(self._tensors)
        other._named.update(self._named)
        other._initialized.update(self._initialized)
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
