"""Operators of a network as operators of the image: everything that computes.

One function per group of kinds; `npu.speedup.image_movement` has those that only move bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import quantization as formulas
from kernels.lookup import UNARY_KINDS, unary_table
from npu.errors import UnsupportedOperatorError
from npu.graph import Graph, Operator, Tensor
from npu.options import (
    Activation,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    LeakyReluOptions,
    PoolOptions,
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
from npu.shape_rules import reduced_axes
from npu.speedup.image_builder import Constant, ImageBuilder, Place, Value
from npu.speedup.image_copy import broadcast_parameters
from sim.soc.firmware.image_format import (
    CHANNEL_BLOCK,
    PIXEL_BLOCK,
    REDUCTION_BLOCK,
    SUMS_AT_ONCE,
    Kind,
)

Parameters = dict[str, Value]
SOFTMAX_OUTPUT = (1 / 256, -128)


@dataclass
class Writer:
    """Appends the operators of a graph to an image.

    Parameters
    ----------
    graph, builder : from where to where.
    homes : where tensors lie that do not have a buffer of their own.
    """

    graph: Graph
    builder: ImageBuilder
    homes: dict[int, Place] = field(default_factory=dict)

    def place(self, index: int) -> Place:
        """Where a tensor lies in the arena."""
        if index not in self.homes:
            self.homes[index] = self.builder.buffer(index, self.graph.tensors[index].size)
        return self.homes[index]

    def operand(self, op: Operator, position: int) -> Place | Constant:
        """The operator's input at `position`, a tensor or a constant."""
        tensor = self.graph.tensors[op.inputs[position]]
        if tensor.data is not None:
            return self.builder.constant(tensor.data)
        return self.place(tensor.index)

    def add(self, op: Operator, kind: Kind, parameters: Parameters) -> None:
        """Append an operator of the image on behalf of `op`."""
        self.builder.add(kind, op.index, parameters)


Translation = Callable[[Writer, Operator], None]


def refuse(op: Operator, reason: str) -> UnsupportedOperatorError:
    """The error that the firmware cannot run `op`."""
    return UnsupportedOperatorError(
        f"operator {op.index} ({op.kind}) cannot run in the bench SoC's firmware: {reason}"
    )


def pack_weights(matrix: NDArray[np.int8], groups: int) -> NDArray[np.int8]:
    """Weights `[channels, values]` as `[group][channel block][value block][channel][value]`.

    Channels and values that a block lacks are zero.
    """
    channels, values = matrix.shape
    per_group = channels // groups
    blocks = -(-per_group // CHANNEL_BLOCK)
    words = -(-values // REDUCTION_BLOCK)
    padded = np.zeros((groups, blocks * CHANNEL_BLOCK, words * REDUCTION_BLOCK), np.int8)
    padded[:, :per_group, :values] = matrix.reshape(groups, per_group, values)
    tiles = padded.reshape(groups, blocks, CHANNEL_BLOCK, words, REDUCTION_BLOCK)
    return np.ascontiguousarray(tiles.transpose(0, 1, 3, 2, 4))


def _convolution(w: Writer, op: Operator) -> None:
    weights = _weights(w.graph, op)
    stage = output_stage(w.graph, op, op.options_as(Conv2DOptions).activation)
    channels, values = weights.shape[0], prod(weights.shape[1:])
    groups = w.graph.tensors[op.inputs[0]].shape[3] // weights.shape[3]
    w.add(
        op,
        Kind.CONV_2D,
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "weights": w.builder.constant(weights),
            "packed_weights": w.builder.constant(
                pack_weights(weights.reshape(channels, values), groups)
            ),
            "scratch": _scratch(w, op, _whole_words(values), PIXEL_BLOCK + 1),
            "output_channels": channels,
            "filter_channels": weights.shape[3],
            **_spatial(w.graph, op, dilated=True),
            **_stage(w, stage, weights, 0),
        },
    )


def _depthwise(w: Writer, op: Operator) -> None:
    weights = _weights(w.graph, op)
    stage = output_stage(w.graph, op, op.options_as(DepthwiseConv2DOptions).activation)
    windows = placement(w.graph, op)
    height, width = (
        (n - 1) * stride + kernel
        for n, stride, kernel in zip(windows.ofm_hw, windows.stride, windows.kernel, strict=True)
    )
    # the packed kernel writes whole words of columns: up to 3 sums more
    sums = max(windows.ofm_hw[1], SUMS_AT_ONCE) + REDUCTION_BLOCK
    w.add(
        op,
        Kind.DEPTHWISE_CONV_2D,
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "weights": w.builder.constant(weights),
            "scratch": _scratch(w, op, height * _whole_words(width) + sums, CHANNEL_BLOCK),
            "depth_multiplier": weights.shape[3] // w.graph.tensors[op.inputs[0]].shape[3],
            **_spatial(w.graph, op, dilated=True),
            **_stage(w, stage, weights, 3),
        },
    )


