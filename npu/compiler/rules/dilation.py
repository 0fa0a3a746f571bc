"""Which dilated convolutions the NPU takes: see `npu.compiler.lowering.dilation`."""

from kernels.requantize import Rounding
from npu.compiler.errors import CompileError
from npu.compiler.lowering.dilation import (
    DEALING_KINDS,
    Dilation,
    find_dilations,
    lower_dilation,
)
from npu.compiler.rules.operators import (
    DILATED_CONVOLUTION,
    around_convolution,
    first_broken,
    reason_against,
)
from npu.compiler.terms.shapes import CHANNEL_LIMIT, EXTENT_LIMIT
from npu.errors import ModelError
from npu.model.graph import Graph


def dilation_reasons(graph: Graph) -> dict[int, str]:
    """Why the NPU cannot execute the operators of dilated convolutions, empty where it can."""
    reasons: dict[int, str] = {}
    for dilation in find_dilations(graph):
        reasons |= dict.fromkeys(dilation.members, _reason_against(graph, dilation))
    return reasons


def torn_apart(graph: Graph, run: tuple[int, ...], rounding: Rounding) -> dict[int, str]:
    """Operators of a run that need others of a dilated convolution, which it lacks."""
    found: dict[int, str] = {}
    whole = {one.members for one in find_dilations(graph, run)}
    for dilation in find_dilations(graph):
        for index in set(dilation.members).intersection(run):
            op = graph.operator(index)
            dealing = op.kind in DEALING_KINDS
            reason = str(around_convolution.__doc__) if dealing else ""
            reason = reason or reason_against(graph, op, rounding)
            if dilation.members not in whole and reason:
                found[index] = reason
    return found


def _reason_against(graph: Graph, dilation: Dilation) -> str:
    reason = first_broken(graph, graph.operator(dilation.convolution), DILATED_CONVOLUTION)
    if reason:
        return reason
    extents = dilation.ifm, dilation.ofm
    if any(max(e.height, e.width) > EXTENT_LIMIT or e.channels > CHANNEL_LIMIT for e in extents):
        return "feature maps may have up to 65535 rows and columns and 16380 channels"
    try:
        lower_dilation(graph, dilation)
    except (ModelError, CompileError) as error:
        return str(error)
    return ""
