"""What the NPU can execute: one predicate per rule, whose docstring is what the user is told.

A rule holds when it returns True. Rules are tried in order; the first that does not hold is the
reason why an operator stays on the CPU.
"""

from collections.abc import Callable

import numpy as np

from kernels.requantize import Rounding
from npu.compiler.errors import CompileError
from npu.compiler.lowering.batches import BATCH_LIMIT, maps_of, single_map
from npu.compiler.lowering.dilation import DEALING_KINDS, find_dilations
from npu.compiler.lowering.dispatch import is_computed, lower_operator
from npu.compiler.lowering.elementwise import TABLE_KINDS, has_table, operand_extent, output_extent
from npu.compiler.lowering.movement import MOVING_KINDS
from npu.compiler.lowering.padding import PAD_KINDS, paddings
from npu.compiler.lowering.prelu import STEPS_BETWEEN, lower_prelu, several_slopes
from npu.compiler.lowering.reduction import find_reduced_maps
from npu.compiler.rules.movement import (
    computed_inputs,
    evenly_resized,
    few_commands,
    few_copies,
    no_activation,
    one_quantization,
    repeated_fractions,
    size_in_range,
)
from npu.compiler.rules.products import (
    clamped,
    constant_kernel,
    int8_matrices,
    matrices_in_range,
    one_map_to_another,
    phases_in_range,
    products_rescale,
)
from npu.compiler.terms.normalize import FIELD_LIMIT
from npu.compiler.terms.shapes import CHANNEL_LIMIT, EXTENT_LIMIT, is_map, natural_extent
from npu.errors import ModelError
from npu.model.graph import Graph, Operator, Tensor
from npu.model.options import (
    Activation,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    OtherOptions,
    PoolOptions,
)
from npu.model.quant_params import scale_and_zero_point, weight_zero_point, window_geometry
from npu.model.tflm_only import missing_scale

Rule = Callable[[Graph, Operator], bool]

BEYOND = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "gates and cell of an LSTM are int16, the grid takes int8",
    "SQUARED_DIFFERENCE": "differences that are squared have 16 bits, a product on the NPU takes 8",
    **dict.fromkeys(
        ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"),
        "variables belong to the CPU: a program for the NPU begins and ends with its tensors",
    ),
}
"""Why the hardware cannot have a kind of operators."""


def reason_against(graph: Graph, op: Operator, rounding: Rounding) -> str:
    """Why the NPU cannot execute `op`, whatever the size of its memories; empty if it can."""
    rules = RULES.get(op.kind)
    if rules is None:
        return BEYOND.get(op.kind, f"{op.kind} is not an NPU operator")
    reason = first_broken(graph, op, rules)
    if reason:
        return reason
    try:
        if several_slopes(graph, op):
            list(lower_prelu(graph, op, rounding, tuple(range(STEPS_BETWEEN))))
        elif is_computed(op.kind) or op.kind in PAD_KINDS:
            one = single_map(graph, op) if maps_of(graph, op) > 1 else graph
            lower_operator(one, op, {}, {}, rounding)
    except (ModelError, CompileError) as error:
        return str(error)
    return ""


def first_broken(graph: Graph, op: Operator, rules: list[Rule]) -> str:
    """What the first of `rules` that does not hold tells the user; empty if all hold."""
    if isinstance(op.options, OtherOptions):
        return op.options.reason
    if missing := missing_scale(graph, op):
        return missing
    for rule in rules:
        try:
            holds = rule(graph, op)
        except (ModelError, CompileError) as error:
            return str(error)
        if not holds:
            return str(rule.__doc__)
    return ""


def _activations(graph: Graph, op: Operator) -> list[Tensor]:
    inputs = [t for i in range(len(op.inputs)) if (t := graph.input_tensor(op, i)) is not None]
    return [t for t in inputs if not t.is_constant] + [graph.output_tensor(op)]


