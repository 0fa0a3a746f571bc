"""A run of operators for the NPU, lowered, with views resolved."""

from dataclasses import dataclass, replace

from kernels.requantize import Rounding
from npu.compiler.lower import lower_operator
from npu.compiler.padding import folds, paddings
from npu.compiler.shapes import VIEW_KINDS, natural_extent
from npu.compiler.tasks import Extent, LoweredOperator
from npu.graph import Graph


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
    operators : those that compute, in order; sources and targets are roots.
    roots : for every tensor of the segment, the one that holds its bytes (itself, mostly).
    folded : outputs of folded PADs: nothing holds their bytes.
    """

    operators: tuple[LoweredOperator, ...]
    roots: dict[int, int]
    folded: frozenset[int]


def make_segment(graph: Graph, operators: tuple[int, ...]) -> Segment:
    """The segment of `operators`, with the tensors that cross its border."""
    inside = set(operators)
    chosen = [graph.operators[i] for i in operators]
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


def lower_segment(
    graph: Graph, segment: Segment, rounding: Rounding = Rounding.DOUBLE
) -> LoweredSegment:
    """Lower all operators of a segment, for hardware that rounds as `rounding` says."""
    roots = {tensor: tensor for tensor in segment.inputs}
    extents: dict[int, Extent] = {}
    pads: dict[int, tuple[int, int]] = {}
    folded: set[int] = set()
    lowered: list[LoweredOperator] = []
    for index in segment.operators:
        op = graph.operators[index]
        output = op.outputs[0]
        if op.kind in VIEW_KINDS:
            roots[output] = roots[op.inputs[0]]
            held, shown = extents.get(op.inputs[0]), natural_extent(graph.tensors[output].shape)
            if held is not None:
                extents[output] = shown if shown.channels == held.channels else held
        elif op.kind == "PAD" and folds(graph, op, segment.operators):
            source = op.inputs[0]
            roots[output] = roots[source]
            extents[output] = extents.get(source) or natural_extent(graph.tensors[source].shape)
            amounts = paddings(graph, op)
            pads[output] = amounts[1][0], amounts[2][0]
            folded.add(output)
        else:
            work = lower_operator(graph, op, extents, pads, rounding)
            roots[output] = output
            natural = natural_extent(graph.tensors[output].shape)
            extents[output] = natural if natural.channels == work.ofm.channels else work.ofm
            lowered.append(replace(work, sources=tuple(roots.get(t, t) for t in work.sources)))
    return LoweredSegment(tuple(lowered), roots, frozenset(folded))
