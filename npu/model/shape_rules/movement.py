"""Output shapes of operators that move data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.data_movement import AxisSlice, axis_slices
from npu.model.graph import Graph, Operator
from npu.model.options import AxisOptions, BlockOptions, ConcatenationOptions, StridedSliceOptions
from npu.model.shape_rules.common import Shape, constant_operand, input_tensor, operator_error


def pad(graph: Graph, op: Operator) -> Shape:
    """PAD, PADV2 and MIRROR_PAD."""
    x, amounts = input_tensor(graph, op, 0), constant_operand(graph, op, 1)
    if amounts.shape != (len(x.shape), 2) or np.any(amounts < 0):
        raise operator_error(
            op, f"paddings {amounts.tolist()} for an input of shape {list(x.shape)}"
        )
    return tuple(
        n + int(before) + int(after) for n, (before, after) in zip(x.shape, amounts, strict=True)
    )


def same_size(graph: Graph, op: Operator) -> Shape:
    """RESHAPE and its like: the output says its shape."""
    x, given = input_tensor(graph, op, 0), graph.output_tensor(op)
    if given.size != x.size:
        raise operator_error(op, f"{list(x.shape)} cannot become {list(given.shape)}: sizes differ")
    return given.shape


def shape_of(graph: Graph, op: Operator) -> Shape:
    """SHAPE: an extent for each dimension."""
    return (len(input_tensor(graph, op, 0).shape),)


def rank_of(graph: Graph, op: Operator) -> Shape:
    """RANK: one number."""
    return ()


def transpose(graph: Graph, op: Operator) -> Shape:
    """TRANSPOSE."""
    x = input_tensor(graph, op, 0)
    order = [int(i) for i in constant_operand(graph, op, 1).reshape(-1)]
    if sorted(order) != list(range(len(x.shape))):
        raise operator_error(
            op, f"{order} is not a permutation of the {len(x.shape)} dimensions of {x.name!r}"
        )
    return tuple(x.shape[i] for i in order)


def concatenation(graph: Graph, op: Operator) -> Shape:
    """CONCATENATION."""
    shapes = [input_tensor(graph, op, i).shape for i in range(len(op.inputs))]
    axis, first = op.options_as(ConcatenationOptions).axis, shapes[0]
    if not -len(first) <= axis < len(first):
        raise operator_error(op, f"axis {axis} of inputs of rank {len(first)}")
    axis %= len(first)
    if any(s[:axis] != first[:axis] or s[axis + 1 :] != first[axis + 1 :] for s in shapes):
        raise operator_error(
            op, f"shapes {[list(s) for s in shapes]} do not join along axis {axis}"
        )
    return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])


def split(graph: Graph, op: Operator) -> list[Shape]:
    """SPLIT: equal parts along the axis in input 0."""
    return _parts(graph, op, 1, 0, [0] * len(op.outputs))


def split_v(graph: Graph, op: Operator) -> list[Shape]:
    """SPLIT_V: parts of the sizes in input 1 along the axis in input 2."""
    return _parts(graph, op, 0, 2, _integers(constant_operand(graph, op, 1)))


def _parts(graph: Graph, op: Operator, x: int, axis: int, sizes: list[int]) -> list[Shape]:
    shape = input_tensor(graph, op, x).shape
    which = _axis(op, _integers(constant_operand(graph, op, axis)), len(shape))
    if not any(sizes):
        sizes = [shape[which] // len(sizes)] * len(sizes)
    if sizes.count(-1) == 1:
        rest = shape[which] - sum(n for n in sizes if n >= 0)
        sizes = [rest if n == -1 else n for n in sizes]
    if min(sizes) < 1 or sum(sizes) != shape[which]:
        raise operator_error(op, f"{shape[which]} values along axis {which} in parts of {sizes}")
    return [(*shape[:which], n, *shape[which + 1 :]) for n in sizes]


def unpack(graph: Graph, op: Operator) -> list[Shape]:
    """UNPACK."""
    shape = input_tensor(graph, op, 0).shape
    axis = _axis(op, [op.options_as(AxisOptions).axis], len(shape))
    if len(op.outputs) != shape[axis]:
        raise operator_error(
            op, f"{shape[axis]} values along axis {axis} to {len(op.outputs)} outputs"
        )
    return [(*shape[:axis], *shape[axis + 1 :])] * shape[axis]


def pack(graph: Graph, op: Operator) -> Shape:
    """PACK."""
    shapes = [input_tensor(graph, op, i).shape for i in range(len(op.inputs))]
    if len(set(shapes)) != 1:
        raise operator_error(op, f"shapes {[list(s) for s in shapes]} differ")
    axis = _axis(op, [op.options_as(AxisOptions).axis], len(shapes[0]) + 1)
    return (*shapes[0][:axis], len(shapes), *shapes[0][axis:])


def gather(graph: Graph, op: Operator) -> Shape:
    """GATHER."""
    shape, indices = input_tensor(graph, op, 0).shape, input_tensor(graph, op, 1).shape
    axis = _axis(op, [op.options_as(AxisOptions).axis], len(shape))
    return (*shape[:axis], *indices, *shape[axis + 1 :])


def operator_slices(graph: Graph, op: Operator) -> list[AxisSlice]:
    """What a STRIDED_SLICE or SLICE takes of each dimension of its input.

    Raises `ModelError` for slices that its input does not have.
    """
    shape = input_tensor(graph, op, 0).shape
    begin, second = (_integers(constant_operand(graph, op, i)) for i in (1, 2))
    if op.kind == "SLICE":
        if len(begin) != len(shape) or len(second) != len(shape):
            raise operator_error(
                op, f"{len(begin)} begins and {len(second)} sizes for {list(shape)}"
            )
        last = [n if s == -1 else b + s for n, b, s in zip(shape, begin, second, strict=True)]
        if any(not 0 <= b < e <= n for n, b, e in zip(shape, begin, last, strict=True)):
            raise operator_error(op, f"a slice from {begin} of size {second} of {list(shape)}")
        return [AxisSlice(b, e - b, 1, False) for b, e in zip(begin, last, strict=True)]
    options = op.options_as(StridedSliceOptions)
    try:
        return axis_slices(
            shape,
            begin,
            second,
            _integers(constant_operand(graph, op, 3)),
            begin_mask=options.begin_mask,
            end_mask=options.end_mask,
            shrink_axis_mask=options.shrink_axis_mask,
        )
    except ValueError as error:
        raise operator_error(op, str(error)) from None


def sliced(graph: Graph, op: Operator) -> Shape:
    """STRIDED_SLICE and SLICE."""
    return tuple(one.size for one in operator_slices(graph, op) if not one.dropped)


def resize(graph: Graph, op: Operator) -> Shape:
    """RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""
    x, size = input_tensor(graph, op, 0, 4), constant_operand(graph, op, 1)
    if size.shape != (2,) or np.any(size < 1):
        raise operator_error(op, f"output size is {size.tolist()}, two positive numbers expected")
    return (x.shape[0], int(size[0]), int(size[1]), x.shape[3])