def _fully_connected(w: Writer, op: Operator) -> None:
    weights = _weights(w.graph, op)
    stage = output_stage(w.graph, op, op.options_as(FullyConnectedOptions).activation)
    outputs, inputs = weights.shape
    w.add(
        op,
        Kind.FULLY_CONNECTED,
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "weights": w.builder.constant(weights),
            "packed_weights": w.builder.constant(pack_weights(weights, 1)),
            "scratch": _scratch(w, op, _whole_words(inputs), PIXEL_BLOCK + 1),
            "rows": w.graph.output_tensor(op).size // outputs,
            "inputs": inputs,
            "outputs": outputs,
            **_stage(w, stage, weights, 0),
        },
    )


def _weights(graph: Graph, op: Operator) -> NDArray[np.int8]:
    data = graph.tensors[op.inputs[1]].data
    if data is None:
        raise refuse(op, "its weights are not constant")
    return data


def _scratch(w: Writer, op: Operator, size: int, parts: int) -> Place:
    return w.builder.buffer(("scratch", op.index), parts * size)


def _whole_words(values: int) -> int:
    return -(-values // REDUCTION_BLOCK) * REDUCTION_BLOCK


def _stage(
    w: Writer, stage: OutputStage, weights: NDArray[np.int8], channel_axis: int
) -> Parameters:
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel_axis)
    sums = weights.sum(axis=axes, dtype=np.int64)
    folded = (stage.bias - stage.ifm_zero_point * sums).astype(np.int32)
    return {
        "input_zero_point": stage.ifm_zero_point,
        "output_zero_point": stage.ofm_zero_point,
        "activation_min": stage.activation_min,
        "activation_max": stage.activation_max,
        "bias": w.builder.constant(stage.bias),
        "folded_bias": w.builder.constant(folded),
        "multipliers": w.builder.constant(stage.multiplier),
        "shifts": w.builder.constant(stage.shift),
    }


def _spatial(graph: Graph, op: Operator, *, dilated: bool = False) -> Parameters:
    windows = placement(graph, op)
    batches, height, width, channels = graph.tensors[op.inputs[0]].shape
    parameters: Parameters = {
        "batches": batches,
        "input_height": height,
        "input_width": width,
        "channels": channels,
    }
    pairs = {
        "filter_height filter_width": windows.kernel,
        "output_height output_width": windows.ofm_hw,
        "stride_y stride_x": windows.stride,
        "pad_top pad_left": windows.padding,
    }
    if dilated:
        pairs["dilation_y dilation_x"] = windows.dilation
    for names, pair in pairs.items():
        parameters.update(zip(names.split(), pair, strict=True))
    return parameters


def _pool(w: Writer, op: Operator) -> None:
    low, high = activation_range(w.graph, op, op.options_as(PoolOptions).activation)
    w.add(
        op,
        Kind[op.kind],
        {
            "input": w.operand(op, 0),
            "output": w.place(op.outputs[0]),
            "activation_min": low,
            "activation_max": high,
            **_spatial(w.graph, op),
        },
    )


def _elementwise(w: Writer, op: Operator) -> None:
    graph = w.graph
    a_scale, a_zero_point = scale_and_zero_point(graph.tensors[op.inputs[0]])
    b_scale, b_zero_point = scale_and_zero_point(graph.tensors[op.inputs[1]])
    ofm_scale, ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))
    names = ("multiplier1", "shift1", "multiplier2", "shift2", "multiplier", "shift")
    numbers = [0] * 6
    activation = Activation.NONE
    with blamed_on(op):
        if op.kind in ("ADD", "SUB"):
            p = formulas.add_parameters(a_scale, b_scale, ofm_scale)
            numbers = [p.multiplier_a, p.shift_a, p.multiplier_b, p.shift_b, p.multiplier, p.shift]
        elif op.kind == "MUL":
            numbers[4:] = formulas.mul_multiplier(a_scale, b_scale, ofm_scale)
    if op.kind in ("ADD", "SUB", "MUL"):
        activation = op.options_as(ElementwiseOptions).activation
    low, high = activation_range(graph, op, activation)
    w.add(
        op,
        Kind[op.kind],
        {
            "input1": _broadcast(w, op, 0),
            "input2": _broadcast(w, op, 1),
            "output": w.place(op.outputs[0]),
            "count": graph.output_tensor(op).size,
            "input1_zero_point": a_zero_point,
            "input2_zero_point": b_zero_point,
            "output_zero_point": ofm_zero_point,
            "activation_min": low,
            "activation_max": high,
            **dict(zip(names, numbers, strict=True)),
        },
    )


