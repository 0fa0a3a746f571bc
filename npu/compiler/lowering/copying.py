"""Operators that move data, as copies from one place in the arena to another."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from npu.compiler.direct.copies import Block, Copy
from npu.compiler.lowering.movement import JOINING_KINDS, joined, moved_input, taken
from npu.compiler.lowering.placing import IN_ARENA
from npu.compiler.lowering.views import Views
from npu.compiler.terms.direct import DirectWork
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.strided import Strided
from npu.model.graph import Graph, Operator


def lower_copies(graph: Graph, op: Operator, views: Views) -> Iterator[LoweredOperator]:
    """Copies of what an operator of `MOVING_KINDS` moves and what is not where it belongs already.

    Raises `CopyNeeded` when a tensor cannot be used where it lies.
    """
    if op.kind in JOINING_KINDS:
        for number, tensor in enumerate(op.inputs):
            reads = views.view(tensor)
            writes = views.part(op.outputs[0], joined(graph, op, number))
            yield from _move(op, views, tensor, op.outputs[0], reads, writes)
        return
    source = op.inputs[moved_input(op)]
    for number, output in enumerate(op.outputs):
        reads = views.part(source, taken(graph, op, number))
        try:
            writes = views.view(output).reshape(*reads.shape)
        except ValueError:
            raise views.separately(output) from None
        yield from _move(op, views, source, output, reads, writes)


def _move(
    op: Operator, views: Views, source: int, target: int, reads: Strided, writes: Strided
) -> Iterator[LoweredOperator]:
    roots = views.root(source), views.root(target)
    if roots[0] != roots[1] or not reads.same_bytes(writes):
        block = Block(*roots, reads, writes)
        yield direct_operator(op, Copy((block,)), roots[:1], roots[1])


def direct_operator(
    op: Operator,
    work: DirectWork,
    sources: tuple[int, ...],
    target: int,
    constants: Mapping[int, NDArray[np.int8]] | None = None,
    macs: int = 0,
) -> LoweredOperator:
    """An operator, or a part of one, that works from arena to arena."""
    return LoweredOperator(
        op.index,
        op.kind,
        macs,
        sources,
        target,
        (),
        constants=constants or {},
        source_places=(IN_ARENA,) * len(sources),
        target_place=IN_ARENA,
        direct=work,
    )
