"""Executors of operators on int16 activations (16x8 quantization), where int8 has another kernel.

Zero points are 0 throughout: the reader refuses others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import quantization as formulas
from kernels.int16 import functions
from kernels.int16.batch_matmul import batch_matmul_int16
from kernels.int16.conv import conv2d_16x8, depthwise_conv2d_16x8
from kernels.int16.fully_connected import fully_connected_16x8
from kernels.int16.pooling import average_pool2d_int16, max_pool2d_int16
from kernels.int16.transpose_conv import transpose_conv_16x8
from npu.errors import ModelError
from npu.model.graph import Graph, Operator
from npu.model.options import (
    Activation,
    BatchMatMulOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    LeakyReluOptions,
    PoolOptions,
    SoftmaxOptions,
    TransposeConvOptions,
)
from npu.model.quant_params import (
    activation_range,
    output_stage,
    transposed_padding,
    weight_zero_point,
    window_geometry,
)
from npu.reference.executors.common import (
    Context,
    Executor,
    TypedExecutor,
    input_quantization,
    operand,
    output_quantization,
)
from npu.reference.executors.elementwise import SOFTMAX_INT16_TOLERANCE

# what TFLM demands of the results of functions with a fixed range
UNIT_SCALE = 2.0**-15
LOG2_TOLERANCE = 0.001
"""How far TFLM lets the logarithm of that scale be from -15, in LOGISTIC and TANH."""


def _bias(graph: Graph, op: Operator, position: int = 2) -> NDArray[Any] | None:
    tensor = graph.input_tensor(op, position)
    if tensor is None:
        return None
    if tensor.data is None:
        raise ModelError(f"operator {op.index} ({op.kind}): bias {tensor.name!r} is not a constant")
    return tensor.data.reshape(-1)


def _convolution(kernel: Callable[..., NDArray[np.int16]]) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
        options = op.options
        assert isinstance(options, Conv2DOptions | DepthwiseConv2DOptions)
        windows = window_geometry(graph, op)
        return kernel(
            operand(graph, op, 0, context),
            operand(graph, op, 1, context),
            _bias(graph, op),
            stride=windows.stride,
            dilation=windows.dilation,
            padding=windows.padding,
            ofm_hw=windows.ofm_hw,
            stage=output_stage(graph, op, options.activation, rounding=context.rounding),
        )

    return execute


def _fully_connected(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
    activation = op.options_as(FullyConnectedOptions).activation
    return fully_connected_16x8(
        operand(graph, op, 0, context),
        operand(graph, op, 1, context),
        _bias(graph, op),
        weight_zero_point=weight_zero_point(graph, op),
        stage=output_stage(graph, op, activation),
    )


def _transpose_conv(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
    options = op.options_as(TransposeConvOptions)
    return transpose_conv_16x8(
        operand(graph, op, 2, context),
        operand(graph, op, 1, context),
        _bias(graph, op, 3),
        stride=(options.stride_h, options.stride_w),
        padding=transposed_padding(graph, op),
        ofm_hw=(graph.output_tensor(op).shape[1], graph.output_tensor(op).shape[2]),
        # TFLM ignores a fused activation here
        stage=output_stage(graph, op, Activation.NONE, ifm_position=2),
    )


def _batch_matmul(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
    options = op.options_as(BatchMatMulOptions)
    a_scale, _ = input_quantization(graph, op, 0)
    b_scale, _ = input_quantization(graph, op, 1)
    ofm_scale, _ = output_quantization(graph, op)
    multiplier, shift = formulas.mul_multiplier(a_scale, b_scale, ofm_scale)
    return batch_matmul_int16(
        operand(graph, op, 0, context),
        operand(graph, op, 1, context),
        adj_a=options.adj_x,
        adj_b=options.adj_y,
        multiplier=multiplier,
        shift=shift,
    )


def _pool(kernel: Callable[..., NDArray[np.int16]]) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
        windows = window_geometry(graph, op)
        low, high = activation_range(graph, op, op.options_as(PoolOptions).activation)
        return kernel(
            operand(graph, op, 0, context),
            window=windows.kernel,
            stride=windows.stride,
            padding=windows.padding,
            ofm_hw=windows.ofm_hw,
            activation_min=low,
            activation_max=high,
        )

    return execute


def _piecewise(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
    ifm_scale, _ = input_quantization(graph, op, 0)
    ofm_scale, _ = output_quantization(graph, op)
    options = op.options
    alpha = options.alpha if isinstance(options, LeakyReluOptions) else 0.0
    parameters = functions.piecewise_parameters(op.kind, ifm_scale, ofm_scale, alpha=alpha)
    ifm = operand(graph, op, 0, context)
    return functions.piecewise_int16(ifm, parameters=parameters, rounding=context.rounding)


def _relu6(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
    ifm_scale, _ = input_quantization(graph, op, 0)
    return functions.relu6_int16(operand(graph, op, 0, context), ifm_scale=ifm_scale)


def _sigmoid(kernel: Callable[..., NDArray[np.int16]]) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
        _check_unit_scale(graph, op, 2.0**LOG2_TOLERANCE - 1)
        ifm_scale, _ = input_quantization(graph, op, 0)
        parameters = functions.sigmoid_parameters(op.kind, ifm_scale)
        return kernel(operand(graph, op, 0, context), parameters=parameters)

    return execute


def _softmax(graph: Graph, op: Operator, context: Context) -> NDArray[np.int16]:
    _check_unit_scale(graph, op, SOFTMAX_INT16_TOLERANCE)
    ifm_scale, _ = input_quantization(graph, op, 0)
    multiplier, shift = functions.softmax_multiplier(op.options_as(SoftmaxOptions).beta, ifm_scale)
    return functions.softmax_16x16(
        operand(graph, op, 0, context),
        multiplier=multiplier,
        shift=shift,
        rounding=context.rounding,
    )


def _check_unit_scale(graph: Graph, op: Operator, tolerance: float) -> None:
    scale, zero_point = output_quantization(graph, op)
    if zero_point or abs(scale / UNIT_SCALE - 1) > tolerance:
        raise ValueError(
            f"the output has scale and zero point {(scale, zero_point)}; allowed is "
            f"{(UNIT_SCALE, 0)}"
        )


EXECUTORS = {
    kind: TypedExecutor(execute, ("int16",))
    for kind, execute in {
        "CONV_2D": _convolution(conv2d_16x8),
        "DEPTHWISE_CONV_2D": _convolution(depthwise_conv2d_16x8),
        "FULLY_CONNECTED": _fully_connected,
        "TRANSPOSE_CONV": _transpose_conv,
        "BATCH_MATMUL": _batch_matmul,
        "AVERAGE_POOL_2D": _pool(average_pool2d_int16),
        "MAX_POOL_2D": _pool(max_pool2d_int16),
        "ABS": _piecewise,
        "LEAKY_RELU": _piecewise,
        "RELU": _piecewise,
        "RELU6": _relu6,
        "LOGISTIC": _sigmoid(functions.logistic_int16),
        "TANH": _sigmoid(functions.tanh_int16),
        "SOFTMAX": _softmax,
    }.items()
}
"""The kernels of int16 that are not those of int8 with another type."""
