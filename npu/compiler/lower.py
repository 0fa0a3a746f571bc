"""From operators of the graph to tasks of the hardware."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kernels.quantization import add_parameters, mean_multiplier
from npu.compiler.layout import fold_zero_point
from npu.compiler.normalize import normalize
from npu.compiler.pooling import averaging_tasks
from npu.compiler.tasks import (
    AddTask,
    Extent,
    GridTask,
    Kernel,
    LoweredOperator,
    Region,
    Task,
)
from npu.graph import Graph, Operator
from npu.options import (
    Activation,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    PoolOptions,
)
from npu.quant_params import (
    activation_range,
    blamed_on,
    output_stage,
    placement,
    scale_and_zero_point,
)
from rtl.isa import Opcode

VIEW_KINDS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
"""Operators that only rename the shape."""

INT8_MIN = -128


def natural_extent(shape: tuple[int, ...]) -> Extent:
    """The map that a tensor's shape suggests: `[1, H, W, C]`, or rows of the last dimension."""
    if len(shape) == 4 and shape[0] == 1:
        return Extent(*shape[1:])
    channels = shape[-1] if shape else 1
    return Extent(1, int(np.prod(shape[:-1], dtype=np.int64)), channels)


def paddings(graph: Graph, op: Operator) -> tuple[tuple[int, int], ...]:
    """The amounts of a PAD as ((before, after), ...) per dimension."""
    amounts = graph.tensors[op.inputs[1]].data
    assert amounts is not None
    return tuple((int(before), int(after)) for before, after in amounts)


def lower_operator(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
) -> LoweredOperator:
    """Lower one operator that the NPU executes.

    Parameters
    ----------
    extents : maps of input tensors that the NPU has produced; others come from memory, where any
        view of their bytes will do.
    pads : rows above and columns left that a folded PAD adds to an input tensor. Its `extents`
        entry is then the map without them.
    """
    tasks = _LOWERINGS[op.kind](graph, op, extents, pads)
    if op.kind == "ADD":
        sources = op.inputs[:2]
    else:
        sources = op.inputs[:1]
        tasks = tuple(normalize(task) for task in tasks if isinstance(task, GridTask))
    return LoweredOperator(op.index, op.kind, graph.macs(op), sources, op.outputs[0], tasks)


Tasks = tuple[Task, ...]
Lowering = Callable[[Graph, Operator, Mapping[int, Extent], Mapping[int, tuple[int, int]]], Tasks]


def _extent(graph: Graph, tensor: int, extents: Mapping[int, Extent]) -> Extent:
    return extents.get(tensor) or natural_extent(graph.tensors[tensor].shape)


def _constant(graph: Graph, op: Operator, position: int) -> NDArray[np.int8]:
    data = graph.tensors[op.inputs[position]].data
    assert data is not None
    return data


def _whole(extent: Extent) -> Region:
    return Region(0, extent.height, 0, extent.width)


def _convolution(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
) -> Tasks:
    options = op.options
    assert isinstance(options, Conv2DOptions | DepthwiseConv2DOptions)
    stage = output_stage(graph, op, options.activation)
    windows = placement(graph, op)
    pad_top, pad_left = pads.get(op.inputs[0], (0, 0))
    ifm = _extent(graph, op.inputs[0], extents)
    ofm = natural_extent(graph.output_tensor(op).shape)
    weights = _constant(graph, op, 1)
    groups, opcode = 1, Opcode.CONV
    if isinstance(options, Conv2DOptions):
        groups = ifm.channels // weights.shape[3]
        bias = fold_zero_point(stage.bias, weights, stage.ifm_zero_point, 0)
    else:
        bias = fold_zero_point(stage.bias, weights[0], stage.ifm_zero_point, 2)
        if ofm.channels == ifm.channels:
            opcode, weights = Opcode.DEPTHWISE, weights[0]
        else:
            # every input channel is a group of its own
            groups, weights = ifm.channels, weights.transpose(3, 1, 2, 0)
    task = GridTask(
        opcode=opcode,
        ifm=ifm,
        ofm=ofm,
        kernel=Kernel(
            height=windows.kernel[0],
            width=windows.kernel[1],
            stride_y=windows.stride[0],
            stride_x=windows.stride[1],
            dilation_y=windows.dilation[0],
            dilation_x=windows.dilation[1],
            pad_top=windows.padding[0] + pad_top,
            pad_left=windows.padding[1] + pad_left,
        ),
        region=_whole(ofm),
        weights=weights,
        groups=groups,
        bias=bias,
        **stage.arguments(),
    )
    return (task,)


