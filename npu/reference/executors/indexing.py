"""Executors of operators that pick, put or repeat values by position."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import indexing as kernels
from kernels.quantize import dequantize
from kernels.space_to_batch import batch_to_space, space_to_batch
from npu.model.graph import Graph, Operator
from npu.reference.executors.common import (
    Context,
    TypedExecutor,
    input_quantization,
    operand,
)


def _reverse(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    axes = operand(graph, op, 1, context).reshape(-1).tolist()
    return kernels.reverse(operand(graph, op, 0, context), axes)


def _gather_nd(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return kernels.gather_nd(operand(graph, op, 0, context), operand(graph, op, 1, context))


def _embedding_lookup(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    rows = kernels.embedding_lookup(operand(graph, op, 0, context), operand(graph, op, 1, context))
    if graph.output_tensor(op).dtype == rows.dtype:
        return rows
    scale, zero_point = input_quantization(graph, op, 1)
    if zero_point != 0:
        raise ValueError(f"the table has zero point {zero_point}; allowed is 0")
    return dequantize(rows, scale=scale, zero_point=0)


def _dynamic_update_slice(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm, update, start = (operand(graph, op, i, context) for i in range(3))
    return kernels.dynamic_update_slice(ifm, update, start.tolist())


def _space_to_batch(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm, block, paddings = (operand(graph, op, i, context) for i in range(3))
    # 0 and not the zero point: TFLM never sets the value that it pads with
    return space_to_batch(ifm, block.tolist(), paddings.tolist(), value=0)


def _batch_to_space(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm, block, crops = (operand(graph, op, i, context) for i in range(3))
    return batch_to_space(ifm, block.tolist(), crops.tolist())


def _fill(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    shape = operand(graph, op, 0, context).tolist()
    return np.full(shape, operand(graph, op, 1, context), graph.output_tensor(op).dtype)


def _zeros_like(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return np.zeros_like(operand(graph, op, 0, context))


def _broadcast_args(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    a, b = operand(graph, op, 0, context), operand(graph, op, 1, context)
    shape = np.broadcast_shapes(tuple(a.tolist()), tuple(b.tolist()))
    return np.array(shape, graph.output_tensor(op).dtype)


_ANY = "int8", "uint8", "int16", "int32", "int64", "bool", "float32"
_INT8_FLOAT = "int8", "float32"

_EXECUTORS = {
    "REVERSE_V2": TypedExecutor(_reverse, _ANY),
    "GATHER_ND": TypedExecutor(_gather_nd, _INT8_FLOAT),
    "EMBEDDING_LOOKUP": TypedExecutor(_embedding_lookup, ("int8",), _INT8_FLOAT),
    "DYNAMIC_UPDATE_SLICE": TypedExecutor(
        _dynamic_update_slice, ("int8", "int16", "int32", "float32")
    ),
    "SPACE_TO_BATCH_ND": TypedExecutor(_space_to_batch, _INT8_FLOAT),
    "BATCH_TO_SPACE_ND": TypedExecutor(_batch_to_space, _INT8_FLOAT),
    "FILL": TypedExecutor(_fill, ("int8", "int32", "float32")),
    "ZEROS_LIKE": TypedExecutor(_zeros_like, ("int8", "int32", "int64", "float32")),
    "BROADCAST_ARGS": TypedExecutor(_broadcast_args, ("int32", "int64")),
}

TABLES = _EXECUTORS, {"EMBEDDING_LOOKUP": TypedExecutor(_embedding_lookup, ("float32",))}
"""The kernels of operators that pick, put or repeat values."""
