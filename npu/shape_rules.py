"""Checks that the shapes written in a model are those its operators produce.

TFLM trusts a file's shapes; kernels here index arrays by them without bounds checks, so a file
that contradicts itself is refused before anything runs. One function per operator kind; kinds
without one are only refused when something has to execute them.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.quantization import resolve_axes, window
from npu.errors import ModelError
from npu.graph import Graph, Operator, Tensor
from npu.options import (
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    PoolOptions,
    ReduceOptions,
)

# kernels hold a whole padded input; only a corrupted dilation or window grows one beyond both
PADDED_SIZE_LIMIT = 1 << 24
PADDED_GROWTH_LIMIT = 16

Shape = tuple[int, ...]
Rule = Callable[[Graph, Operator], Shape]


def check_shapes(graph: Graph) -> None:
    """Refuse a graph in which an operator of a known kind does not produce its output's shape.

    Also checks what the shapes rest on: the number of operands, their ranks, the types of weights
    and biases, and the values of constant operands such as paddings.

    Raises `ModelError`, naming the operator.
    """
    for op in graph.operators:
        rule = _RULES.get(op.kind)
        if rule is None:
            continue
        low, high = OPERANDS[op.kind]
        if not low <= len(op.inputs) <= high or len(op.outputs) != 1:
            raise _error(
                op,
                f"{len(op.inputs)} inputs and {len(op.outputs)} outputs, {low} to {high} inputs "
                "and 1 output expected",
            )
        if any(i < 0 for i in op.inputs[:low]):
            raise _error(op, "a required input is left out")
        expected = rule(graph, op)
        given = graph.output_tensor(op).shape
        if given != expected:
            raise _error(
                op, f"the output has shape {list(given)}, its inputs make {list(expected)}"
            )


def constant_operand(graph: Graph, op: Operator, position: int) -> NDArray[Any]:
    """The value of the constant input at `position`.

    Raises `ModelError` when the input is computed by another operator.
    """
    tensor = graph.tensors[op.inputs[position]]
    if tensor.data is None:
        raise _error(op, f"input {tensor.name!r} is not a constant")
    return tensor.data


def reduced_axes(graph: Graph, op: Operator) -> tuple[int, ...]:
    """The axes a MEAN averages over, each once, from 0, in rising order.

    Raises `ModelError` for axes that its input does not have.
    """
    rank = len(graph.tensors[op.inputs[0]].shape)
    axes = [int(a) for a in constant_operand(graph, op, 1).reshape(-1)]
    try:
        return resolve_axes(axes, rank)
    except ValueError as error:
        raise _error(op, str(error)) from None


def _error(op: Operator, message: str) -> ModelError:
    return ModelError(f"operator {op.index} ({op.kind}): {message}")


def _input(graph: Graph, op: Operator, position: int, rank: int | None = None) -> Tensor:
    tensor = graph.tensors[op.inputs[position]]
    if rank is not None and len(tensor.shape) != rank:
        raise _error(
            op, f"input {tensor.name!r} has shape {list(tensor.shape)}, rank {rank} expected"
        )
    return tensor


def _check_bias(graph: Graph, op: Operator, channels: int) -> None:
    bias = graph.input_tensor(op, 2)
    if bias is None:
        return
    if bias.size != channels or bias.dtype != np.int32:
        raise _error(
            op,
            f"bias {bias.name!r} is {bias.dtype.name} of shape {list(bias.shape)}, "
            f"int32 of shape [{channels}] expected",
        )


def _windows(
    op: Operator,
    x: Tensor,
    kernel: tuple[int, int],
    options: Conv2DOptions | DepthwiseConv2DOptions | PoolOptions,
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    padding = options.padding.name
    try:
        rows = window(x.shape[1], kernel[0], options.stride_h, dilation[0], padding)
        columns = window(x.shape[2], kernel[1], options.stride_w, dilation[1], padding)
    except ValueError as error:
        raise _error(op, str(error)) from None
    height = rows.before + x.shape[1] + rows.after
    width = columns.before + x.shape[2] + columns.after
    limit = max(PADDED_SIZE_LIMIT, PADDED_GROWTH_LIMIT * prod(x.shape[1:]))
    if height * width * x.shape[3] > limit:
        raise _error(
            op,
            f"its windows span {height} x {width} pixels of {x.shape[3]} channels with padding, "
            f"at most {limit:,} values are supported",
        )
    return rows.output, columns.output


def _conv_2d(graph: Graph, op: Operator) -> Shape:
    options = op.options_as(Conv2DOptions)
    x, weights = _input(graph, op, 0, 4), _input(graph, op, 1, 4)
    channels, kh, kw, depth = weights.shape
    groups = x.shape[3] // depth
    if x.shape[3] % depth or channels % groups:
        raise _error(
            op, f"weights {list(weights.shape)} do not fit an input of {x.shape[3]} channels"
        )
    _check_bias(graph, op, channels)
    dilation = options.dilation_h, options.dilation_w
    return (x.shape[0], *_windows(op, x, (kh, kw), options, dilation), channels)


def _depthwise_conv_2d(graph: Graph, op: Operator) -> Shape:
    options = op.options_as(DepthwiseConv2DOptions)
    x, weights = _input(graph, op, 0, 4), _input(graph, op, 1, 4)
    ones, kh, kw, channels = weights.shape
    if ones != 1 or channels != x.shape[3] * options.depth_multiplier:
        raise _error(
            op,
            f"weights {list(weights.shape)} do not fit {x.shape[3]} channels with a depth "
            f"multiplier of {options.depth_multiplier}",
        )
    _check_bias(graph, op, channels)
    dilation = options.dilation_h, options.dilation_w
    return (x.shape[0], *_windows(op, x, (kh, kw), options, dilation), channels)


def _fully_connected(graph: Graph, op: Operator) -> Shape:
    x, weights = _input(graph, op, 0), _input(graph, op, 1, 2)
    outputs, depth = weights.shape
    if x.size % depth:
        raise _error(op, f"weights {list(weights.shape)} do not fit an input of {list(x.shape)}")
    _check_bias(graph, op, outputs)
    given = graph.output_tensor(op).shape
    # TFLM takes any shape that holds the rows: converters differ in which they write
    if given and given[-1] == outputs and prod(given) == x.size // depth * outputs:
        return given
    return (x.size // depth, outputs)


def _pool_2d(graph: Graph, op: Operator) -> Shape:
    options = op.options_as(PoolOptions)
    x = _input(graph, op, 0, 4)
    kernel = options.filter_h, options.filter_w
    return (x.shape[0], *_windows(op, x, kernel, options), x.shape[3])


def _elementwise(graph: Graph, op: Operator) -> Shape:
    a, b = _input(graph, op, 0), _input(graph, op, 1)
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise _error(op, f"shapes {list(a.shape)} and {list(b.shape)} do not broadcast") from None


def _mean(graph: Graph, op: Operator) -> Shape:
    shape = _input(graph, op, 0).shape
    axes = reduced_axes(graph, op)
    if op.options_as(ReduceOptions).keep_dims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def _pad(graph: Graph, op: Operator) -> Shape:
    x, amounts = _input(graph, op, 0), constant_operand(graph, op, 1)
    if amounts.shape != (len(x.shape), 2) or np.any(amounts < 0):
        raise _error(op, f"paddings {amounts.tolist()} for an input of shape {list(x.shape)}")
    return tuple(
        n + int(before) + int(after) for n, (before, after) in zip(x.shape, amounts, strict=True)
    )


def _same_shape(graph: Graph, op: Operator) -> Shape:
    return _input(graph, op, 0).shape


def _softmax(graph: Graph, op: Operator) -> Shape:
    x = _input(graph, op, 0)
    if not x.shape:
        raise _error(op, f"input {x.name!r} is a scalar")
    return x.shape


def _same_size(graph: Graph, op: Operator) -> Shape:
    x, given = _input(graph, op, 0), graph.output_tensor(op)
    if given.size != x.size:
        raise _error(op, f"{list(x.shape)} cannot become {list(given.shape)}: sizes differ")
    return given.shape


def _transpose(graph: Graph, op: Operator) -> Shape:
    x = _input(graph, op, 0)
    order = [int(i) for i in constant_operand(graph, op, 1).reshape(-1)]
    if sorted(order) != list(range(len(x.shape))):
        raise _error(
            op, f"{order} is not a permutation of the {len(x.shape)} dimensions of {x.name!r}"
        )
    return tuple(x.shape[i] for i in order)


def _concatenation(graph: Graph, op: Operator) -> Shape:
    shapes = [_input(graph, op, i).shape for i in range(len(op.inputs))]
    axis, first = op.options_as(ConcatenationOptions).axis, shapes[0]
    if not -len(first) <= axis < len(first):
        raise _error(op, f"axis {axis} of inputs of rank {len(first)}")
    axis %= len(first)
    if any(s[:axis] != first[:axis] or s[axis + 1 :] != first[axis + 1 :] for s in shapes):
        raise _error(op, f"shapes {[list(s) for s in shapes]} do not join along axis {axis}")
    return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


OPERANDS: dict[str, tuple[int, int]] = {
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "FULLY_CONNECTED": (2, 3),
    "AVERAGE_POOL_2D": (1, 1),
    "MAX_POOL_2D": (1, 1),
    "ADD": (2, 2),
    "SUB": (2, 2),
    "MUL": (2, 2),
    "MEAN": (2, 2),
    "PAD": (2, 2),
    "SOFTMAX": (1, 1),
    "QUANTIZE": (1, 1),
    "RESHAPE": (1, 2),
    "SQUEEZE": (1, 1),
    "EXPAND_DIMS": (2, 2),
    "TRANSPOSE": (2, 2),
    "CONCATENATION": (1, 1 << 16),
}
"""The least and greatest number of inputs of each kind."""

_RULES: dict[str, Rule] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool_2d,
    "MAX_POOL_2D": _pool_2d,
    "ADD": _elementwise,
    "SUB": _elementwise,
    "MUL": _elementwise,
    "MEAN": _mean,
    "PAD": _pad,
    "SOFTMAX": _softmax,
    "QUANTIZE": _same_shape,
    "RESHAPE": _same_size,
    "SQUEEZE": _same_size,
    "EXPAND_DIMS": _same_size,
    "TRANSPOSE": _transpose,
    "CONCATENATION": _concatenation,
}
