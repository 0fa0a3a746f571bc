"""Which file lowers an operator that the NPU computes."""

from collections.abc import Mapping
from dataclasses import replace

from kernels.requantize import Rounding
from npu.compiler.lowering.average_pooling import lower_average_pool
from npu.compiler.lowering.convolution import convolution_window, lower_convolution
from npu.compiler.lowering.elementwise import FUNCTIONS, TABLE_KINDS, lower_elementwise
from npu.compiler.lowering.fully_connected import lower_fully_connected
from npu.compiler.lowering.max_pooling import lower_max_pool
from npu.compiler.lowering.padding import PAD_KINDS, lower_padding
from npu.compiler.lowering.reduction import REDUCTION_KINDS, lower_reduction
from npu.compiler.terms.geometry import Extent
from npu.compiler.terms.normalize import normalize
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import natural_extent
from npu.compiler.terms.tasks import GridTask
from npu.model.graph import Graph, Operator

GRID_KINDS = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D", "AVERAGE_POOL_2D"}
)
"""Operators that are windows over one map."""


def is_computed(kind: str) -> bool:
    """Whether the NPU computes such an operator; others move data, or cost nothing."""
    return any(kind in kinds for kinds in (GRID_KINDS, FUNCTIONS, TABLE_KINDS, REDUCTION_KINDS))


def lower_operator(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
    rounding: Rounding,
) -> LoweredOperator:
    """Lower one operator that `is_computed`, or a PAD that is not folded.

    Parameters
    ----------
    extents : maps of input tensors that the NPU has produced; others come from memory, where any
        view of their bytes will do.
    pads : rows above and columns left that a folded PAD adds to an input tensor. Its `extents`
        entry is then the map without them.
    rounding : how the hardware rounds where it rescales.

    Raises
    ------
    ModelError, CompileError : parameters that no kernel accepts, or that the hardware does not.
    """
    if op.kind in FUNCTIONS or op.kind in TABLE_KINDS:
        return lower_elementwise(graph, op, rounding)
    if op.kind in REDUCTION_KINDS:
        return lower_reduction(graph, op)
    if op.kind in PAD_KINDS:
        work = lower_padding(graph, op)
    else:
        tasks = _windows(graph, op, extents, pads, rounding)
        macs = graph.macs(op)
        work = LoweredOperator(op.index, op.kind, macs, op.inputs[:1], op.outputs[0], tasks)
    normalized = tuple(normalize(task) for task in work.tasks if isinstance(task, GridTask))
    return replace(work, tasks=normalized)


def _windows(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
    rounding: Rounding,
) -> tuple[GridTask, ...]:
    """The tasks of an operator of `GRID_KINDS`."""
    source = op.inputs[0]
    made = extents.get(source)
    ifm = made or natural_extent(graph.tensors[source].shape)
    match op.kind:
        case "FULLY_CONNECTED":
            return (lower_fully_connected(graph, op, made),)
        case "MAX_POOL_2D":
            return (lower_max_pool(graph, op, ifm),)
        case "AVERAGE_POOL_2D":
            return lower_average_pool(graph, op, ifm, rounding)
        case _:
            ofm = natural_extent(graph.output_tensor(op).shape)
            window = convolution_window(graph, op, pads.get(source, (0, 0)))
            return (lower_convolution(graph, op, ifm, ofm, window),)
