"""Operators of a network as operators of the image: those that move bytes become COPY and FILL."""

from collections.abc import Iterator
from itertools import accumulate

import numpy as np

from npu.model.graph import Operator
from npu.model.options import Activation, AxisOptions, BlockOptions, ConcatenationOptions
from npu.model.quant_params import scale_and_zero_point
from npu.model.shape_rules import constant_operand, operator_slices
from npu.speedup.image_copy import Array, copy_parameters, moved, offset_in, stand_in
from npu.speedup.image_writer import Translation, Writer, refuse
from sim.soc.firmware.image_format import Kind

Views = Iterator[tuple[int, Array, int, Array]]
"""(Input position, a view of that input's stand-in, output position, a view of the output's.)"""


class _Views:
    """The stand-ins of an operator's tensors, and what it copies between views of them."""

    def __init__(self, w: Writer, op: Operator) -> None:
        self.graph, self.op = w.graph, op
        shapes = [w.graph.tensors[i].shape for i in op.inputs]
        self.inputs = [stand_in(shape) for shape in shapes]
        self.outputs = [stand_in(w.graph.tensors[i].shape) for i in op.outputs]

    def reshape(self) -> Views:
        yield 0, self.inputs[0].reshape(-1), 0, self.outputs[0].reshape(-1)

    def transpose(self) -> Views:
        order = [int(i) for i in constant_operand(self.graph, self.op, 1).reshape(-1)]
        yield 0, self.inputs[0].transpose(order), 0, self.outputs[0]

    def concatenation(self) -> Views:
        axis = self.op.options_as(ConcatenationOptions).axis % self.outputs[0].ndim
        sizes = [source.shape[axis] for source in self.inputs]
        for position, part in enumerate(_parts(self.outputs[0], axis, sizes)):
            yield position, self.inputs[position], 0, part

    def split(self) -> Views:
        value, which = (1, 0) if self.op.kind == "SPLIT" else (0, 2)
        source = self.inputs[value]
        axis = int(constant_operand(self.graph, self.op, which).item()) % source.ndim
        sizes = [target.shape[axis] for target in self.outputs]
        for position, part in enumerate(_parts(source, axis, sizes)):
            yield value, part, position, self.outputs[position]

    def pack(self) -> Views:
        axis = self.op.options_as(AxisOptions).axis % self.outputs[0].ndim
        target = np.moveaxis(self.outputs[0], axis, 0)
        for position, source in enumerate(self.inputs):
            yield position, source, 0, target[position, ...]

    def unpack(self) -> Views:
        axis = self.op.options_as(AxisOptions).axis % self.inputs[0].ndim
        source = np.moveaxis(self.inputs[0], axis, 0)
        for position, target in enumerate(self.outputs):
            yield 0, source[position, ...], position, target

    def sliced(self) -> Views:
        taken: list[slice | int] = []
        for one in operator_slices(self.graph, self.op):
            end = one.start + one.size * one.stride
            # a negative end would count from the last
            whole = slice(one.start, end if end >= 0 else None, one.stride)
            taken.append(one.start if one.dropped else whole)
        yield 0, self.inputs[0][tuple(taken)], 0, self.outputs[0]

    def broadcast(self) -> Views:
        yield 0, np.broadcast_to(self.inputs[0], self.outputs[0].shape), 0, self.outputs[0]

    def pad(self) -> Views:
        amounts = constant_operand(self.graph, self.op, 1)
        source = self.inputs[0]
        inside = tuple(
            slice(int(before), int(before) + n)
            for n, (before, _) in zip(source.shape, amounts, strict=True)
        )
        yield 0, source, 0, self.outputs[0][inside]

    def space_to_depth(self) -> Views:
        blocks, pixels = self._blocks(self.inputs[0], self.outputs[0])
        yield 0, blocks, 0, pixels

    def depth_to_space(self) -> Views:
        blocks, pixels = self._blocks(self.outputs[0], self.inputs[0])
        yield 0, pixels, 0, blocks

    def _blocks(self, space: Array, depth: Array) -> tuple[Array, Array]:
        size = self.op.options_as(BlockOptions).block_size
        batches, height, width, _ = depth.shape
        channels = space.shape[3]
        blocks = space.reshape(batches, height, size, width, size, channels)
        pixels = depth.reshape(batches, height, width, size, size, channels)
        return blocks.transpose(0, 1, 3, 2, 4, 5), pixels


def _parts(whole: Array, axis: int, sizes: list[int]) -> list[Array]:
    return np.split(whole, list(accumulate(sizes))[:-1], axis)


def _move(w: Writer, op: Operator) -> None:
    if w.graph.tensors[op.outputs[0]].dtype != np.int8:
        raise refuse(op, f"its output is {w.graph.tensors[op.outputs[0]].dtype.name}, not int8")
    views = _Views(w, op)
    for position, source, output, target in getattr(views, _METHODS[op.kind])():
        start = moved(w.operand(op, position), offset_in(source, views.inputs[position]))
        end = moved(w.place(op.outputs[output]), offset_in(target, views.outputs[output]))
        try:
            parameters = copy_parameters(start, source, end, target)
        except ValueError as error:
            raise refuse(op, str(error)) from None
        w.add(op, Kind.COPY, parameters)


def _concatenation(w: Writer, op: Operator) -> None:
    ofm = scale_and_zero_point(w.graph.output_tensor(op))
    if op.options_as(ConcatenationOptions).activation is not Activation.NONE:
        raise refuse(op, "it has a fused activation")
    if any(scale_and_zero_point(w.graph.tensors[i]) != ofm for i in op.inputs):
        raise refuse(op, "an input has another scale or zero point than its output")
    _move(w, op)


def _pad(w: Writer, op: Operator) -> None:
    ofm = w.graph.output_tensor(op)
    value = scale_and_zero_point(ofm)[1]
    if op.kind == "PADV2":
        value = int(constant_operand(w.graph, op, 2).item())
    place = w.place(ofm.index)
    w.add(op, Kind.FILL, {"output": place, "bytes": ofm.size, "value": value})
    _move(w, op)


_METHODS = {
    "RESHAPE": "reshape",
    "SQUEEZE": "reshape",
    "EXPAND_DIMS": "reshape",
    "TRANSPOSE": "transpose",
    "CONCATENATION": "concatenation",
    "SPLIT": "split",
    "SPLIT_V": "split",
    "PACK": "pack",
    "UNPACK": "unpack",
    "SLICE": "sliced",
    "STRIDED_SLICE": "sliced",
    "BROADCAST_TO": "broadcast",
    "PAD": "pad",
    "PADV2": "pad",
    "SPACE_TO_DEPTH": "space_to_depth",
    "DEPTH_TO_SPACE": "depth_to_space",
}

TRANSLATIONS: dict[str, Translation] = {
    **dict.fromkeys(_METHODS, _move),
    "CONCATENATION": _concatenation,
    "PAD": _pad,
    "PADV2": _pad,
}
