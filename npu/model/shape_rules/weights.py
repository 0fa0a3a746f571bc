"""Output shapes of convolutions, pooling, matrix products and SVDF."""

from math import prod

import numpy as np

from kernels.quantization import window
from npu.model.graph import Graph, Operator, Tensor
from npu.model.options import (
    BatchMatMulOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    PoolOptions,
    SvdfOptions,
    TransposeConvOptions,
)
from npu.model.shape_rules.common import Shape, input_tensor, operator_error

# kernels hold a whole padded input; only a corrupted dilation or window grows one beyond both
PADDED_SIZE_LIMIT = 1 << 24
PADDED_GROWTH_LIMIT = 16
INT16_BIASES = {"CONV_2D": ("int32",), "TRANSPOSE_CONV": ("int16",)}
"""Types of a bias beside int64 where activations are int16."""


def conv_2d(graph: Graph, op: Operator) -> Shape:
    """CONV_2D."""
    options = op.options_as(Conv2DOptions)
    x, weights = input_tensor(graph, op, 0, 4), input_tensor(graph, op, 1, 4)
    channels, kh, kw, depth = weights.shape
    groups = x.shape[3] // depth
    if x.shape[3] % depth or channels % groups:
        raise operator_error(
            op, f"weights {list(weights.shape)} do not fit an input of {x.shape[3]} channels"
        )
    _check_bias(graph, op, channels)
    dilation = options.dilation_h, options.dilation_w
    return (x.shape[0], *_windows(op, x, (kh, kw), options, dilation), channels)


def depthwise_conv_2d(graph: Graph, op: Operator) -> Shape:
    """DEPTHWISE_CONV_2D."""
    options = op.options_as(DepthwiseConv2DOptions)
    x, weights = input_tensor(graph, op, 0, 4), input_tensor(graph, op, 1, 4)
    ones, kh, kw, channels = weights.shape
    if ones != 1 or channels != x.shape[3] * options.depth_multiplier:
        raise operator_error(
            op,
            f"weights {list(weights.shape)} do not fit {x.shape[3]} channels with a depth "
            f"multiplier of {options.depth_multiplier}",
        )
    _check_bias(graph, op, channels)
    dilation = options.dilation_h, options.dilation_w
    return (x.shape[0], *_windows(op, x, (kh, kw), options, dilation), channels)


