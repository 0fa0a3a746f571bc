"""What all translations of operators into operators of the image have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field

from npu.errors import UnsupportedOperatorError
from npu.model.graph import Graph, Operator
from npu.speedup.image_builder import Constant, ImageBuilder, Place, Value
from sim.soc.firmware.image_format import Kind

Parameters = dict[str, Value]


@dataclass
class Writer:
    """Appends the operators of a graph to an image.

    Parameters
    ----------
    graph, builder : from where to where.
    homes : where tensors lie that do not have a buffer of their own.
    """

    graph: Graph
    builder: ImageBuilder
    homes: dict[int, Place] = field(default_factory=dict)

    def place(self, index: int) -> Place:
        """Where a tensor lies in the arena."""
        if index not in self.homes:
            self.homes[index] = self.builder.buffer(index, self.graph.tensors[index].size)
        return self.homes[index]

    def operand(self, op: Operator, position: int) -> Place | Constant:
        """The operator's input at `position`, a tensor or a constant."""
        tensor = self.graph.tensors[op.inputs[position]]
        if tensor.data is not None:
            return self.builder.constant(tensor.data)
        return self.place(tensor.index)

    def add(self, op: Operator, kind: Kind, parameters: Parameters) -> None:
        """Append an operator of the image on behalf of `op`."""
        self.builder.add(kind, op.index, parameters)


Translation = Callable[[Writer, Operator], None]


def refuse(op: Operator, reason: str) -> UnsupportedOperatorError:
    """The error that the firmware cannot run `op`."""
    return UnsupportedOperatorError(
        f"operator {op.index} ({op.kind}) cannot run in the bench SoC's firmware: {reason}"
    )