def space_to_depth(graph: Graph, op: Operator) -> Shape:
    """SPACE_TO_DEPTH."""
    block = op.options_as(BlockOptions).block_size
    batches, height, width, channels = input_tensor(graph, op, 0, 4).shape
    if height % block or width % block:
        raise operator_error(op, f"{height} x {width} pixels in blocks of {block} x {block}")
    return batches, height // block, width // block, channels * block * block


def depth_to_space(graph: Graph, op: Operator) -> Shape:
    """DEPTH_TO_SPACE."""
    block = op.options_as(BlockOptions).block_size
    batches, height, width, channels = input_tensor(graph, op, 0, 4).shape
    if channels % (block * block):
        raise operator_error(op, f"{channels} channels to blocks of {block} x {block}")
    return batches, height * block, width * block, channels // (block * block)


def broadcast_to(graph: Graph, op: Operator) -> Shape:
    """BROADCAST_TO."""
    x, size = input_tensor(graph, op, 0).shape, _integers(constant_operand(graph, op, 1))
    shape = tuple(size)
    if any(n < 1 for n in shape):
        raise operator_error(op, f"output shape is {size}, positive numbers expected")
    try:
        fits = np.broadcast_shapes(x, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise operator_error(op, f"{list(x)} does not broadcast to {size}")
    return shape


def _integers(array: NDArray[Any]) -> list[int]:
    return [int(n) for n in array.reshape(-1)]


def _axis(op: Operator, given: list[int], rank: int) -> int:
    if len(given) != 1 or not -rank <= given[0] < rank:
        raise operator_error(op, f"axis is {given}, one from {-rank} to {rank - 1} expected")
    return given[0] % rank
