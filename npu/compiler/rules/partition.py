"""Which operators run on the NPU, and why the others do not."""

from collections.abc import Mapping
from dataclasses import dataclass

from kernels.requantize import Rounding
from npu.compiler.lowering.movement import MOVING_KINDS
from npu.compiler.lowering.padding import PAD_KINDS
from npu.compiler.lowering.segment import lower_segment
from npu.compiler.planning.stripes import smallest_working_set
from npu.compiler.rules.composition import composed, members_apart
from npu.compiler.rules.dilation import dilation_reasons, torn_apart
from npu.compiler.rules.operators import reason_against
from npu.compiler.stream.pieces import smallest_weights
from npu.compiler.terms.segment import Segment, make_segment
from npu.model.graph import Graph
from rtl.config import NpuConfig


@dataclass(frozen=True)
class Partition:
    """Where operators run.

    Attributes
    ----------
    segments : runs of operators for the NPU, in execution order.
    reasons : why an operator runs on the CPU, by its index; NPU operators are not among them.
    """

    segments: tuple[Segment, ...]
    reasons: Mapping[int, str]

    def on_npu(self, operator: int) -> bool:
        """Whether the operator with this index runs on the NPU."""
        return operator not in self.reasons


def partition(
    graph: Graph,
    config: NpuConfig,
    *,
    refused: Mapping[int, str] | None = None,
    cuts: frozenset[int] = frozenset(),
) -> Partition:
    """Decide for every operator of `graph`, and join those for the NPU to segments.

    An operator that one rule or one memory is too small for goes to the CPU; that is never an
    error.

    Parameters
    ----------
    refused : reasons why operators must go to the CPU in any case, by index.
    cuts : operators with which a segment must begin.
    """
    reasons = dict(refused or {})
    rounding = Rounding.named(config.rounding)
    together = dilation_reasons(graph) | dict.fromkeys(composed(graph, rounding), "")
    for op in graph.operators:
        reason = reasons.get(op.index) or together.get(op.index)
        if reason is None:
            reason = reason_against(graph, op, rounding)
        if reason:
            reasons[op.index] = reason
    # each decision changes the runs that others depend on, and only ever removes operators
    while True:
        runs = _runs(graph, reasons, cuts)
        found = {}
        for run in runs:
            found.update(_misplaced(graph, run, rounding))
        if not found:
            for run in runs:
                found.update(_too_large(graph, run, config))
        if not found:
            break
        reasons.update(found)
    segments = tuple(make_segment(graph, run) for run in runs)
    return Partition(segments, dict(sorted(reasons.items())))


def _runs(graph: Graph, reasons: Mapping[int, str], cuts: frozenset[int]) -> list[tuple[int, ...]]:
    runs: list[list[int]] = [[]]
    for op in graph.operators:
        if op.index in reasons or op.index in cuts:
            runs.append([])
        if op.index not in reasons:
            runs[-1].append(op.index)
    return [tuple(run) for run in runs if run]


def _misplaced(graph: Graph, run: tuple[int, ...], rounding: Rounding) -> dict[int, str]:
    """Operators of a run that the NPU could only execute among other neighbours."""
    members = [graph.operator(i) for i in run]
    torn = torn_apart(graph, run, rounding) | members_apart(graph, run, rounding)
    if torn:
        return torn
    if all(op.kind in MOVING_KINDS or op.kind in PAD_KINDS for op in members):
        return dict.fromkeys(run, "nothing to compute beside it on the NPU")
    return {}


def _too_large(graph: Graph, run: tuple[int, ...], config: NpuConfig) -> dict[int, str]:
    """Operators of a run that the memories on chip are too small for."""
    found: dict[int, str] = {}
    lowered = lower_segment(graph, make_segment(graph, run), config)
    for work in lowered.operators:
        words = smallest_working_set(work, config)
        weights = smallest_weights(work, config)
        if words > config.scratchpad_words:
            needed = words * config.lanes / 1024
            found[work.index] = (
                f"tensor too large for any tiling: needs {needed:.0f} KiB,"
                f" scratchpad has {config.scratchpad_kib}"
            )
        elif weights > config.weight_buffer_kib * 1024:
            found[work.index] = (
                f"weights too large for any tiling: {weights / 1024:.0f} KiB for one word of"
                f" output channels, weight buffer has {config.weight_buffer_kib}"
            )
    return found
