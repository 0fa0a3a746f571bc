"""Operators as prepared kernels, where there is one for their types, shapes and constants."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kernels.lookup import UNARY_KINDS
from kernels.prepared.conv import prepare_conv2d
from kernels.prepared.depthwise import prepare_depthwise_conv2d
from kernels.prepared.elementwise import prepare_softmax, prepare_sum, prepare_table
from kernels.prepared.fully_connected import prepare_fully_connected
from kernels.prepared.instruction_sets import InstructionSet
from kernels.prepared.sequence import PreparedKernel
from kernels.prepared.windows import prepare_mean, prepare_pad, prepare_pool2d
from kernels.requantize import Rounding
from npu.model.graph import Graph, Operator
from npu.model.quant_params import blamed_on, weight_zero_point
from npu.reference.executors.elementwise import (
    reduction_arguments,
    softmax_parameters,
    sum_arguments,
    table_of,
)
from npu.reference.executors.movement import pad_value, paddings
from npu.reference.executors.registry import find_executor
from npu.reference.executors.weights import convolution_arguments, pool_arguments, product_arguments

WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""Operators whose weights are packed."""

Preparer = Callable[[Graph, Operator, Rounding, InstructionSet], PreparedKernel | None]


def prepare(
    graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet
) -> PreparedKernel | None:
    """The prepared kernel of `op`; None when it has to be executed, by a kernel or by TFLM.

    Raises `ModelError` for parameters that no kernel accepts.
    """
    preparer = _PREPARERS.get(op.kind)
    if preparer is None or find_executor(graph, op) is None:
        return None
    tensors = [graph.tensors[op.inputs[0]], *(graph.tensors[i] for i in op.outputs)]
    if any(t.dtype != np.int8 or t.size == 0 for t in tensors):
        return None
    with blamed_on(op):
        return preparer(graph, op, rounding, isa)


def _shape(graph: Graph, op: Operator) -> tuple[int, ...]:
    return graph.tensors[op.inputs[0]].shape


def _weights(graph: Graph, op: Operator) -> NDArray[np.int8] | None:
    return graph.tensors[op.inputs[1]].data


def _conv_2d(
    graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet
) -> PreparedKernel | None:
    weights = _weights(graph, op)
    if weights is None:
        return None
    arguments = convolution_arguments(graph, op, rounding)
    return prepare_conv2d(_shape(graph, op), weights, **arguments, isa=isa)


def _depthwise_conv_2d(
    graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet
) -> PreparedKernel | None:
    weights = _weights(graph, op)
    if weights is None:
        return None
    arguments = convolution_arguments(graph, op, rounding)
    return prepare_depthwise_conv2d(_shape(graph, op), weights, **arguments, isa=isa)


def _fully_connected(
    graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet
) -> PreparedKernel | None:
    weights = _weights(graph, op)
    if weights is None or weight_zero_point(graph, op):
        return None
    arguments = product_arguments(graph, op, rounding)
    return prepare_fully_connected(_shape(graph, op), weights, **arguments, isa=isa)


def _sum_of_two(
    graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet
) -> PreparedKernel | None:
    shape = _shape(graph, op)
    if graph.tensors[op.inputs[1]].shape != shape:
        return None
    sign = 1 if op.kind == "ADD" else -1
    return prepare_sum(shape, sign=sign, **sum_arguments(graph, op, rounding))


def _pool_2d(graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet) -> PreparedKernel:
    average = op.kind == "AVERAGE_POOL_2D"
    return prepare_pool2d(_shape(graph, op), average=average, **pool_arguments(graph, op))


def _reduction(
    graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet
) -> PreparedKernel | None:
    return prepare_mean(_shape(graph, op), **reduction_arguments(graph, op, rounding))


def _pad(
    graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet
) -> PreparedKernel | None:
    value = pad_value(graph, op)
    return prepare_pad(_shape(graph, op), paddings(graph, op), value=value)


def _softmax(graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet) -> PreparedKernel:
    return prepare_softmax(_shape(graph, op), parameters=softmax_parameters(graph, op))


def _unary(graph: Graph, op: Operator, rounding: Rounding, isa: InstructionSet) -> PreparedKernel:
    return prepare_table(_shape(graph, op), table_of(graph, op, rounding))


_PREPARERS: Mapping[str, Preparer] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "ADD": _sum_of_two,
    "SUB": _sum_of_two,
    "AVERAGE_POOL_2D": _pool_2d,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _reduction,
    "SUM": _reduction,
    "PAD": _pad,
    "PADV2": _pad,
    "SOFTMAX": _softmax,
    **dict.fromkeys(UNARY_KINDS, _unary),
}