def _fully_connected(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
) -> Tasks:
    stage = output_stage(graph, op, op.options_as(FullyConnectedOptions).activation)
    weights = _constant(graph, op, 1)
    outputs, inputs = weights.shape
    rows = graph.tensors[op.inputs[0]].size // inputs
    ifm = extents.get(op.inputs[0])
    if ifm is None or ifm.channels == inputs:
        ifm = Extent(1, rows, inputs)
    # a map that is not flat is reduced by a kernel of its own size
    height, width = (1, 1) if ifm.channels == inputs else (ifm.height, ifm.width)
    ofm = Extent(1, rows, outputs)
    task = GridTask(
        opcode=Opcode.CONV,
        ifm=ifm,
        ofm=ofm,
        kernel=Kernel(height=height, width=width),
        region=_whole(ofm),
        weights=weights.reshape(outputs, height, width, ifm.channels),
        bias=fold_zero_point(stage.bias, weights, stage.ifm_zero_point, 0),
        **stage.arguments(),
    )
    return (task,)


def _add(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
) -> Tasks:
    scale_a, zero_a = scale_and_zero_point(graph.tensors[op.inputs[0]])
    scale_b, zero_b = scale_and_zero_point(graph.tensors[op.inputs[1]])
    scale, zero_point = scale_and_zero_point(graph.output_tensor(op))
    low, high = activation_range(graph, op, op.options_as(ElementwiseOptions).activation)
    with blamed_on(op):
        parameters = add_parameters(scale_a, scale_b, scale)
    task = AddTask(
        extent=natural_extent(graph.output_tensor(op).shape),
        multipliers=(parameters.multiplier_a, parameters.multiplier_b),
        right_shifts=(-parameters.shift_a, -parameters.shift_b),
        zero_points=(zero_a, zero_b),
        multiplier=parameters.multiplier,
        shift=parameters.shift,
        ofm_zero_point=zero_point,
        activation_min=low,
        activation_max=high,
    )
    return (task,)


def _max_pool(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
) -> Tasks:
    low, high = activation_range(graph, op, op.options_as(PoolOptions).activation)
    windows = placement(graph, op)
    ofm = natural_extent(graph.output_tensor(op).shape)
    task = GridTask(
        opcode=Opcode.MAX_POOL,
        ifm=_extent(graph, op.inputs[0], extents),
        ofm=ofm,
        kernel=Kernel(
            height=windows.kernel[0],
            width=windows.kernel[1],
            stride_y=windows.stride[0],
            stride_x=windows.stride[1],
            pad_top=windows.padding[0],
            pad_left=windows.padding[1],
        ),
        region=_whole(ofm),
        weights=None,
        bias=np.zeros(ofm.channels, np.int32),
        # 2**30 with a left shift by one is exactly 1
        multiplier=np.full(ofm.channels, 1 << 30, np.int32),
        shift=np.ones(ofm.channels, np.int32),
        ifm_zero_point=INT8_MIN,
        ofm_zero_point=0,
        activation_min=low,
        activation_max=high,
    )
    return (task,)


def _average_pool(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
) -> Tasks:
    return averaging_tasks(
        _extent(graph, op.inputs[0], extents),
        natural_extent(graph.output_tensor(op).shape),
        placement(graph, op),
        activation_range(graph, op, op.options_as(PoolOptions).activation),
    )


def _mean(
    graph: Graph,
    op: Operator,
    extents: Mapping[int, Extent],
    pads: Mapping[int, tuple[int, int]],
) -> Tasks:
    ifm_scale, ifm_zero_point = scale_and_zero_point(graph.tensors[op.inputs[0]])
    ofm_scale, ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))
    ifm = _extent(graph, op.inputs[0], extents)
    channels = ifm.channels
    with blamed_on(op):
        multiplier, shift = mean_multiplier(ifm_scale, ofm_scale, ifm.pixels)
    low, high = activation_range(graph, op, Activation.NONE)
    ofm = Extent(1, 1, channels)
    task = GridTask(
        opcode=Opcode.DEPTHWISE,
        ifm=ifm,
        ofm=ofm,
        kernel=Kernel(height=ifm.height, width=ifm.width),
        region=_whole(ofm),
        weights=np.ones((ifm.height, ifm.width, channels), np.int8),
        bias=np.full(channels, -ifm.pixels * ifm_zero_point, np.int32),
        multiplier=np.full(channels, multiplier, np.int32),
        shift=np.full(channels, shift, np.int32),
        ifm_zero_point=0,
        ofm_zero_point=ofm_zero_point,
        activation_min=low,
        activation_max=high,
    )
    return (task,)


_LOWERINGS: dict[str, Lowering] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
}

COMPUTE_KINDS = frozenset(_LOWERINGS)
"""Operators that the NPU computes; `VIEW_KINDS` and a folded PAD cost nothing."""
