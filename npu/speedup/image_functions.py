"""Operators of a network as operators of the image: elementwise ones, reductions and functions."""

from math import prod
from typing import Any

import numpy as np

from kernels import quantization as formulas
from kernels.lookup import UNARY_KINDS, unary_table
from npu.model.graph import Graph, Operator, Tensor
from npu.model.options import Activation, ElementwiseOptions, LeakyReluOptions, SoftmaxOptions
from npu.model.quant_params import activation_range, blamed_on, scale_and_zero_point
from npu.model.shape_rules import reduced_axes
from npu.speedup.image_builder import Constant, Place
from npu.speedup.image_copy import broadcast_parameters
from npu.speedup.image_writer import Parameters, Translation, Writer, refuse
from sim.soc.firmware.image_format import Kind

SOFTMAX_OUTPUT = (1 / 256, -128)
"""The scale and zero point that SOFTMAX always has, as in TFLM."""


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
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM"), _elementwise),
    "MEAN": _mean,
    "SUM": _mean,
    "SOFTMAX": _softmax,
    **dict.fromkeys(UNARY_KINDS, _unary),
}
