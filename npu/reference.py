"""Executes a graph on the reference kernels, operator by operator, bit-exact with TFLM."""

from collections.abc import Callable, Mapping, MutableMapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import quantization as formulas
from kernels.conv import conv2d
from kernels.data_movement import concatenate, transpose
from kernels.depthwise import depthwise_conv2d
from kernels.elementwise import add
from kernels.fully_connected import fully_connected
from kernels.pooling import average_pool2d, max_pool2d
from kernels.quantize import requantize
from kernels.reduce import mean
from kernels.shape import pad
from kernels.softmax import softmax
from npu.errors import UnsupportedOperatorError
from npu.graph import Graph, Operator
from npu.options import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    PoolOptions,
    ReduceOptions,
    SoftmaxOptions,
)
from npu.quant_params import (
    OutputStage,
    activation_range,
    blamed_on,
    output_stage,
    placement,
    scale_and_zero_point,
)
from npu.shape_rules import constant_operand, reduced_axes

Values = Mapping[int, NDArray[Any]]
"""Tensor values by index; constants need not be among them."""

SOFTMAX_OUTPUT = (1 / 256, -128)
"""Scale and zero point that TFLM demands of a SOFTMAX output."""

Executor = Callable[[Graph, Operator, Values], NDArray[Any]]


def run_reference(graph: Graph, inputs: Values) -> dict[int, NDArray[Any]]:
    """Run `graph` on `inputs` by tensor index.

    Returns the value of every input and of every tensor that an operator writes.

    Raises `UnsupportedOperatorError` before anything runs when an operator has no kernel, and
    `ModelError` for parameters that no kernel accepts.
    """
    for op in graph.operators:
        require_supported(op)
    values = dict(inputs)
    for op in graph.operators:
        run_operator(graph, op, values)
    return values


def run_operator(graph: Graph, op: Operator, values: MutableMapping[int, NDArray[Any]]) -> None:
    """Run one operator on `values` by tensor index, and add its output to them.

    Raises `UnsupportedOperatorError` when it has no kernel, and `ModelError` for parameters that
    no kernel accepts.
    """
    require_supported(op)
    with blamed_on(op):
        value = _EXECUTORS[op.kind](graph, op, values)
    values[op.outputs[0]] = value.reshape(graph.output_tensor(op).shape)


def require_supported(op: Operator) -> None:
    """Raise `UnsupportedOperatorError`, which lists what is supported, when `op` has no kernel."""
    if op.kind not in _EXECUTORS:
        raise UnsupportedOperatorError(
            f"operator {op.index} ({op.kind}) has no kernel; supported are "
            + ", ".join(SUPPORTED_KINDS)
        )


def _operand(graph: Graph, op: Operator, position: int, values: Values) -> NDArray[Any]:
    index = op.inputs[position]
    constant = graph.tensors[index].data
    return values[index] if constant is None else constant


def _stage_arguments(stage: OutputStage) -> dict[str, Any]:
    return {
        "ifm_zero_point": stage.ifm_zero_point,
        "ofm_zero_point": stage.ofm_zero_point,
        "multiplier": stage.multiplier,
        "shift": stage.shift,
        "activation_min": stage.activation_min,
        "activation_max": stage.activation_max,
    }


def _convolve(
    graph: Graph,
    op: Operator,
    values: Values,
    kernel: Callable[..., NDArray[np.int8]],
    activation: Activation,
) -> NDArray[np.int8]:
    stage, windows = output_stage(graph, op, activation), placement(graph, op)
    return kernel(
        _operand(graph, op, 0, values),
        _operand(graph, op, 1, values),
        stage.bias,
        stride=windows.stride,
        dilation=windows.dilation,
        padding=windows.padding,
        ofm_hw=windows.ofm_hw,
        **_stage_arguments(stage),
    )


