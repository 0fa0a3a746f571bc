"""Executors of elementwise operators, functions of one value, reductions and SOFTMAX."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import elementwise as kernels
from kernels import quantization as formulas
from kernels.lookup import apply_table, unary_table
from kernels.reduce import arg_max, arg_min, mean, reduce_max, reduce_min, reduce_sum
from kernels.requantize import Rounding
from kernels.softmax import softmax, softmax_int16
from npu.model.graph import Graph, Operator
from npu.model.options import ElementwiseOptions, LeakyReluOptions, ReduceOptions, SoftmaxOptions
from npu.model.quant_params import activation_range
from npu.model.shape_rules import reduced_axes
from npu.reference.executors.common import (
    Context,
    Executor,
    TypedExecutor,
    input_quantization,
    int8_executors,
    operand,
    output_quantization,
)

SOFTMAX_OUTPUTS = {"int8": (1 / 256, -128), "int16": (1 / 65536, -32768)}
"""Scale and zero point that TFLM demands of a SOFTMAX output, by type."""
SOFTMAX_INT16_TOLERANCE = 0.001
"""How far, relatively, TFLM lets the scale of an int16 output be from it."""


def _sum_of_two(kernel: Callable[..., NDArray[Any]]) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
        a, b = operand(graph, op, 0, context), operand(graph, op, 1, context)
        return kernel(a, b, **sum_arguments(graph, op, context.rounding))

    return execute


def sum_arguments(graph: Graph, op: Operator, rounding: Rounding) -> dict[str, Any]:
    """What ADD and SUB take beside their operands."""
    arguments, scales = _two_operands(graph, op, rounding)
    wide = graph.output_tensor(op).dtype == np.int16
    left_shift = formulas.ADD_LEFT_SHIFT_INT16 if wide else formulas.ADD_LEFT_SHIFT
    parameters = formulas.add_parameters(*scales, left_shift=left_shift)
    return {**arguments, "parameters": parameters}


def _mul(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    arguments, scales = _two_operands(graph, op, context.rounding)
    multiplier, shift = formulas.mul_multiplier(*scales)
    a, b = operand(graph, op, 0, context), operand(graph, op, 1, context)
    return kernels.mul(a, b, **arguments, multiplier=multiplier, shift=shift)


def _two_operands(
    graph: Graph, op: Operator, rounding: Rounding
) -> tuple[dict[str, Any], tuple[float, float, float]]:
    """(Arguments that ADD, SUB and MUL have in common; the scales of inputs and output)."""
    a_scale, a_zero_point = input_quantization(graph, op, 0)
    b_scale, b_zero_point = input_quantization(graph, op, 1)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    low, high = activation_range(graph, op, op.options_as(ElementwiseOptions).activation)
    return {
        "a_zero_point": a_zero_point,
        "b_zero_point": b_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "activation_min": low,
        "activation_max": high,
        "rounding": rounding,
    }, (a_scale, b_scale, ofm_scale)


def _plain(
    kernel: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
        return kernel(operand(graph, op, 0, context), operand(graph, op, 1, context))

    return execute


def _prelu(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    alpha_scale, alpha_zero_point = input_quantization(graph, op, 1)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    return kernels.prelu(
        operand(graph, op, 0, context),
        operand(graph, op, 1, context),
        ifm_zero_point=ifm_zero_point,
        alpha_zero_point=alpha_zero_point,
        ofm_zero_point=ofm_zero_point,
        parameters=formulas.prelu_parameters(ifm_scale, alpha_scale, ofm_scale),
        rounding=context.rounding,
    )


def _unary(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    return apply_table(operand(graph, op, 0, context), table_of(graph, op, context.rounding))


def table_of(graph: Graph, op: Operator, rounding: Rounding) -> NDArray[np.int8]:
    """The table of a function of one int8."""
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    options = op.options
    return unary_table(
        op.kind,
        ifm_scale=ifm_scale,
        ifm_zero_point=ifm_zero_point,
        ofm_scale=ofm_scale,
        ofm_zero_point=ofm_zero_point,
        alpha=options.alpha if isinstance(options, LeakyReluOptions) else 0.0,
        rounding=rounding,
    )


def _cast(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return operand(graph, op, 0, context).astype(graph.output_tensor(op).dtype)


def _mean(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm = operand(graph, op, 0, context)
    return mean(ifm, **reduction_arguments(graph, op, context.rounding))


def _sum(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm = operand(graph, op, 0, context)
    return reduce_sum(ifm, **reduction_arguments(graph, op, context.rounding))


def reduction_arguments(graph: Graph, op: Operator, rounding: Rounding) -> dict[str, Any]:
    """What MEAN and SUM take beside their operand."""
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    axes = reduced_axes(graph, op)
    if op.kind == "MEAN":
        count = prod(graph.tensors[op.inputs[0]].shape[axis] for axis in axes)
        multiplier, shift = formulas.mean_multiplier(ifm_scale, ofm_scale, count)
    else:
        multiplier, shift = formulas.rescale_multiplier(ifm_scale, ofm_scale)
    return {
        "axes": axes,
        "keep_dims": op.options_as(ReduceOptions).keep_dims,
        "ifm_zero_point": ifm_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "multiplier": multiplier,
        "shift": shift,
        "rounding": rounding,
    }


def _extreme(kernel: Callable[..., NDArray[np.int8]]) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
        given, expected = input_quantization(graph, op, 0), output_quantization(graph, op)
        if given != expected:
            raise ValueError(
                f"the output has scale and zero point {expected}; allowed is the input's {given}"
            )
        keep_dims = op.options_as(ReduceOptions).keep_dims
        return kernel(operand(graph, op, 0, context), reduced_axes(graph, op), keep_dims=keep_dims)

    return execute


def _position(kernel: Callable[[NDArray[np.int8], int], NDArray[np.int32]]) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[np.int32]:
        return kernel(operand(graph, op, 0, context), reduced_axes(graph, op)[0])

    return execute


def _softmax(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8] | NDArray[np.int16]:
    parameters = softmax_parameters(graph, op)
    kernel = softmax if graph.output_tensor(op).dtype == np.int8 else softmax_int16
    return kernel(operand(graph, op, 0, context), parameters=parameters)


def softmax_parameters(graph: Graph, op: Operator) -> formulas.SoftmaxParameters:
    """The parameters of SOFTMAX; ValueError for an output of another scale than TFLM demands."""
    ifm_scale, _ = input_quantization(graph, op, 0)
    given, dtype = output_quantization(graph, op), graph.output_tensor(op).dtype.name
    demanded = SOFTMAX_OUTPUTS[dtype]
    tolerance = SOFTMAX_INT16_TOLERANCE * demanded[0] if dtype == "int16" else 0.0
    if given[1] != demanded[1] or abs(given[0] - demanded[0]) > tolerance:
        raise ValueError(f"the output has scale and zero point {given}; allowed is {demanded}")
    return formulas.softmax_parameters(op.options_as(SoftmaxOptions).beta, ifm_scale)


_ANY = "int8", "int16", "int32", "int64", "bool", "float32"
_WIDE = "int8", "int16"

EXECUTORS = {
    "ADD": TypedExecutor(_sum_of_two(kernels.add), _WIDE),
    "SUB": TypedExecutor(_sum_of_two(kernels.sub), _WIDE),
    "MUL": TypedExecutor(_mul, _WIDE),
    "MAXIMUM": TypedExecutor(_plain(kernels.maximum), _WIDE),
    "MINIMUM": TypedExecutor(_plain(kernels.minimum), _WIDE),
    "MEAN": TypedExecutor(_mean, _WIDE),
    "SUM": TypedExecutor(_sum, _WIDE),
    "CAST": TypedExecutor(_cast, _ANY, _ANY),
    "ARG_MAX": TypedExecutor(_position(arg_max), ("int8",), ("int32",)),
    "ARG_MIN": TypedExecutor(_position(arg_min), ("int8",), ("int32",)),
    "SOFTMAX": TypedExecutor(_softmax, ("int8",), _WIDE),
    **int8_executors(
        {
            "PRELU": _prelu,
            "ABS": _unary,
            "ELU": _unary,
            "HARD_SWISH": _unary,
            "LEAKY_RELU": _unary,
            "LOGISTIC": _unary,
            "RELU": _unary,
            "RELU6": _unary,
            "TANH": _unary,
            "REDUCE_MAX": _extreme(reduce_max),
            "REDUCE_MIN": _extreme(reduce_min),
        }
    ),
}
"""The kernels of elementwise operators, functions and reductions; of int8 where not said."""
