"""A run of operators for the NPU, as it is in the graph and in the terms of the hardware."""

from dataclasses import dataclass

from npu.compiler.terms.operator import LoweredOperator
from npu.model.graph import Graph


@dataclass(frozen=True)
class Segment:
    """Operators for the NPU that follow each other, by index in the graph.

    `inputs` and `outputs` are the tensors that it takes from and hands to the outside.
    """

    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class LoweredSegment:
    """A segment in the terms of the hardware.

    Parameters
    ----------
    operators : those that compute or copy, in order; sources and targets are roots.
    roots : for every tensor of the segment, the one that holds its bytes (itself, mostly).
    sizes : bytes of all roots, those without a tensor in the graph included.
    offsets : the bytes in front of a tensor in its root, for tensors that lie there in one piece.
    written_in_arena : roots that no operator writes in the scratchpad.
    """

    operators: tuple[LoweredOperator, ...]
    roots: dict[int, int]
    sizes: dict[int, int]
    offsets: dict[int, int]
    written_in_arena: frozenset[int]

    @property
    def read_in_arena(self) -> frozenset[int]:
        """Roots that some operator cannot read in the scratchpad."""
        return frozenset().union(*(op.read_in_arena for op in self.operators))


def make_segment(graph: Graph, operators: tuple[int, ...]) -> Segment:
    """The segment of `operators`, with the tensors that cross its border."""
    inside = set(operators)
    chosen = [graph.operator(i) for i in operators]
    produced = {t for op in chosen for t in op.outputs}
    inputs = dict.fromkeys(
        t
        for op in chosen
        for t in op.present_inputs
        if t not in produced and not graph.tensors[t].is_constant
    )
    outputs = tuple(
        t
        for op in chosen
        for t in op.outputs
        if t in graph.outputs or any(c.index not in inside for c in graph.consumers(t))
    )
    return Segment(operators, tuple(inputs), outputs)
