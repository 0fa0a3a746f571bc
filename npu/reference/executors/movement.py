"""Executors of operators that move data."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import data_movement as kernels
from kernels.checks import RANGES
from kernels.resize import resize_bilinear, resize_nearest_neighbor
from kernels.shape import pad
from npu.model.graph import Graph, Operator, Tensor
from npu.model.options import (
    Activation,
    AxisOptions,
    BlockOptions,
    ConcatenationOptions,
    MirrorPadOptions,
    ResizeOptions,
)
from npu.model.shape_rules import constant_operand, operator_slices
from npu.reference.executors.common import (
    Context,
    Executor,
    TypedExecutor,
    input_quantization,
    int8_executors,
    operand,
    operands,
    output_quantization,
)


def _pad(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    if graph.output_tensor(op).dtype not in RANGES:
        value = constant_operand(graph, op, 2).item() if op.kind == "PADV2" else 0
        ifm = operand(graph, op, 0, context)
        return np.pad(ifm, paddings(graph, op), constant_values=value)
    return pad(operand(graph, op, 0, context), paddings(graph, op), value=pad_value(graph, op))


def pad_value(graph: Graph, op: Operator) -> int:
    """What PAD and PADV2 fill with; ValueError where it is quantized otherwise than the output."""
    if op.kind == "PADV2":
        value = int(constant_operand(graph, op, 2).item())
        given, expected = input_quantization(graph, op, 2), output_quantization(graph, op)
        if given != expected:
            raise ValueError(
                f"the padding has scale and zero point {given}; allowed is the output's {expected}"
            )
        return value
    ofm = graph.output_tensor(op)
    # TFLM fills int16 with zeros, whatever the zero point
    return 0 if ofm.dtype == np.int16 or ofm.quantization is None else ofm.quantization.zero_point


def _mirror_pad(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    symmetric = op.options_as(MirrorPadOptions).symmetric
    ifm = operand(graph, op, 0, context)
    return kernels.mirror_pad(ifm, paddings(graph, op), symmetric=symmetric)


def paddings(graph: Graph, op: Operator) -> list[tuple[int, int]]:
    """(Before, after) of each dimension."""
    return [(int(before), int(after)) for before, after in constant_operand(graph, op, 1)]


def _reshape(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return operand(graph, op, 0, context)


def _transpose(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    order = [int(i) for i in constant_operand(graph, op, 1).reshape(-1)]
    return kernels.transpose(operand(graph, op, 0, context), order)


def _concatenation(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    options = op.options_as(ConcatenationOptions)
    if options.activation is not Activation.NONE:
        raise ValueError(f"activation is {options.activation.name}; allowed is NONE")
    if graph.output_tensor(op).dtype in RANGES:
        _check_one_quantization(graph, op)
    return kernels.concatenate(operands(graph, op, context), options.axis)


def _check_one_quantization(graph: Graph, op: Operator) -> None:
    described = [_scale_and_zero_point(graph.tensors[i]) for i in (*op.inputs, *op.outputs)]
    *inputs, ofm = described
    for i, given in enumerate(inputs):
        if given != ofm:
            raise ValueError(
                f"input {i} has scale and zero point {given}; allowed is the output's {ofm}"
            )


def _scale_and_zero_point(tensor: Tensor) -> tuple[float, int] | None:
    quantization = tensor.quantization
    return None if quantization is None else (quantization.scale, quantization.zero_point)


def _split(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
    x, which = (1, 0) if op.kind == "SPLIT" else (0, 2)
    ifm = operand(graph, op, x, context)
    axis = int(constant_operand(graph, op, which).item()) % ifm.ndim
    sizes = [graph.tensors[i].shape[axis] for i in op.outputs]
    return kernels.split(ifm, sizes, axis)


def _pack(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return kernels.pack(operands(graph, op, context), op.options_as(AxisOptions).axis)


def _unpack(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
    return kernels.unpack(operand(graph, op, 0, context), op.options_as(AxisOptions).axis)


def _gather(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    ifm, indices = operands(graph, op, context)
    return kernels.gather(ifm, indices, op.options_as(AxisOptions).axis)


def _slice(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return kernels.strided_slice(operand(graph, op, 0, context), operator_slices(graph, op))


def _broadcast_to(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return kernels.broadcast_to(operand(graph, op, 0, context), graph.output_tensor(op).shape)


def _resize(kernel: Callable[..., NDArray[np.int8]]) -> Executor:
    def execute(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
        options = op.options_as(ResizeOptions)
        return kernel(
            operand(graph, op, 0, context),
            graph.output_tensor(op).shape[1:3],
            align_corners=options.align_corners,
            half_pixel_centers=options.half_pixel_centers,
        )

    return execute


def _space_to_depth(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return kernels.space_to_depth(
        operand(graph, op, 0, context), op.options_as(BlockOptions).block_size
    )


def _depth_to_space(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    return kernels.depth_to_space(
        operand(graph, op, 0, context), op.options_as(BlockOptions).block_size
    )


_ANYWHERE: dict[str, Executor] = {
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "PACK": _pack,
    "UNPACK": _unpack,
    "STRIDED_SLICE": _slice,
    "SLICE": _slice,
    "BROADCAST_TO": _broadcast_to,
}
_ANY = "int8", "int16", "int32", "int64", "bool", "float32"
_OF_BYTES = frozenset({"RESHAPE", "SQUEEZE", "BROADCAST_TO"})
_PADDED = "int8", "int16", "int32", "float32"
_INT8_FLOAT = "int8", "float32"

EXECUTORS = {
    **{
        kind: TypedExecutor(execute, (*_ANY, "uint8") if kind in _OF_BYTES else _ANY)
        for kind, execute in _ANYWHERE.items()
    },
    "PAD": TypedExecutor(_pad, _PADDED),
    "PADV2": TypedExecutor(_pad, _PADDED),
    "RESIZE_NEAREST_NEIGHBOR": TypedExecutor(_resize(resize_nearest_neighbor), ("int8", "int16")),
    "MIRROR_PAD": TypedExecutor(_mirror_pad, _INT8_FLOAT),
    "GATHER": TypedExecutor(_gather, _INT8_FLOAT),
    **int8_executors(
        {
            "RESIZE_BILINEAR": _resize(resize_bilinear),
            "SPACE_TO_DEPTH": _space_to_depth,
            "DEPTH_TO_SPACE": _depth_to_space,
        }
    ),
}
"""The kernels of operators that move data."""
