"""From operators of the graph to tasks of the hardware."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.compiler.lowering.average_pooling import averaging_tasks
from npu.compiler.lowering.elementwise import FUNCTIONS, TABLE_KINDS, lower_elementwise
from npu.compiler.lowering.padding import PAD_KINDS, lower_padding
from npu.compiler.lowering.reduction import REDUCTION_KINDS, lower_reduction
from npu.compiler.terms.geometry import Area, Extent, Window
from npu.compiler.terms.layout import fold_zero_point
from npu.compiler.terms.normalize import normalize
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import natural_extent
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    PoolOptions,
)
from npu.model.quant_params import (
    activation_range,
    product_parameters,
    window_geometry,
)
from rtl.isa import Opcode

INT8_MIN = -128

Extents = Mapping[int, Extent]
Pads = Mapping[int, tuple[int, int]]


def lower_operator(
    graph: Graph, op: Operator, extents: Extents, pads: Pads, rounding: Rounding
) -> LoweredOperator:
    """Lower one operator that the NPU executes.

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
        return _normalized(lower_reduction(graph, op))
    if op.kind in PAD_KINDS:
        return _normalized(lower_padding(graph, op))
    if op.kind == "AVERAGE_POOL_2D":
        tasks = _average_pool(graph, op, extents, rounding)
    else:
        tasks = (_GRID_LOWERINGS[op.kind](graph, op, extents, pads),)
    macs = graph.macs(op)
    work = LoweredOperator(op.index, op.kind, macs, op.inputs[:1], op.outputs[0], tasks)
    return _normalized(work)


def _normalized(work: LoweredOperator) -> LoweredOperator:
    tasks = tuple(normalize(task) for task in work.tasks if isinstance(task, GridTask))
    return replace(work, tasks=tasks)


GridLowering = Callable[[Graph, Operator, Extents, Pads], GridTask]


def _extent(graph: Graph, tensor: int, extents: Extents) -> Extent:
    return extents.get(tensor) or natural_extent(graph.tensors[tensor].shape)


def _constant(graph: Graph, op: Operator, position: int) -> NDArray[np.int8]:
    data = graph.tensors[op.inputs[position]].data
    assert data is not None
    return data


def _whole(extent: Extent) -> Area:
    return Area(0, extent.height, 0, extent.width)


def _convolution(
    graph: Graph,
    op: Operator,
    extents: Extents,
    pads: Pads,
) -> GridTask:
    options = op.options
    assert isinstance(options, Conv2DOptions | DepthwiseConv2DOptions)
    parameters = product_parameters(graph, op, options.activation)
    windows = window_geometry(graph, op)
    pad_top, pad_left = pads.get(op.inputs[0], (0, 0))
    ifm = _extent(graph, op.inputs[0], extents)
    ofm = natural_extent(graph.output_tensor(op).shape)
    weights = _constant(graph, op, 1)
    groups, opcode = 1, Opcode.CONV
    if isinstance(options, Conv2DOptions):
        groups = ifm.channels // weights.shape[3]
        bias = fold_zero_point(parameters.bias, weights, parameters.ifm_zero_point, 0)
    else:
        bias = fold_zero_point(parameters.bias, weights[0], parameters.ifm_zero_point, 2)
        if ofm.channels == ifm.channels:
            opcode, weights = Opcode.DEPTHWISE, weights[0]
        else:
            # every input channel is a group of its own
            groups, weights = ifm.channels, weights.transpose(3, 1, 2, 0)
    return GridTask(
        opcode=opcode,
        ifm=ifm,
        ofm=ofm,
        window=Window(
            height=windows.kernel[0],
            width=windows.kernel[1],
            stride_y=windows.stride[0],
            stride_x=windows.stride[1],
            dilation_y=windows.dilation[0],
            dilation_x=windows.dilation[1],
            pad_top=windows.padding[0] + pad_top,
            pad_left=windows.padding[1] + pad_left,
        ),
        area=_whole(ofm),
        weights=weights,
        groups=groups,
        bias=bias,
        **parameters.arguments(),
    )


def _fully_connected(
    graph: Graph,
    op: Operator,
    extents: Extents,
    pads: Pads,
) -> GridTask:
    parameters = product_parameters(graph, op, op.options_as(FullyConnectedOptions).activation)
    weights = _constant(graph, op, 1)
    outputs, inputs = weights.shape
    rows = graph.tensors[op.inputs[0]].size // inputs
    ifm = extents.get(op.inputs[0])
    if ifm is None or ifm.channels == inputs:
        ifm = Extent(1, rows, inputs)
    # a map that is not flat is reduced by a kernel of its own size
    height, width = (1, 1) if ifm.channels == inputs else (ifm.height, ifm.width)
    ofm = Extent(1, rows, outputs)
    return GridTask(
        opcode=Opcode.CONV,
        ifm=ifm,
        ofm=ofm,
        window=Window(height=height, width=width),
        area=_whole(ofm),
        weights=weights.reshape(outputs, height, width, ifm.channels),
        bias=fold_zero_point(parameters.bias, weights, parameters.ifm_zero_point, 0),
        **parameters.arguments(),
    )


def _max_pool(
    graph: Graph,
    op: Operator,
    extents: Extents,
    pads: Pads,
) -> GridTask:
    low, high = activation_range(graph, op, op.options_as(PoolOptions).activation)
    windows = window_geometry(graph, op)
    ofm = natural_extent(graph.output_tensor(op).shape)
    return GridTask(
        opcode=Opcode.MAX_POOL,
        ifm=_extent(graph, op.inputs[0], extents),
        ofm=ofm,
        window=Window(
            height=windows.kernel[0],
            width=windows.kernel[1],
            stride_y=windows.stride[0],
            stride_x=windows.stride[1],
            pad_top=windows.padding[0],
            pad_left=windows.padding[1],
        ),
        area=_whole(ofm),
        weights=None,
        bias=np.zeros(ofm.channels, np.int32),
        multiplier=np.full(ofm.channels, IDENTITY[0], np.int32),
        shift=np.full(ofm.channels, IDENTITY[1], np.int32),
        ifm_zero_point=INT8_MIN,
        ofm_zero_point=0,
        activation_min=low,
        activation_max=high,
    )


def _average_pool(
    graph: Graph, op: Operator, extents: Extents, rounding: Rounding
) -> tuple[GridTask, ...]:
    return averaging_tasks(
        _extent(graph, op.inputs[0], extents),
        natural_extent(graph.output_tensor(op).shape),
        window_geometry(graph, op),
        activation_range(graph, op, op.options_as(PoolOptions).activation),
        rounding,
    )


_GRID_LOWERINGS: dict[str, GridLowering] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _max_pool,
}

COMPUTE_KINDS = frozenset(
    {*_GRID_LOWERINGS, "AVERAGE_POOL_2D", *FUNCTIONS, *TABLE_KINDS, *REDUCTION_KINDS}
)
"""Operators that the NPU computes; others move data, or cost nothing."""
