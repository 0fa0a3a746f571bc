"""Which operators the NPU takes as one table: see `npu.compiler.lowering.composition`."""

from kernels.requantize import Rounding
from npu.compiler.errors import CompileError
from npu.compiler.lowering.composition import find_compositions, lower_composition
from npu.compiler.rules.operators import extents_in_range, reason_against
from npu.errors import ModelError, UnsupportedOperatorError
from npu.model.graph import Graph


def composed(graph: Graph, rounding: Rounding) -> frozenset[int]:
    """The operators that the NPU computes together with others."""
    found: set[int] = set()
    for one in find_compositions(graph):
        try:
            lower_composition(graph, one, rounding)
        except (ModelError, CompileError, UnsupportedOperatorError):
            continue
        if extents_in_range(graph, graph.operator(one.last)):
            found.update(one.members)
    return frozenset(found)


def members_apart(graph: Graph, run: tuple[int, ...], rounding: Rounding) -> dict[int, str]:
    """Operators of a run that need others of a composition, which it lacks."""
    whole = {one.members for one in find_compositions(graph, run)}
    return {
        index: reason_against(graph, graph.operator(index), rounding)
        for one in find_compositions(graph)
        if one.members not in whole
        for index in set(one.members).intersection(run)
    }