def int8_activations(graph: Graph, op: Operator) -> bool:
    """inputs and outputs must be int8"""
    return all(t.dtype == np.int8 for t in _activations(graph, op))


def byte_activations(graph: Graph, op: Operator) -> bool:
    """input and output must be int8, or one of them uint8"""
    types = [t.dtype for t in _activations(graph, op)]
    return all(t in (np.int8, np.uint8) for t in types) and np.int8 in types


def computed_input(graph: Graph, op: Operator) -> bool:
    """the input must not be a constant"""
    return not graph.tensors[op.inputs[0]].is_constant


def maps_in_range(graph: Graph, op: Operator) -> bool:
    """feature maps must have rank 4, and a batch may have up to 64 of them"""
    shapes = (graph.tensors[op.inputs[0]].shape, graph.output_tensor(op).shape)
    return all(len(shape) == 4 and 1 <= shape[0] <= BATCH_LIMIT for shape in shapes)


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
    return weight_zero_point(graph, op) == 0


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
    windows = window_geometry(graph, op)
    fields = (*windows.kernel, *windows.stride, *windows.dilation, *windows.padding)
    return max(fields) <= FIELD_LIMIT


def int8_constants(graph: Graph, op: Operator) -> bool:
    """constant operands must be int8"""
    return all(graph.tensors[i].dtype == np.int8 for i in op.inputs)


def computed_operand(graph: Graph, op: Operator) -> bool:
    """at least one input must not be a constant"""
    return not all(graph.tensors[i].is_constant for i in op.inputs)


def broadcast_pixels(graph: Graph, op: Operator) -> bool:
    """computed operands are broadcast along rows, columns and channels of a map only"""
    computed = [t for i in op.inputs if not (t := graph.tensors[i]).is_constant]
    return has_table(graph, op) or all(operand_extent(graph, op, t) for t in computed)


def whole_operand(graph: Graph, op: Operator) -> bool:
    """only one of two computed operands may be broadcast along rows and columns"""
    return has_table(graph, op) or any(_has_all_pixels(graph, op, i) for i in op.inputs)


def _has_all_pixels(graph: Graph, op: Operator, index: int) -> bool:
    tensor, whole = graph.tensors[index], output_extent(graph, op)
    if tensor.is_constant:
        return True
    extent = operand_extent(graph, op, tensor)
    return extent is not None and extent.pixels == whole.pixels


def constant_slopes(graph: Graph, op: Operator) -> bool:
    """slopes must be constant int8"""
    slopes = graph.tensors[op.inputs[1]]
    return slopes.is_constant and slopes.dtype == np.int8


def whole_rows(graph: Graph, op: Operator) -> bool:
    """a batch of inputs must have the inputs of one output as its last dimension"""
    features = graph.tensors[op.inputs[1]].shape[1]
    ifm = graph.tensors[op.inputs[0]]
    return ifm.size == features or ifm.shape[-1] == features


def one_map(graph: Graph, op: Operator) -> bool:
    """the input must have up to four dimensions, the first of which may be a batch of up to 64"""
    shape = graph.tensors[op.inputs[0]].shape
    return is_map(shape) or (len(shape) == 4 and shape[0] <= BATCH_LIMIT)


def maps_reduced(graph: Graph, op: Operator) -> bool:
    """what is reduced must be rows, columns or channels of a map, or of each of up to 64 maps"""
    return find_reduced_maps(graph, op) is not None


def reduction_in_range(graph: Graph, op: Operator) -> bool:
    """up to 255 rows and columns may be reduced, or all pixels if they fill such a rectangle"""
    maps = find_reduced_maps(graph, op)
    assert maps is not None, "an earlier rule excludes it"
    rows = maps.extent.height if maps.over[0] else 1
    columns = maps.extent.width if maps.over[1] else 1
    return max(rows, columns) <= FIELD_LIMIT


def roots_exist(graph: Graph, op: Operator) -> bool:
    """the zero point of the input must be -128: negative numbers have no roots"""
    return scale_and_zero_point(graph.tensors[op.inputs[0]])[1] == -128


