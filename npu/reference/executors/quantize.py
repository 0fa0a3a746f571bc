"""Executors of QUANTIZE and DEQUANTIZE."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.quantization import rescale_multiplier
from kernels.quantize import dequantize, quantize_float, requantize
from npu.model.graph import Graph, Operator
from npu.reference.executors.common import (
    Context,
    TypedExecutor,
    input_quantization,
    operand,
    output_quantization,
)


def _quantize_float(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    scale, zero_point = output_quantization(graph, op)
    return quantize_float(
        operand(graph, op, 0, context),
        scale=scale,
        zero_point=zero_point,
        dtype=graph.output_tensor(op).dtype,
        strict=False,
    )


def _requantize(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    multiplier, shift = rescale_multiplier(ifm_scale, ofm_scale)
    return requantize(
        operand(graph, op, 0, context),
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
        dtype=graph.output_tensor(op).dtype,
        rounding=context.rounding,
    )


def _dequantize(graph: Graph, op: Operator, context: Context) -> NDArray[np.float32]:
    scale, zero_point = input_quantization(graph, op, 0)
    return dequantize(operand(graph, op, 0, context), scale=scale, zero_point=zero_point)


TABLES: tuple[dict[str, TypedExecutor], ...] = (
    {
        "QUANTIZE": TypedExecutor(_quantize_float, ("float32",), ("int8", "int16")),
        "DEQUANTIZE": TypedExecutor(_dequantize, ("int8", "uint8", "int16"), ("float32",)),
    },
    {"QUANTIZE": TypedExecutor(_requantize, ("int8", "int16"), ("int8", "int16", "int32"))},
    {"QUANTIZE": TypedExecutor(_requantize, ("int32",), ("int8", "int16"))},
    {"QUANTIZE": TypedExecutor(_requantize, ("uint8",), ("int8",))},
    {"QUANTIZE": TypedExecutor(_requantize, ("int8",), ("uint8",))},
)
"""The kernels of both, QUANTIZE's one for each group of types that TFLM takes."""
