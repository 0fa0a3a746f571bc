"""Reductions as sliding windows as large as what they reduce.

Sums over pixels are DEPTHWISE, sums over channels CONV with weights of one.
"""

import numpy as np

from kernels.quantization import mean_multiplier, rescale_multiplier
from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.normalize import FIELD_LIMIT
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import map_axes, map_extent
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import Activation
from npu.model.quant_params import activation_range, blamed_on, scale_and_zero_point
from npu.model.shape_rules import reduced_axes
from rtl.isa import Opcode

SUM_KINDS = frozenset({"MEAN", "SUM"})
REDUCTION_KINDS = SUM_KINDS | {"REDUCE_MAX"}

INT8_MIN, INT8_MAX = -128, 127


def reduction_map(graph: Graph, op: Operator) -> tuple[Extent, tuple[bool, bool, bool]]:
    """The map that a reduction reads, and which of height, width and channels it reduces.

    Where all pixels are reduced, it does not matter in which rows they lie.
    """
    shape = graph.tensors[op.inputs[0]].shape
    extent, axes = map_extent(shape), map_axes(reduced_axes(graph, op), len(shape))
    whole = (axes[0] or extent.height == 1) and (axes[1] or extent.width == 1)
    if not whole or max(extent.height, extent.width) <= FIELD_LIMIT:
        return extent, axes
    for height in range(1, FIELD_LIMIT + 1):
        width, rest = divmod(extent.pixels, height)
        if rest == 0 and width <= FIELD_LIMIT:
            return Extent(height, width, extent.channels), (True, True, axes[2])
    return extent, axes


def reduced_extent(graph: Graph, op: Operator) -> Extent:
    """The map that a reduction makes."""
    ifm, (over_height, over_width, over_channels) = reduction_map(graph, op)
    return Extent(
        1 if over_height else ifm.height,
        1 if over_width else ifm.width,
        1 if over_channels else ifm.channels,
    )


def lower_reduction(graph: Graph, op: Operator) -> LoweredOperator:
    """Lower MEAN, SUM or REDUCE_MAX."""
    ifm, (over_height, over_width, over_channels) = reduction_map(graph, op)
    ofm = reduced_extent(graph, op)
    window = SlidingWindow(
        height=ifm.height if over_height else 1, width=ifm.width if over_width else 1
    )
    low, high = activation_range(graph, op, Activation.NONE)
    count = ifm.size // ofm.size
    multiplier, shift = IDENTITY
    opcode, weights = Opcode.MAX_POOL, None
    bias, ifm_zero_point, ofm_zero_point = 0, INT8_MIN, 0
    if op.kind in SUM_KINDS:
        multiplier, shift = _rescaling(graph, op, count)
        opcode = Opcode.CONV if over_channels else Opcode.DEPTHWISE
        weights = np.ones((window.height, window.width, ifm.channels), np.int8)
        weights = weights[None] if over_channels else weights
        bias = -count * scale_and_zero_point(graph.tensors[op.inputs[0]])[1]
        ifm_zero_point = 0
        ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))[1]
    task = GridTask(
        opcode=opcode,
        ifm=ifm,
        ofm=ofm,
        window=window,
        area=Area.of_all(ofm),
        weights=weights,
        bias=np.full(ofm.channels, bias, np.int32),
        multiplier=np.full(ofm.channels, multiplier, np.int32),
        shift=np.full(ofm.channels, shift, np.int32),
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        activation_min=low,
        activation_max=high,
    )
    return LoweredOperator(op.index, op.kind, 0, (op.inputs[0],), op.outputs[0], (task,))


def _rescaling(graph: Graph, op: Operator, count: int) -> tuple[int, int]:
    ifm_scale, _ = scale_and_zero_point(graph.tensors[op.inputs[0]])
    ofm_scale, _ = scale_and_zero_point(graph.output_tensor(op))
    with blamed_on(op):
        if op.kind == "MEAN":
            return mean_multiplier(ifm_scale, ofm_scale, count)
        return rescale_multiplier(ifm_scale, ofm_scale)
