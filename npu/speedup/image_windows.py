"""Operators of a network as operators of the image: products with weights, and pooling."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import Graph, Operator
from npu.model.options import (
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    PoolOptions,
)
from npu.model.quant_params import (
    ProductParameters,
    activation_range,
    product_parameters,
    window_geometry,
)
from npu.speedup.image_builder import Place
from npu.speedup.image_writer import Parameters, Translation, Writer, refuse
from sim.soc.firmware.image_format import (
    CHANNEL_BLOCK,
    PIXEL_BLOCK,
    REDUCTION_BLOCK,
    SUMS_AT_ONCE,
    Kind,
)


def pack_weights(matrix: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """Weights `[channels, values]` as `[group][channel block][value block][channel][value]`.

    Channels and values that a block lacks are zero.
    """
    channels, values = matrix.shape
    per_group = channels // groups
    blocks = -(-per_group // CHANNEL_BLOCK)
    words = -(-values // REDUCTION_BLOCK)
    padded = np.zeros((groups, blocks * CHANNEL_BLOCK, words * REDUCTION_BLOCK), np.int8)
    padded[:, :per_group, :values] = matrix.reshape(groups, per_group, values)
    tiles = padded.reshape(groups, blocks, CHANNEL_BLOCK, words, REDUCTION_BLOCK)
    return np.ascontiguousarray(tiles.transpose(0, 1, 3, 2, 4))


def _convolution(w: Writer, op: Operator) -> None:
    weights = _weights(w.graph, op)
    parameters = product_parameters(w.graph, op, op.options_as(Conv2DOptions).activation)
    channels, values = weights.shape[0], prod(weights.shape[1:])
    groups = w.graph.tensors[op.inputs[0]].shape[3] // weights.shape[3]
    w.add(
        op,
        Kind.CONV_2D,
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "weights": w.builder.constant(weights),
            "packed_weights": w.builder.constant(
                pack_weights(weights.reshape(channels, values), groups)
            ),
            "scratch": _scratch(w, op, _whole_words(values), PIXEL_BLOCK + 1),
            "output_channels": channels,
            "filter_channels": weights.shape[3],
            **_spatial(w.graph, op, dilated=True),
            **_stage(w, parameters, weights, 0),
        },
    )


def _depthwise(w: Writer, op: Operator) -> None:
    weights = _weights(w.graph, op)
    parameters = product_parameters(w.graph, op, op.options_as(DepthwiseConv2DOptions).activation)
    windows = window_geometry(w.graph, op)
    height, width = (
        (n - 1) * stride + kernel
        for n, stride, kernel in zip(windows.ofm_hw, windows.stride, windows.kernel, strict=True)
    )
    # the packed kernel writes whole words of columns: up to 3 sums more
    sums = max(windows.ofm_hw[1], SUMS_AT_ONCE) + REDUCTION_BLOCK
    w.add(
        op,
        Kind.DEPTHWISE_CONV_2D,
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "weights": w.builder.constant(weights),
            "scratch": _scratch(w, op, height * _whole_words(width) + sums, CHANNEL_BLOCK),
            "depth_multiplier": weights.shape[3] // w.graph.tensors[op.inputs[0]].shape[3],
            **_spatial(w.graph, op, dilated=True),
            **_stage(w, parameters, weights, 3),
        },
    )


def _fully_connected(w: Writer, op: Operator) -> None:
    weights = _weights(w.graph, op)
    parameters = product_parameters(w.graph, op, op.options_as(FullyConnectedOptions).activation)
    outputs, inputs = weights.shape
    w.add(
        op,
        Kind.FULLY_CONNECTED,
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "weights": w.builder.constant(weights),
            "packed_weights": w.builder.constant(pack_weights(weights, 1)),
            "scratch": _scratch(w, op, _whole_words(inputs), PIXEL_BLOCK + 1),
            "rows": w.graph.output_tensor(op).size // outputs,
            "inputs": inputs,
            "outputs": outputs,
            **_stage(w, parameters, weights, 0),
        },
    )


def _weights(graph: Graph, op: Operator) -> NDArray[np.int8]:
    data = graph.tensors[op.inputs[1]].data
    if data is None:
        raise refuse(op, "its weights are not constant")
    return data


def _scratch(w: Writer, op: Operator, size: int, parts: int) -> Place:
    return w.builder.buffer(("scratch", op.index), parts * size)


def _whole_words(values: int) -> int:
    return -(-values // REDUCTION_BLOCK) * REDUCTION_BLOCK


def _stage(
    w: Writer, given: ProductParameters, weights: NDArray[np.int8], channel_axis: int
) -> Parameters:
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel_axis)
    sums = weights.sum(axis=axes, dtype=np.int64)
    folded = (given.bias - given.ifm_zero_point * sums).astype(np.int32)
    return {
        "input_zero_point": given.ifm_zero_point,
        "output_zero_point": given.stage.zero_point,
        "activation_min": given.stage.low,
        "activation_max": given.stage.high,
        "bias": w.builder.constant(given.bias),
        "folded_bias": w.builder.constant(folded),
        "multipliers": w.builder.constant(given.stage.multiplier),
        "shifts": w.builder.constant(given.stage.shift),
    }


def _pool(w: Writer, op: Operator) -> None:
    low, high = activation_range(w.graph, op, op.options_as(PoolOptions).activation)
    w.add(
        op,
        Kind[op.kind],
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "activation_min": low,
            "activation_max": high,
            **_spatial(w.graph, op),
        },
    )


def _spatial(graph: Graph, op: Operator, *, dilated: bool = False) -> Parameters:
    windows = window_geometry(graph, op)
    batches, height, width, channels = graph.tensors[op.inputs[0]].shape
    parameters: Parameters = {
        "batches": batches,
        "input_height": height,
        "input_width": width,
        "channels": channels,
    }
    pairs = {
        "filter_height filter_width": windows.kernel,
        "output_height output_width": windows.ofm_hw,
        "stride_y stride_x": windows.stride,
        "pad_top pad_left": windows.padding,
    }
    if dilated:
        pairs["dilation_y dilation_x"] = windows.dilation
    for names, pair in pairs.items():
        parameters.update(zip(names.split(), pair, strict=True))
    return parameters


TRANSLATIONS: dict[str, Translation] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
}