def same_quantization(graph: Graph, op: Operator) -> bool:
    """input and output must have the same scale and zero point"""
    ifm = scale_and_zero_point(graph.tensors[op.inputs[0]])
    return ifm == scale_and_zero_point(graph.output_tensor(op))


def padding_in_range(graph: Graph, op: Operator) -> bool:
    """the batch must not be extended, and height and width by up to 255 in front and behind"""
    amounts = paddings(graph, op)
    spatial = [n for pair in amounts[-3:-1] for n in pair]
    return not any(map(any, amounts[:-3])) and max(spatial, default=0) <= FIELD_LIMIT


def constant_paddings(graph: Graph, op: Operator) -> bool:
    """the paddings must be constant"""
    return graph.tensors[op.inputs[1]].is_constant


def around_convolution(graph: Graph, op: Operator) -> bool:
    """only around one convolution, all of it on the NPU, that has no stride where it is dilated"""
    return any(op.index in dilation.members for dilation in find_dilations(graph))


_COMMON: list[Rule] = [int8_activations, computed_input, extents_in_range]
_WEIGHTS: list[Rule] = [constant_weights, constant_bias, clamping_activation]
_CONVOLUTION: list[Rule] = [*_COMMON, maps_in_range, *_WEIGHTS, window_in_range]
_POOL: list[Rule] = [*_COMMON, maps_in_range, clamping_activation, window_in_range]
_FUNCTION: list[Rule] = [
    int8_activations,
    int8_constants,
    computed_operand,
    extents_in_range,
    broadcast_pixels,
    whole_operand,
]
_REDUCTION: list[Rule] = [*_COMMON, maps_reduced, reduction_in_range]
_MOVEMENT: list[Rule] = [int8_activations, computed_inputs, size_in_range, few_commands]
_PADDING: list[Rule] = [*_COMMON, constant_paddings, one_map, padding_in_range]

DILATED_CONVOLUTION: list[Rule] = [int8_activations, computed_input, *_WEIGHTS]
"""What has to hold for a convolution between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND."""

RULES: dict[str, list[Rule]] = {
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "FULLY_CONNECTED": [*_COMMON, *_WEIGHTS, symmetric_weights, whole_rows],
    **{kind: [*_FUNCTION, clamping_activation] for kind in ("ADD", "MUL", "SUB")},
    **{kind: _FUNCTION for kind in ("MAXIMUM", "MINIMUM")},
    **{kind: _COMMON for kind in sorted(TABLE_KINDS)},
    "QUANTIZE": [byte_activations, *_COMMON[1:]],
    "RSQRT": [*_COMMON, roots_exist],
    "PRELU": [*_COMMON, constant_slopes],
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    **{kind: _REDUCTION for kind in ("MEAN", "SUM")},
    "REDUCE_MAX": [*_REDUCTION, same_quantization],
    **{kind: _PADDING for kind in sorted(PAD_KINDS)},
    **{kind: _MOVEMENT for kind in sorted(MOVING_KINDS)},
    "CONCATENATION": [no_activation, one_quantization, *_MOVEMENT],
    "BATCH_MATMUL": [int8_activations, int8_matrices, matrices_in_range, products_rescale],
    "TRANSPOSE_CONV": [
        int8_activations,
        one_map_to_another,
        constant_kernel,
        clamped,
        phases_in_range,
    ],
    **{kind: [int8_activations, around_convolution] for kind in sorted(DEALING_KINDS)},
    "RESIZE_BILINEAR": [
        *_COMMON,
        maps_in_range,
        size_in_range,
        repeated_fractions,
        few_copies,
    ],
    "RESIZE_NEAREST_NEIGHBOR": [*_MOVEMENT[:1], evenly_resized, *_MOVEMENT[1:]],
}
"""What has to hold for each kind, apart from its neighbours and the size of the memories."""
