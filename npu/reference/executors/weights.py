"""Executors of convolutions, pooling and matrix products."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import quantization as formulas
from kernels.batch_matmul import batch_matmul
from kernels.conv import conv2d
from kernels.depthwise import depthwise_conv2d
from kernels.fully_connected import fully_connected
from kernels.pooling import average_pool2d, max_pool2d
from kernels.requantize import Rounding
from kernels.transpose_conv import transpose_conv
from npu.model.graph import Graph, Operator
from npu.model.options import (
    BatchMatMulOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
    PoolOptions,
    TransposeConvOptions,
)
from npu.model.quant_params import (
    activation_range,
    product_parameters,
    transposed_padding,
    weight_zero_point,
    window_geometry,
)
from npu.reference.executors.common import (
    Context,
    input_quantization,
    int8_executors,
    operand,
    output_quantization,
)


def _conv_2d(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    weights = operand(graph, op, 1, context)
    return conv2d(
        operand(graph, op, 0, context),
        weights,
        **convolution_arguments(graph, op, context.rounding),
    )


def _depthwise_conv_2d(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    weights = operand(graph, op, 1, context)
    return depthwise_conv2d(
        operand(graph, op, 0, context),
        weights,
        **convolution_arguments(graph, op, context.rounding),
    )


def convolution_arguments(graph: Graph, op: Operator, rounding: Rounding) -> dict[str, Any]:
    """What CONV_2D and DEPTHWISE_CONV_2D take beside IFM and weights."""
    if op.kind == "CONV_2D":
        activation = op.options_as(Conv2DOptions).activation
    else:
        activation = op.options_as(DepthwiseConv2DOptions).activation
    parameters = product_parameters(graph, op, activation, rounding=rounding)
    windows = window_geometry(graph, op)
    return {
        "bias": parameters.bias,
        "stride": windows.stride,
        "dilation": windows.dilation,
        "padding": windows.padding,
        "ofm_hw": windows.ofm_hw,
        "ifm_zero_point": parameters.ifm_zero_point,
        "stage": parameters.stage,
    }


def _fully_connected(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    ifm, weights = operand(graph, op, 0, context), operand(graph, op, 1, context)
    return fully_connected(
        ifm,
        weights,
        weight_zero_point=weight_zero_point(graph, op),
        **product_arguments(graph, op, context.rounding),
    )


def product_arguments(graph: Graph, op: Operator, rounding: Rounding) -> dict[str, Any]:
    """What FULLY_CONNECTED takes beside IFM, weights and their zero point."""
    activation = op.options_as(FullyConnectedOptions).activation
    parameters = product_parameters(graph, op, activation, rounding=rounding, asymmetric=True)
    return {
        "bias": parameters.bias,
        "ifm_zero_point": parameters.ifm_zero_point,
        "stage": parameters.stage,
    }


def _transpose_conv(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    options = op.options_as(TransposeConvOptions)
    parameters = product_parameters(
        graph, op, options.activation, ifm_position=2, rounding=context.rounding
    )
    shape = graph.output_tensor(op).shape
    return transpose_conv(
        operand(graph, op, 2, context),
        operand(graph, op, 1, context),
        parameters.bias,
        stride=(options.stride_h, options.stride_w),
        padding=transposed_padding(graph, op),
        ofm_hw=(shape[1], shape[2]),
        ifm_zero_point=parameters.ifm_zero_point,
        stage=parameters.stage,
    )


def _batch_matmul(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    options = op.options_as(BatchMatMulOptions)
    a_scale, a_zero_point = input_quantization(graph, op, 0)
    b_scale, b_zero_point = input_quantization(graph, op, 1)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    multiplier, shift = formulas.mul_multiplier(a_scale, b_scale, ofm_scale)
    return batch_matmul(
        operand(graph, op, 0, context),
        operand(graph, op, 1, context),
        adj_a=options.adj_x,
        adj_b=options.adj_y,
        a_zero_point=a_zero_point,
        b_zero_point=b_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
        rounding=context.rounding,
    )


def pool_arguments(graph: Graph, op: Operator) -> dict[str, Any]:
    """What AVERAGE_POOL_2D and MAX_POOL_2D take beside the IFM."""
    windows = window_geometry(graph, op)
    low, high = activation_range(graph, op, op.options_as(PoolOptions).activation)
    return {
        "window": windows.kernel,
        "stride": windows.stride,
        "padding": windows.padding,
        "ofm_hw": windows.ofm_hw,
        "activation_min": low,
        "activation_max": high,
    }


def _average_pool_2d(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    return average_pool2d(operand(graph, op, 0, context), **pool_arguments(graph, op))


def _max_pool_2d(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    return max_pool2d(operand(graph, op, 0, context), **pool_arguments(graph, op))


EXECUTORS = int8_executors(
    {
        "CONV_2D": _conv_2d,
        "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
        "FULLY_CONNECTED": _fully_connected,
        "TRANSPOSE_CONV": _transpose_conv,
        "BATCH_MATMUL": _batch_matmul,
        "AVERAGE_POOL_2D": _average_pool_2d,
        "MAX_POOL_2D": _max_pool_2d,
    }
)