def _conv_2d(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    return _convolve(graph, op, values, conv2d, op.options_as(Conv2DOptions).activation)


def _depthwise_conv_2d(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    activation = op.options_as(DepthwiseConv2DOptions).activation
    return _convolve(graph, op, values, depthwise_conv2d, activation)


def _fully_connected(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    stage = output_stage(graph, op, op.options_as(FullyConnectedOptions).activation)
    ifm, weights = _operand(graph, op, 0, values), _operand(graph, op, 1, values)
    return fully_connected(ifm, weights, stage.bias, **_stage_arguments(stage))


def _scale_and_zero_point(graph: Graph, op: Operator, position: int) -> tuple[float, int]:
    return scale_and_zero_point(graph.tensors[op.inputs[position]])


def _pool(
    graph: Graph, op: Operator, values: Values, kernel: Callable[..., NDArray[np.int8]]
) -> NDArray[np.int8]:
    windows = placement(graph, op)
    low, high = activation_range(graph, op, op.options_as(PoolOptions).activation)
    return kernel(
        _operand(graph, op, 0, values),
        window=windows.kernel,
        stride=windows.stride,
        padding=windows.padding,
        ofm_hw=windows.ofm_hw,
        activation_min=low,
        activation_max=high,
    )


def _average_pool_2d(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    return _pool(graph, op, values, average_pool2d)


def _max_pool_2d(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    return _pool(graph, op, values, max_pool2d)


def _add(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    a_scale, a_zero_point = _scale_and_zero_point(graph, op, 0)
    b_scale, b_zero_point = _scale_and_zero_point(graph, op, 1)
    ofm_scale, ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))
    low, high = activation_range(graph, op, op.options_as(ElementwiseOptions).activation)
    return add(
        _operand(graph, op, 0, values),
        _operand(graph, op, 1, values),
        a_zero_point=a_zero_point,
        b_zero_point=b_zero_point,
        ofm_zero_point=ofm_zero_point,
        parameters=formulas.add_parameters(a_scale, b_scale, ofm_scale),
        activation_min=low,
        activation_max=high,
    )


def _mean(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    ifm_scale, ifm_zero_point = _scale_and_zero_point(graph, op, 0)
    ofm_scale, ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))
    ifm, axes = _operand(graph, op, 0, values), reduced_axes(graph, op)
    count = prod(ifm.shape[axis] for axis in axes)
    multiplier, shift = formulas.mean_multiplier(ifm_scale, ofm_scale, count)
    return mean(
        ifm,
        axes,
        keep_dims=op.options_as(ReduceOptions).keep_dims,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
    )


def _pad(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    _, zero_point = scale_and_zero_point(graph.output_tensor(op))
    amounts = [(int(before), int(after)) for before, after in constant_operand(graph, op, 1)]
    return pad(_operand(graph, op, 0, values), amounts, value=zero_point)


def _softmax(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    ifm_scale, _ = _scale_and_zero_point(graph, op, 0)
    ofm = scale_and_zero_point(graph.output_tensor(op))
    if ofm != SOFTMAX_OUTPUT:
        raise ValueError(f"the output has scale and zero point {ofm}; allowed is {SOFTMAX_OUTPUT}")
    beta = op.options_as(SoftmaxOptions).beta
    return softmax(
        _operand(graph, op, 0, values), parameters=formulas.softmax_parameters(beta, ifm_scale)
    )


def _quantize(graph: Graph, op: Operator, values: Values) -> NDArray[np.int8]:
    ifm_scale, ifm_zero_point = _scale_and_zero_point(graph, op, 0)
    ofm_scale, ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))
    multiplier, shift = formulas.rescale_multiplier(ifm_scale, ofm_scale)
    return requantize(
        _operand(graph, op, 0, values),
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
    )


def _reshape(graph: Graph, op: Operator, values: Values) -> NDArray[Any]:
    return _operand(graph, op, 0, values)


def _transpose(graph: Graph, op: Operator, values: Values) -> NDArray[Any]:
    order = [int(i) for i in constant_operand(graph, op, 1).reshape(-1)]
    return transpose(_operand(graph, op, 0, values), order)


def _concatenation(graph: Graph, op: Operator, values: Values) -> NDArray[Any]:
    options = op.options_as(ConcatenationOptions)
    if options.activation is not Activation.NONE:
        raise ValueError(f"activation is {options.activation.name}; allowed is NONE")
    ofm = scale_and_zero_point(graph.output_tensor(op))
    for i in range(len(op.inputs)):
        given = _scale_and_zero_point(graph, op, i)
        if given != ofm:
            raise ValueError(
                f"input {i} has scale and zero point {given}; allowed is the output's {ofm}"
            )
    parts = [_operand(graph, op, i, values) for i in range(len(op.inputs))]
    return concatenate(parts, options.axis)


_EXECUTORS: dict[str, Executor] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _average_pool_2d,
    "MAX_POOL_2D": _max_pool_2d,
    "ADD": _add,
    "MEAN": _mean,
    "PAD": _pad,
    "SOFTMAX": _softmax,
    "QUANTIZE": _quantize,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
}

SUPPORTED_KINDS: tuple[str, ...] = tuple(sorted(_EXECUTORS))
"""The operator kinds that have a kernel."""