def fully_connected(graph: Graph, op: Operator) -> Shape:
    """FULLY_CONNECTED."""
    x, weights = input_tensor(graph, op, 0), input_tensor(graph, op, 1, 2)
    outputs, depth = weights.shape
    if x.size % depth:
        raise operator_error(
            op, f"weights {list(weights.shape)} do not fit an input of {list(x.shape)}"
        )
    _check_bias(graph, op, outputs)
    given = graph.output_tensor(op).shape
    # TFLM takes any shape that holds the rows: converters differ in which they write
    if given and given[-1] == outputs and prod(given) == x.size // depth * outputs:
        return given
    return (x.size // depth, outputs)


def pool_2d(graph: Graph, op: Operator) -> Shape:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    options = op.options_as(PoolOptions)
    x = input_tensor(graph, op, 0, 4)
    kernel = options.filter_h, options.filter_w
    return (x.shape[0], *_windows(op, x, kernel, options), x.shape[3])


def transpose_conv(graph: Graph, op: Operator) -> Shape:
    """TRANSPOSE_CONV: the output says its shape. TFLM does not read the first input either."""
    options = op.options_as(TransposeConvOptions)
    weights, x = input_tensor(graph, op, 1, 4), input_tensor(graph, op, 2, 4)
    shape = graph.output_tensor(op).shape
    if len(shape) != 4:
        raise operator_error(op, f"the output has shape {list(shape)}, rank 4 expected")
    channels, kh, kw, depth = weights.shape
    if depth != x.shape[3] or shape[0] != x.shape[0] or shape[3] != channels:
        raise operator_error(
            op,
            f"weights {list(weights.shape)} do not make {list(shape)} of an input of shape "
            f"{list(x.shape)}",
        )
    # the forward convolution, from the output back to the input
    ofm = Tensor(-1, "its output", shape, x.dtype)
    if _windows(op, ofm, (kh, kw), options) != x.shape[1:3]:
        raise operator_error(
            op, f"{list(shape)} does not convolve to an input of shape {list(x.shape)}"
        )
    _check_bias(graph, op, channels, 3)
    return shape


def batch_matmul(graph: Graph, op: Operator) -> Shape:
    """BATCH_MATMUL."""
    options = op.options_as(BatchMatMulOptions)
    a, b = input_tensor(graph, op, 0).shape, input_tensor(graph, op, 1).shape
    if min(len(a), len(b)) < 2:
        raise operator_error(op, f"shapes are {list(a)} and {list(b)}, rank 2 or more expected")
    rows, depth = (a[-1], a[-2]) if options.adj_x else (a[-2], a[-1])
    other_depth, columns = (b[-1], b[-2]) if options.adj_y else (b[-2], b[-1])
    if depth != other_depth:
        raise operator_error(op, f"{rows} x {depth} and {other_depth} x {columns} do not multiply")
    try:
        batches = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise operator_error(op, f"shapes {list(a)} and {list(b)} do not broadcast") from None
    return (*batches, rows, columns)


def svdf(graph: Graph, op: Operator) -> Shape:
    """SVDF."""
    rank = op.options_as(SvdfOptions).rank
    x, feature = input_tensor(graph, op, 0, 2), input_tensor(graph, op, 1, 2)
    time, state = input_tensor(graph, op, 2, 2), input_tensor(graph, op, 4, 2)
    filters, inputs = feature.shape
    if inputs != x.shape[1] or time.shape[0] != filters or filters % rank:
        raise operator_error(
            op,
            f"weights {list(feature.shape)} and {list(time.shape)} of rank {rank} do not fit an "
            f"input of {list(x.shape)}",
        )
    memory = (x.shape[0], filters * time.shape[1])
    if state.shape != memory or state.dtype != time.dtype:
        raise operator_error(
            op,
            f"state {state.name!r} is {state.dtype.name} of shape {list(state.shape)}, "
            f"{time.dtype.name} of shape {list(memory)} expected",
        )
    if not state.is_variable:
        raise operator_error(op, f"state {state.name!r} is not a variable")
    _check_bias(graph, op, filters // rank, 3)
    return (x.shape[0], filters // rank)


def _check_bias(graph: Graph, op: Operator, channels: int, position: int = 2) -> None:
    bias = graph.input_tensor(op, position)
    if bias is None:
        return
    allowed = ("int32",)
    if input_tensor(graph, op, 2 if op.kind == "TRANSPOSE_CONV" else 0).dtype == np.int16:
        allowed = ("int64", *INT16_BIASES.get(op.kind, ()))
    if bias.size != channels or bias.dtype.name not in allowed:
        raise operator_error(
            op,
            f"bias {bias.name!r} is {bias.dtype.name} of shape {list(bias.shape)}, "
            f"{' or '.join(allowed)} of shape [{channels}] expected",
        )


def _windows(
    op: Operator,
    x: Tensor,
    kernel: tuple[int, int],
    options: Conv2DOptions | DepthwiseConv2DOptions | PoolOptions | TransposeConvOptions,
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int]:
    padding = options.padding.name
    try:
        rows = window(x.shape[1], kernel[0], options.stride_h, dilation[0], padding)
        columns = window(x.shape[2], kernel[1], options.stride_w, dilation[1], padding)
    except ValueError as error:
        raise operator_error(op, str(error)) from None
    height = rows.before + x.shape[1] + rows.after
    width = columns.before + x.shape[2] + columns.after
    limit = max(PADDED_SIZE_LIMIT, PADDED_GROWTH_LIMIT * prod(x.shape[1:]))
    if height * width * x.shape[3] > limit:
        raise operator_error(
            op,
            f"its windows span {height} x {width} pixels of {x.shape[3]} channels with padding, "
            f"at most {limit:,} values are supported",
        )
    return rows.output, columns.output
