"""What operators that move data take from their inputs, in terms of strides."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernels.resize import interpolation, nearest_indices
from npu.compiler.terms.strided import Change
from npu.model.graph import Graph, Operator
from npu.model.options import AxisOptions, BlockOptions, ConcatenationOptions, ResizeOptions
from npu.model.shape_rules import constant_operand, operator_slices

Array = NDArray[np.int8]

RESIZE_KINDS = frozenset({"RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"})


def moved_input(op: Operator) -> int:
    """The position of the input that is moved."""
    return 1 if op.kind == "SPLIT" else 0


def taken(graph: Graph, op: Operator, number: int) -> Change:
    """How output `number` of an operator in `TAKING_KINDS` comes out of its input.

    Also a RESIZE_BILINEAR, if it has `nearest_steps`.

    The result has the output's elements in order, but may have more dimensions than it.
    """
    return _TAKING[op.kind](graph, op, number)


def joined(graph: Graph, op: Operator, number: int) -> Change:
    """Which part of the output of an operator in `JOINING_KINDS` input `number` becomes."""
    shape = graph.tensors[op.inputs[number]].shape
    if op.kind == "PACK":
        axis = op.options_as(AxisOptions).axis % (len(shape) + 1)
        return lambda array: array[(slice(None),) * axis + (number,)]
    axis = op.options_as(ConcatenationOptions).axis % len(shape)
    start = sum(graph.tensors[i].shape[axis] for i in op.inputs[:number])
    part = slice(start, start + shape[axis])
    return lambda array: array[(slice(None),) * axis + (part,)]


def _reshaped(graph: Graph, op: Operator, number: int) -> Change:
    return lambda array: array


def _transposed(graph: Graph, op: Operator, number: int) -> Change:
    order = [int(i) for i in constant_operand(graph, op, 1).reshape(-1)]
    return lambda array: array.transpose(order)


def _split(graph: Graph, op: Operator, number: int) -> Change:
    rank = len(graph.output_tensor(op).shape)
    axis = int(constant_operand(graph, op, 0 if op.kind == "SPLIT" else 2).item()) % rank
    sizes = [graph.tensors[i].shape[axis] for i in op.outputs]
    start = sum(sizes[:number])
    part = slice(start, start + sizes[number])
    return lambda array: array[(slice(None),) * axis + (part,)]


def _unpacked(graph: Graph, op: Operator, number: int) -> Change:
    rank = len(graph.tensors[op.inputs[0]].shape)
    axis = op.options_as(AxisOptions).axis % rank
    return lambda array: array[(slice(None),) * axis + (number,)]


def _sliced(graph: Graph, op: Operator, number: int) -> Change:
    slices = operator_slices(graph, op)

    def change(array: Array) -> Array:
        for axis, one in reversed(list(enumerate(slices))):
            last = one.start + (one.size - 1) * one.stride
            # the end behind the last element is before the first one when going backwards
            end = last + (1 if one.stride > 0 else -1)
            part = slice(one.start, end if end >= 0 else None, one.stride)
            index = one.start if one.dropped else part
            array = array[(slice(None),) * axis + (index,)]
        return array

    return change


def _space_to_depth(graph: Graph, op: Operator, number: int) -> Change:
    block = op.options_as(BlockOptions).block_size
    n, height, width, channels = graph.tensors[op.inputs[0]].shape

    def change(array: Array) -> Array:
        split = np.reshape(
            array, (n, height // block, block, width // block, block, channels), copy=False
        )
        return split.transpose(0, 1, 3, 2, 4, 5)

    return change


def _depth_to_space(graph: Graph, op: Operator, number: int) -> Change:
    block = op.options_as(BlockOptions).block_size
    n, height, width, channels = graph.tensors[op.inputs[0]].shape
    rest = channels // (block * block)

    def change(array: Array) -> Array:
        split = np.reshape(array, (n, height, width, block, block, rest), copy=False)
        return split.transpose(0, 1, 3, 2, 4, 5)

    return change


def _resized(graph: Graph, op: Operator, number: int) -> Change:
    n, channels = (graph.tensors[op.inputs[0]].shape[axis] for axis in (0, 3))
    steps = nearest_steps(graph, op)
    assert steps is not None
    (y0, dy, repeat_y), (x0, dx, repeat_x) = steps
    _, ofm_height, ofm_width, _ = graph.output_tensor(op).shape
    rows, columns = ofm_height // repeat_y, ofm_width // repeat_x

    def change(array: Array) -> Array:
        picked = array[:, y0 : y0 + rows * dy : dy, x0 : x0 + columns * dx : dx]
        return np.broadcast_to(
            picked[:, :, None, :, None], (n, rows, repeat_y, columns, repeat_x, channels)
        )

    return change


EvenSteps = tuple[int, int, int]
"""First input, distance of inputs, how often each is repeated."""


def nearest_steps(graph: Graph, op: Operator) -> tuple[EvenSteps, EvenSteps] | None:
    """Which rows and columns an operator of `RESIZE_KINDS` takes, if they are evenly spaced.

    None for a RESIZE_BILINEAR with outputs between two pixels.
    """
    rows, columns = (_even_steps(_taken_indices(graph, op, axis)) for axis in (1, 2))
    return None if rows is None or columns is None else (rows, columns)


def _taken_indices(graph: Graph, op: Operator, axis: int) -> NDArray[np.int64]:
    """The input row (or column) of each output row; -1 where it lies between two."""
    options = op.options_as(ResizeOptions)
    mode = options.align_corners, options.half_pixel_centers
    sizes = graph.tensors[op.inputs[0]].shape[axis], graph.output_tensor(op).shape[axis]
    if op.kind == "RESIZE_NEAREST_NEIGHBOR":
        return nearest_indices(*sizes, *mode)
    first, second, fraction = interpolation(*sizes, *mode)
    return np.where((first == second) | (fraction == 0), first, -1)


def _even_steps(indices: NDArray[np.int64]) -> EvenSteps | None:
    if (indices < 0).any():
        return None
    changes = np.flatnonzero(np.diff(indices))
    repeat = int(changes[0]) + 1 if changes.size else len(indices)
    if len(indices) % repeat:
        return None
    picked = indices[::repeat]
    distance = int(picked[1] - picked[0]) if len(picked) > 1 else 1
    expected = np.repeat(picked[0] + distance * np.arange(len(picked)), repeat)
    return (int(picked[0]), distance, repeat) if np.array_equal(indices, expected) else None


_TAKING: dict[str, Callable[[Graph, Operator, int], Change]] = {
    "RESHAPE": _reshaped,
    "SQUEEZE": _reshaped,
    "EXPAND_DIMS": _reshaped,
    "TRANSPOSE": _transposed,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "UNPACK": _unpacked,
    "SLICE": _sliced,
    "STRIDED_SLICE": _sliced,
    "SPACE_TO_DEPTH": _space_to_depth,
    "DEPTH_TO_SPACE": _depth_to_space,
    **dict.fromkeys(sorted(RESIZE_KINDS), _resized),
}

TAKING_KINDS = frozenset(_TAKING) - {"RESIZE_BILINEAR"}
"""Operators whose outputs are elements of one input in another order, whatever their options."""

JOINING_KINDS = frozenset({"CONCATENATION", "PACK"})
"""Operators whose output consists of their inputs."""

MOVING_KINDS = TAKING_KINDS | JOINING_KINDS
