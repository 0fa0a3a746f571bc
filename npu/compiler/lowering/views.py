"""Which tensors of a segment share the bytes of another one, and how they lie in them.

An operator that moves data costs nothing where its output can be read where the input lies, or
its inputs can be written where the output lies. Otherwise it is a copy.
"""

from dataclasses import dataclass, field

from npu.compiler.lowering.movement import (
    JOINING_KINDS,
    TAKING_KINDS,
    joined,
    moved_input,
    taken,
)
from npu.compiler.terms.strided import Change, Strided
from npu.model.graph import Graph, Operator


class CopyNeeded(Exception):  # noqa: N818 (not an error: views are sought again without them)
    """Tensors cannot be used where they lie: `tensors` must hold their own bytes."""

    def __init__(self, tensors: set[int]) -> None:
        super().__init__(f"tensors {sorted(tensors)} must hold their own bytes")
        self.tensors = tensors


@dataclass
class Views:
    """Where every tensor of a segment lies.

    Parameters
    ----------
    graph : the network.
    inputs : tensors that the segment does not produce.
    separate : tensors that must hold their own bytes.
    """

    graph: Graph
    inputs: frozenset[int]
    separate: frozenset[int]
    _parents: dict[int, tuple[int, Change]] = field(default_factory=dict)
    _members: list[int] = field(default_factory=list)
    _padded: set[int] = field(default_factory=set)
    _known: dict[int, Strided] = field(default_factory=dict)

    def add(self, op: Operator) -> None:
        """Let the outputs of `op` share its inputs' bytes, or the other way round, if possible."""
        self._members += op.outputs
        if op.kind in TAKING_KINDS:
            source = op.inputs[moved_input(op)]
            for number, output in enumerate(op.outputs):
                shape = self.graph.tensors[output].shape
                if output not in self.separate:
                    self._share(output, source, _then_reshape(taken(self.graph, op, number), shape))
        elif op.kind in JOINING_KINDS:
            for number, tensor in enumerate(op.inputs):
                root = self.root(tensor)
                if self._movable(tensor, root, op):
                    part = joined(self.graph, op, number)
                    shape = self.graph.tensors[root].shape
                    self._share(root, op.outputs[0], _then_reshape(part, shape))

    def add_padded(self, op: Operator) -> None:
        """The output of a PAD that its consumers carry out: it is the input, as it lies."""
        self._members += op.outputs
        self._padded.update(op.outputs)
        self._parents[op.outputs[0]] = op.inputs[0], lambda array: array

    def root(self, tensor: int) -> int:
        """The tensor that holds the bytes of `tensor`."""
        while tensor in self._parents:
            tensor = self._parents[tensor][0]
        return tensor

    def view(self, tensor: int) -> Strided:
        """How `tensor` lies in its root; `ValueError` when it cannot be described."""
        if tensor not in self._parents:
            return Strided.dense(self.graph.tensors[tensor].shape)
        if tensor not in self._known:
            parent, change = self._parents[tensor]
            self._known[tensor] = self.view(parent).apply(change)
        return self._known[tensor]

    def covers_root(self, tensor: int) -> bool:
        """Whether `tensor` is all of its root, in order."""
        view = self.view(tensor)
        return view.is_dense and view.size == self.graph.tensors[self.root(tensor)].size

    def part(self, tensor: int, change: Change) -> Strided:
        """Where `change` of `tensor` lies in its root; `CopyNeeded` when it takes a copy."""
        try:
            return self.view(tensor).apply(change)
        except ValueError:
            raise self.separately(tensor) from None

    def separately(self, tensor: int) -> CopyNeeded:
        """What to raise when `tensor` cannot be used where it lies."""
        # the output of a folded PAD cannot be copied, but what it pads can
        while tensor in self._padded:
            tensor = self._parents[tensor][0]
        assert tensor not in self.separate, "a tensor of its own can be used as it lies"
        return CopyNeeded({tensor})

    def _movable(self, tensor: int, root: int, op: Operator) -> bool:
        """Whether the bytes of `tensor` may be written into the output of `op` at once."""
        if root in self.inputs or root in self.separate or self.graph.tensors[root].is_constant:
            return False
        if root == op.outputs[0] or op.inputs.count(tensor) > 1:
            return False
        return self.covers_root(tensor)

    def _share(self, tensor: int, parent: int, change: Change) -> None:
        """Let `tensor` be the part `change` of `parent`, if all that share its bytes still can."""
        self._parents[tensor] = parent, change
        self._known.clear()
        try:
            for member in self._members:
                if self._rests_on(member, tensor):
                    self.view(member)
        except ValueError:
            del self._parents[tensor]
            self._known.clear()

    def _rests_on(self, tensor: int, other: int) -> bool:
        while tensor != other and tensor in self._parents:
            tensor = self._parents[tensor][0]
        return tensor == other


def _then_reshape(change: Change, shape: tuple[int, ...]) -> Change:
    return lambda array: change(array).reshape(shape, copy=False)
