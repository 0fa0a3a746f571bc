"""Where the int8 tensors of a network lie in one arena."""

import numpy as np

from npu.allocation import Request, allocate
from npu.model.graph import Graph

# tensors begin at cache lines, so that vectors seldom straddle two
ALIGNMENT = 64
VIEWS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
"""Operators whose output has the values of their first input, in the same order."""
SUMS = frozenset({"ADD", "SUB"})


def operands_in_arena(kind: str, inputs: tuple[int, ...]) -> tuple[int, ...]:
    """The inputs that an operator of `kind` reads from the arena; the others are its constants."""
    return inputs[: 2 if kind in SUMS else 1]


def place_tensors(graph: Graph, *, keep_all: bool) -> tuple[dict[int, int], int]:
    """The first element of each int8 tensor that is computed or read, and the size of the arena.

    An output of `VIEWS` lies where the operator's input does. Tensors that are not needed at the
    same time may share memory, unless `keep_all`; constants keep theirs.
    """
    end = len(graph.operators)
    roots: dict[int, int] = {}
    lifetimes: dict[int, tuple[int, int]] = {}

    def use(index: int, time: int, source: int | None = None) -> None:
        tensor = graph.tensors[index]
        if tensor.dtype != np.int8:
            return
        root = roots.setdefault(index, roots.get(index if source is None else source, index))
        if keep_all or tensor.is_constant:
            lifetimes[root] = -1, end
        first, last = lifetimes.get(root, (time, time))
        lifetimes[root] = min(first, time), max(last, time)

    for index in graph.inputs:
        use(index, -1)
    for time, op in enumerate(graph.operators):
        placed = operands_in_arena(op.kind, op.present_inputs)
        for index in dict.fromkeys((*placed, *(i for i in op.inputs if i in roots))):
            use(index, time)
        for index in op.outputs:
            use(index, time, op.inputs[0] if op.kind in VIEWS else None)
    for index in graph.outputs:
        if index in roots:
            use(index, end)
    requests = [
        Request(root, graph.tensors[root].size, first, last)
        for root, (first, last) in lifetimes.items()
    ]
    addresses, size = allocate(requests, ALIGNMENT)
    return {index: addresses[root] for index, root in roots.items()}, size
