"""From the quantization in a graph to the integers that kernels and hardware compute with.

Only a bridge: the formulas are those of `kernels.quantization`. Whatever executes an operator
(kernels, compiler) takes its parameters from here, so that all of them take the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import quantization as formulas
from kernels.output_stage import OutputStage
from kernels.requantize import Rounding
from npu.errors import ModelError
from npu.model.graph import Graph, Operator, Quantization, Tensor
from npu.model.options import (
    Activation,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    PoolOptions,
    TransposeConvOptions,
)

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProductParameters:
    """What an operator with weights computes with, beside IFM and weights.

    `bias` is int32 of shape (output channels,), zeros where the operator has none.
    """

    ifm_zero_point: int
    bias: NDArray[np.int32]
    stage: OutputStage

    def arguments(self) -> dict[str, Any]:
        """All but the bias and the rounding, by the names that compiler tasks give them."""
        return {
            "ifm_zero_point": self.ifm_zero_point,
            "ofm_zero_point": self.stage.zero_point,
            "multiplier": self.stage.multiplier,
            "shift": self.stage.shift,
            "activation_min": self.stage.low,
            "activation_max": self.stage.high,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowGeometry:
    """Where the windows of a convolution or pooling lie; pairs are (vertical, horizontal).

    `padding` is what lies in front of the first input.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: Pair
    ofm_hw: Pair


@contextmanager
def blamed_on(op: Operator) -> Iterator[None]:
    """Turn a kernel's `ValueError` into a `ModelError` that names the operator."""
    try:
        yield
    except ValueError as error:
        raise ModelError(f"operator {op.index} ({op.kind}): {error}") from None


def quantization_of(tensor: Tensor) -> Quantization:
    """The tensor's quantization; `ModelError` when it has none."""
    if tensor.quantization is None:
        raise ModelError(f"tensor {tensor.name!r} has no scale")
    return tensor.quantization


def scale_and_zero_point(tensor: Tensor) -> tuple[float, int]:
    """Scale and zero point of a per-tensor quantized tensor; `ModelError` when it is not."""
    quantization = quantization_of(tensor)
    if not quantization.per_tensor:
        raise ModelError(
            f"tensor {tensor.name!r} has {quantization.scales.size} scales, one expected"
        )
    return quantization.scale, quantization.zero_point


def activation_range(graph: Graph, op: Operator, activation: Activation) -> Pair:
    """The clamping range (min, max) that a fused activation puts on the operator's output.

    Raises `ModelError` for an activation that has no such range.
    """
    ofm = graph.output_tensor(op)
    # without a function the range is that of the type, whatever the scale
    unclamped = activation is Activation.NONE
    scale, zero_point = (1.0, 0) if unclamped else scale_and_zero_point(ofm)
    bits = 8 * ofm.dtype.itemsize
    with blamed_on(op):
        return formulas.activation_range(activation.name, scale, zero_point, bits=bits)


def product_parameters(
    graph: Graph,
    op: Operator,
    activation: Activation,
    *,
    ifm_position: int = 0,
    rounding: Rounding = Rounding.DOUBLE,
    asymmetric: bool = False,
) -> ProductParameters:
    """The parameters of an operator with weights; the bias is its last input.

    `ifm_position` is 2 for TRANSPOSE_CONV. `asymmetric` says that the caller takes account of
    `weight_zero_point`.

    Raises `ModelError` as `output_stage`, for a bias that is not a constant, and for weights with
    a zero point unless `asymmetric`.
    """
    if weight_zero_point(graph, op) and not asymmetric:
        raise ModelError(
            f"operator {op.index} ({op.kind}): weights {graph.tensors[op.inputs[1]].name!r} have "
            "a zero point, symmetric weights expected"
        )
    stage = output_stage(graph, op, activation, ifm_position=ifm_position, rounding=rounding)
    _, ifm_zero_point = scale_and_zero_point(graph.tensors[op.inputs[ifm_position]])
    return ProductParameters(
        ifm_zero_point=ifm_zero_point,
        bias=_bias(graph, op, stage.multiplier.size, max(ifm_position, 1) + 1),
        stage=stage,
    )


def weight_zero_point(graph: Graph, op: Operator) -> int:
    """What TFLM subtracts from the weights of `op`: it takes no notice of most zero points.

    Only of those of a FULLY_CONNECTED with one scale for all.
    """
    quantization = graph.tensors[op.inputs[1]].quantization
    if op.kind != "FULLY_CONNECTED" or quantization is None or not quantization.per_tensor:
        return 0
    return quantization.zero_point


def output_stage(
    graph: Graph,
    op: Operator,
    activation: Activation,
    *,
    ifm_position: int = 0,
    rounding: Rounding = Rounding.DOUBLE,
) -> OutputStage:
    """The output stage of an operator with weights, int8 or int16.

    Raises `ModelError` for scales out of range, which TFLM does not compute with either.
    """
    ifm, weights = graph.tensors[op.inputs[ifm_position]], graph.tensors[op.inputs[1]]
    ofm = graph.output_tensor(op)
    ifm_scale, _ = scale_and_zero_point(ifm)
    ofm_scale, ofm_zero_point = scale_and_zero_point(ofm)
    scales = quantization_of(weights).scales
    with blamed_on(op):
        multiplier, shift = formulas.conv_multipliers(ifm_scale, scales, ofm_scale, ofm.shape[-1])
    low, high = activation_range(graph, op, activation)
    return OutputStage(multiplier, shift, ofm_zero_point, low, high, rounding)


def window_geometry(graph: Graph, op: Operator) -> WindowGeometry:
    """The windows of CONV_2D, DEPTHWISE_CONV_2D, AVERAGE_POOL_2D or MAX_POOL_2D."""
    options = op.options
    dilation = (1, 1)
    if isinstance(options, PoolOptions):
        kernel = options.filter_h, options.filter_w
    elif isinstance(options, Conv2DOptions | DepthwiseConv2DOptions):
        weights = graph.tensors[op.inputs[1]].shape
        kernel, dilation = (weights[1], weights[2]), (options.dilation_h, options.dilation_w)
    else:
        raise TypeError(f"operator {op.index} ({op.kind}) has no windows")
    stride = options.stride_h, options.stride_w
    size = graph.tensors[op.inputs[0]].shape
    mode = options.padding.name
    with blamed_on(op):
        rows = formulas.window(size[1], kernel[0], stride[0], dilation[0], mode)
        columns = formulas.window(size[2], kernel[1], stride[1], dilation[1], mode)
    return WindowGeometry(
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=(rows.before, columns.before),
        ofm_hw=(rows.output, columns.output),
    )


def transposed_padding(graph: Graph, op: Operator) -> Pair:
    """The padding in front of the convolution that a TRANSPOSE_CONV transposes."""
    options = op.options_as(TransposeConvOptions)
    size, kernel = graph.output_tensor(op).shape, graph.tensors[op.inputs[1]].shape
    mode = options.padding.name
    with blamed_on(op):
        rows = formulas.window(size[1], kernel[1], options.stride_h, 1, mode)
        columns = formulas.window(size[2], kernel[2], options.stride_w, 1, mode)
    return rows.before, columns.before


def _bias(graph: Graph, op: Operator, channels: int, position: int) -> NDArray[np.int32]:
    tensor = graph.input_tensor(op, position)
    if tensor is None:
        return np.zeros(channels, np.int32)
    if tensor.data is None:
        raise ModelError(f"operator {op.index} ({op.kind}): bias {tensor.name!r} is not a constant")
    return tensor.data.astype(np.int32).reshape(-1)