def _broadcast(w: Writer, op: Operator, position: int) -> Place | Constant:
    """The operand in the shape of the output; a smaller one is copied out first."""
    tensor, ofm = w.graph.tensors[op.inputs[position]], w.graph.output_tensor(op)
    if tensor.size == ofm.size:
        return w.operand(op, position)
    if tensor.data is not None:
        return w.builder.constant(np.broadcast_to(tensor.data, ofm.shape))
    target = w.builder.buffer(("broadcast", op.index, position), ofm.size)
    copied = broadcast_parameters(w.operand(op, position), tensor.shape, target, ofm.shape)
    w.add(op, Kind.COPY, copied)
    return target


def _mean(w: Writer, op: Operator) -> None:
    ifm, ofm = w.graph.tensors[op.inputs[0]], w.graph.output_tensor(op)
    (scale, zero_point), (ofm_scale, ofm_zero_point) = map(scale_and_zero_point, (ifm, ofm))
    outer, count, inner = _grouped(w.graph, op, ifm)
    with blamed_on(op):
        if op.kind == "MEAN":
            multiplier, shift = formulas.mean_multiplier(scale, ofm_scale, count)
        else:
            multiplier, shift = formulas.rescale_multiplier(scale, ofm_scale)
    w.add(
        op,
        Kind.MEAN,
        {
            "input": w.operand(op, 0),
            "output": w.place(ofm.index),
            "outer": outer,
            "count": count,
            "inner": inner,
            "input_zero_point": zero_point,
            "output_zero_point": ofm_zero_point,
            "multiplier": multiplier,
            "shift": shift,
        },
    )


def _grouped(graph: Graph, op: Operator, ifm: Tensor) -> tuple[int, int, int]:
    """Elements before, in and after the reduced axes."""
    axes = [axis for axis in reduced_axes(graph, op) if ifm.shape[axis] > 1]
    if not axes:
        return ifm.size, 1, 1
    first, end = min(axes), max(axes) + 1
    if any(axis not in axes and ifm.shape[axis] > 1 for axis in range(first, end)):
        raise refuse(op, f"axes {axes} of shape {list(ifm.shape)} are not adjacent")
    return prod(ifm.shape[:first]), prod(ifm.shape[first:end]), prod(ifm.shape[end:])


def _softmax(w: Writer, op: Operator) -> None:
    ifm, ofm = w.graph.tensors[op.inputs[0]], w.graph.output_tensor(op)
    if scale_and_zero_point(ofm) != SOFTMAX_OUTPUT:
        raise refuse(op, "its output has another scale than 1/256 or zero point than -128")
    scale, _ = scale_and_zero_point(ifm)
    with blamed_on(op):
        p = formulas.softmax_parameters(op.options_as(SoftmaxOptions).beta, scale)
    w.add(
        op,
        Kind.SOFTMAX,
        {
            "input": w.operand(op, 0),
            "output": w.place(ofm.index),
            "rows": ifm.size // ifm.shape[-1],
            "length": ifm.shape[-1],
            "multiplier": p.multiplier,
            "shift": p.shift,
            "diff_min": p.diff_min,
        },
    )


def _unary(w: Writer, op: Operator) -> None:
    ifm, ofm = w.graph.tensors[op.inputs[0]], w.graph.output_tensor(op)
    (scale, zero_point), (ofm_scale, ofm_zero_point) = map(scale_and_zero_point, (ifm, ofm))
    options: Any = op.options
    with blamed_on(op):
        table = unary_table(
            op.kind,
            ifm_scale=scale,
            ifm_zero_point=zero_point,
            ofm_scale=ofm_scale,
            ofm_zero_point=ofm_zero_point,
            alpha=options.alpha if isinstance(options, LeakyReluOptions) else 0.0,
        )
        multiplier, shift = formulas.rescale_multiplier(scale, ofm_scale)
    parameters: Parameters = {
        "input": w.operand(op, 0),
        "output": w.place(ofm.index),
        "count": ofm.size,
        "table": w.builder.constant(table),
    }
    if op.kind != "QUANTIZE":
        w.add(op, Kind.TABLE, parameters)
        return
    rescaling: Parameters = {
        "input_zero_point": zero_point,
        "output_zero_point": ofm_zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }
    w.add(op, Kind.REQUANTIZE, parameters | rescaling)


TRANSLATIONS: dict[str, Translation] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"), _elementwise),
    "MEAN": _mean,
    "SUM": _mean,
    "SOFTMAX": _softmax,
    **dict.fromkeys(UNARY_KINDS, _unary),
}
