"""What the NPU can execute: one predicate per rule, whose docstring is what the user is told.

A rule holds when it returns True. Rules are tried in order; the first that does not hold is the
reason why an operator stays on the CPU.
"""

from collections.abc import Callable

import numpy as np

from npu.compiler.lower import (
    COMPUTE_KINDS,
    VIEW_KINDS,
    lower_operator,
    natural_extent,
    paddings,
)
from npu.compiler.normalize import FIELD_LIMIT
from npu.errors import ModelError
from npu.graph import Graph, Operator, Tensor
from npu.options import (
    Activation,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    PoolOptions,
)
from npu.quant_params import placement
from npu.shape_rules import reduced_axes

Rule = Callable[[Graph, Operator], bool]

EXTENT_LIMIT = (1 << 16) - 1
CHANNEL_LIMIT = 4 * ((1 << 12) - 1)
"""Channels of a map at most: commands count them in words of at least four, in 12 bits."""


def reason_against(graph: Graph, op: Operator) -> str:
    """Why the NPU cannot execute `op`, whatever its configuration; empty if it can."""
    rules = RULES.get(op.kind)
    if rules is None:
        return f"{op.kind} is not an NPU operator"
    for rule in rules:
        try:
            holds = rule(graph, op)
        except ModelError as error:
            return str(error)
        if not holds:
            return str(rule.__doc__)
    if op.kind in COMPUTE_KINDS:
        try:
            lower_operator(graph, op, {}, {})
        except ModelError as error:
            return str(error)
    return ""


def _activations(graph: Graph, op: Operator) -> list[Tensor]:
    inputs = [t for i in range(len(op.inputs)) if (t := graph.input_tensor(op, i)) is not None]
    return [t for t in inputs if not t.is_constant] + [graph.output_tensor(op)]


def int8_activations(graph: Graph, op: Operator) -> bool:
    """inputs and outputs must be int8"""
    return all(t.dtype == np.int8 for t in _activations(graph, op))


def computed_input(graph: Graph, op: Operator) -> bool:
    """the input must not be a constant"""
    return not graph.tensors[op.inputs[0]].is_constant


def batch_of_one(graph: Graph, op: Operator) -> bool:
    """feature maps must have rank 4 and batch 1"""
    shapes = (graph.tensors[op.inputs[0]].shape, graph.output_tensor(op).shape)
    return all(len(shape) == 4 and shape[0] == 1 for shape in shapes)


def one_feature_map(graph: Graph, op: Operator) -> bool:
    """the input must have rank 4 and batch 1"""
    shape = graph.tensors[op.inputs[0]].shape
    return len(shape) == 4 and shape[0] == 1


def extents_in_range(graph: Graph, op: Operator) -> bool:
    """feature maps may have up to 65535 rows and columns and 16380 channels"""
    extents = [natural_extent(t.shape) for t in _activations(graph, op)]
    return all(
        max(e.height, e.width) <= EXTENT_LIMIT and e.channels <= CHANNEL_LIMIT for e in extents
    )


def constant_weights(graph: Graph, op: Operator) -> bool:
    """weights must be constant int8"""
    weights = graph.input_tensor(op, 1)
    return weights is not None and weights.is_constant and weights.dtype == np.int8


def symmetric_weights(graph: Graph, op: Operator) -> bool:
    """weights must be quantized with zero point 0"""
    quantization = graph.tensors[op.inputs[1]].quantization
    return quantization is not None and not np.any(quantization.zero_points)


def constant_bias(graph: Graph, op: Operator) -> bool:
    """the bias must be constant int32"""
    bias = graph.input_tensor(op, 2)
    return bias is None or (bias.is_constant and bias.dtype == np.int32)


def clamping_activation(graph: Graph, op: Operator) -> bool:
    """the fused activation must be NONE, RELU, RELU6 or RELU_N1_TO_1"""
    options = op.options
    assert isinstance(
        options,
        Conv2DOptions
        | DepthwiseConv2DOptions
        | FullyConnectedOptions
        | PoolOptions
        | ElementwiseOptions,
    )
    allowed = (Activation.NONE, Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1)
    return options.activation in allowed


def window_in_range(graph: Graph, op: Operator) -> bool:
    """kernel, stride, dilation and padding may be up to 255"""
    windows = placement(graph, op)
    fields = (*windows.kernel, *windows.stride, *windows.dilation, *windows.padding)
    return max(fields) <= FIELD_LIMIT


def same_shapes(graph: Graph, op: Operator) -> bool:
    """both inputs must have the shape of the output (no broadcasting)"""
    shape = graph.output_tensor(op).shape
    return all(graph.tensors[i].shape == shape for i in op.inputs[:2])


def computed_operands(graph: Graph, op: Operator) -> bool:
    """neither input may be a constant"""
    return not any(graph.tensors[i].is_constant for i in op.inputs[:2])


def whole_rows(graph: Graph, op: Operator) -> bool:
    """a batch of inputs must have the inputs of one output as its last dimension"""
    features = graph.tensors[op.inputs[1]].shape[1]
    ifm = graph.tensors[op.inputs[0]]
    return ifm.size == features or ifm.shape[-1] == features


def spatial_mean(graph: Graph, op: Operator) -> bool:
    """MEAN must average over height and width, up to 255 each"""
    shape = graph.tensors[op.inputs[0]].shape
    return reduced_axes(graph, op) == (1, 2) and max(shape[1:3]) <= FIELD_LIMIT


def spatial_padding(graph: Graph, op: Operator) -> bool:
    """PAD must extend height and width only, by up to 255"""
    amounts = paddings(graph, op)
    before_after = [n for pair in amounts[1:3] for n in pair]
    return amounts[0] == amounts[3] == (0, 0) and max(before_after) <= FIELD_LIMIT


def constant_paddings(graph: Graph, op: Operator) -> bool:
    """the paddings must be constant"""
    return graph.tensors[op.inputs[1]].is_constant


_COMMON: list[Rule] = [int8_activations, computed_input, extents_in_range]
_WEIGHTS: list[Rule] = [constant_weights, symmetric_weights, constant_bias, clamping_activation]
_CONVOLUTION: list[Rule] = [*_COMMON, batch_of_one, *_WEIGHTS, window_in_range]
_POOL: list[Rule] = [*_COMMON, batch_of_one, clamping_activation, window_in_range]

RULES: dict[str, list[Rule]] = {
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "FULLY_CONNECTED": [*_COMMON, *_WEIGHTS, whole_rows],
    "ADD": [
        int8_activations,
        computed_operands,
        same_shapes,
        extents_in_range,
        clamping_activation,
    ],
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "MEAN": [*_COMMON, one_feature_map, spatial_mean],
    "PAD": [*_COMMON, one_feature_map, constant_paddings, spatial_padding],
    **{kind: [int8_activations, computed_input] for kind in sorted(VIEW_KINDS)},
}
"""What has to hold for each kind, apart from its neighbours and the size of the memories."""
