"""Executes a graph on the reference kernels, operator by operator, bit-exact with TFLM."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.conv import conv2d
from kernels.data_movement import concatenate, transpose
from kernels.depthwise import depthwise_conv2d
from kernels.fully_connected import fully_connected
from npu.errors import UnsupportedOperatorError
from npu.graph import Graph, Operator
from npu.options import (
    Activation,
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    FullyConnectedOptions,
)
from npu.quant_params import OutputStage, blamed_on, output_stage, placement
from npu.shape_rules import constant_operand

Values = Mapping[int, NDArray[Any]]
"""Tensor values by index; constants need not be among them."""

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


def _reshape(graph: Graph, op: Operator, values: Values) -> NDArray[Any]:
    return _operand(graph, op, 0, values).copy()


def _transpose(graph: Graph, op: Operator, values: Values) -> NDArray[Any]:
    order = [int(i) for i in constant_operand(graph, op, 1).reshape(-1)]
    return transpose(_operand(graph, op, 0, values), order)


def _concatenation(graph: Graph, op: Operator, values: Values) -> NDArray[Any]:
    options = op.options_as(ConcatenationOptions)
    if options.activation is not Activation.NONE:
        raise ValueError(f"activation is {options.activation.name}; allowed is NONE")
    parts = [_operand(graph, op, i, values) for i in range(len(op.inputs))]
    return concatenate(parts, options.axis)


_EXECUTORS: dict[str, Executor] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
}

SUPPORTED_KINDS: tuple[str, ...] = tuple(sorted(_EXECUTORS))
"""The operator kinds that have a kernel."""
