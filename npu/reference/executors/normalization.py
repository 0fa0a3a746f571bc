"""Executors of what normalizes: squares, roots, quotients, sums and logarithms of int8 (int16)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import running_sum
from kernels.div import div, div_multiplier
from kernels.l2_normalization import l2_normalization
from kernels.log_softmax import log_softmax, log_softmax_parameters
from kernels.quantization import add_parameters
from kernels.rsqrt import rsqrt, rsqrt_multiplier
from kernels.squared_difference import squared_difference, squared_difference_parameters
from npu.model.graph import Graph, Operator
from npu.model.options import Activation, CumsumOptions, ElementwiseOptions
from npu.model.quant_params import activation_range
from npu.reference.executors.common import (
    Context,
    TypedExecutor,
    input_quantization,
    int8_executors,
    operand,
    operands,
    output_quantization,
)

LOG_SOFTMAX_OUTPUT = 1 / 16, 127
"""Scale and zero point that TFLM demands of an int8 LOG_SOFTMAX."""


def _squared_difference(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    a_scale, a_zero_point = input_quantization(graph, op, 0)
    b_scale, b_zero_point = input_quantization(graph, op, 1)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    bits = 8 * graph.output_tensor(op).dtype.itemsize
    return squared_difference(
        operand(graph, op, 0, context),
        operand(graph, op, 1, context),
        a_zero_point=a_zero_point,
        b_zero_point=b_zero_point,
        ofm_zero_point=ofm_zero_point,
        parameters=squared_difference_parameters(a_scale, b_scale, ofm_scale, bits=bits),
        rounding=context.rounding,
    )


def _div(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    a_scale, a_zero_point = input_quantization(graph, op, 0)
    b_scale, b_zero_point = input_quantization(graph, op, 1)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    multiplier, shift = div_multiplier(a_scale, b_scale, ofm_scale)
    low, high = activation_range(graph, op, op.options_as(ElementwiseOptions).activation)
    return div(
        operand(graph, op, 0, context),
        operand(graph, op, 1, context),
        a_zero_point=a_zero_point,
        b_zero_point=b_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
        activation_min=low,
        activation_max=high,
        rounding=context.rounding,
    )


def _rsqrt(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    multiplier, shift = rsqrt_multiplier(ifm_scale, ofm_scale)
    return rsqrt(
        operand(graph, op, 0, context),
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
        rounding=context.rounding,
    )


def _l2_normalization(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    activation = op.options_as(ElementwiseOptions).activation
    if activation is not Activation.NONE:
        raise ValueError(f"activation is {activation.name}; allowed is NONE")
    _, ifm_zero_point = input_quantization(graph, op, 0)
    ifm = operand(graph, op, 0, context)
    return l2_normalization(ifm, ifm_zero_point=ifm_zero_point, rounding=context.rounding)


def _log_softmax(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    ofm = output_quantization(graph, op)
    if ofm != LOG_SOFTMAX_OUTPUT:
        raise ValueError(
            f"the output has scale and zero point {ofm}; allowed is {LOG_SOFTMAX_OUTPUT}"
        )
    ifm_scale, _ = input_quantization(graph, op, 0)
    return log_softmax(
        operand(graph, op, 0, context),
        parameters=log_softmax_parameters(ifm_scale),
        rounding=context.rounding,
    )


def _cumsum(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    options = op.options_as(CumsumOptions)
    return running_sum.cumsum(
        operand(graph, op, 0, context),
        int(operand(graph, op, 1, context).item()),
        exclusive=options.exclusive,
        reverse=options.reverse,
        **_sum_arguments(graph, op, context),
    )


def _add_n(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    first = input_quantization(graph, op, 0)
    for position in range(1, len(op.inputs)):
        given = input_quantization(graph, op, position)
        if given != first:
            raise ValueError(
                f"input {position} has scale and zero point {given}; allowed is that of input 0, "
                f"{first}"
            )
    return running_sum.add_n(operands(graph, op, context), **_sum_arguments(graph, op, context))


def _sum_arguments(graph: Graph, op: Operator, context: Context) -> dict[str, Any]:
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    return {
        "ifm_zero_point": ifm_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "parameters": add_parameters(ifm_scale, ifm_scale, ofm_scale),
        "rounding": context.rounding,
    }


_WIDE = "int8", "int16"

EXECUTORS = {
    "SQUARED_DIFFERENCE": TypedExecutor(_squared_difference, _WIDE),
    "RSQRT": TypedExecutor(_rsqrt, _WIDE),
    **int8_executors(
        {
            "DIV": _div,
            "L2_NORMALIZATION": _l2_normalization,
            "LOG_SOFTMAX": _log_softmax,
            "CUMSUM": _cumsum,
            "ADD_N": _add_n,
        }
    ),
}
"""The kernels of operators that normalize."""
