"""Pooling, MEAN, SUM and PAD, prepared for one shape of int8.

The inner loops are those of `average_pool2d`, `max_pool2d`, `mean` and `pad`,
and so are arguments and checks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    WindowPlacement,
    check_activation,
    check_multiplier,
    check_pair,
    check_placement,
    check_rounding,
    check_zero_point,
)
from kernels.jit import internal
from kernels.pooling import average_windows, maximum_windows
from kernels.prepared.image import copy_elements
from kernels.prepared.sequence import PreparedKernel
from kernels.prepared.step import new_step
from kernels.quantization import (
    INT8_MAX,
    INT8_MIN,
    resolve_axes,
)
from kernels.reduce import adjacent_groups, mean_groups
from kernels.requantize import Rounding

MAX_PAD_RANK = 4


def prepare_pool2d(
    ifm_shape: tuple[int, ...],
    *,
    average: bool,
    window: Pair,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    activation_min: int,
    activation_max: int,
) -> PreparedKernel:
    """AVERAGE_POOL_2D or MAX_POOL_2D of IFMs (N, H, W, C)."""
    window = check_pair("window", window, 1)
    placement = check_placement(
        (ifm_shape[1], ifm_shape[2]), window, stride, (1, 1), padding, ofm_hw
    )
    low, high = check_activation(activation_min, activation_max)
    step = new_step(
        batches=ifm_shape[0],
        ifm_height=ifm_shape[1],
        ifm_width=ifm_shape[2],
        ifm_channels=ifm_shape[3],
        ofm_height=placement.ofm_hw[0],
        ofm_width=placement.ofm_hw[1],
        stride_height=placement.stride[0],
        stride_width=placement.stride[1],
        pad_top=placement.padding[0],
        pad_left=placement.padding[1],
        window_height=window[0],
        window_width=window[1],
        low=low,
        high=high,
    )
    ofm_shape = ifm_shape[0], *placement.ofm_hw, ifm_shape[3]
    return PreparedKernel(step, ifm_shape, ofm_shape, run_average if average else run_maximum)


@internal
def _windows(
    step: Any, arena: NDArray[np.int8]
) -> tuple[NDArray[np.int8], Pair, WindowPlacement, Pair, NDArray[np.int8]]:
    """What the inner loops of pooling take."""
    depth = step["ifm_channels"]
    given = step["batches"], step["ifm_height"], step["ifm_width"], depth
    made = step["batches"], step["ofm_height"], step["ofm_width"], depth
    source = arena[step["ifm"] : step["ifm"] + given[0] * given[1] * given[2] * depth].reshape(
        given
    )
    target = arena[step["ofm"] : step["ofm"] + made[0] * made[1] * made[2] * depth].reshape(made)
    placement = WindowPlacement(
        (step["stride_height"], step["stride_width"]),
        (1, 1),
        (step["pad_top"], step["pad_left"]),
        (step["ofm_height"], step["ofm_width"]),
    )
    window, activation = (step["window_height"], step["window_width"]), (step["low"], step["high"])
    return source, window, placement, activation, target


@internal
def run_average(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    source, window, placement, activation, target = _windows(all_steps[number], arena)
    average_windows(source, window, placement, activation, target)


@internal
def run_maximum(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    source, window, placement, activation, target = _windows(all_steps[number], arena)
    maximum_windows(source, window, placement, activation, target)


def prepare_mean(
    ifm_shape: tuple[int, ...],
    axes: Sequence[int],
    *,
    keep_dims: bool,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> PreparedKernel | None:
    """MEAN or SUM, by their multiplier; None when `axes` do not lie side by side."""
    reduced = resolve_axes(axes, len(ifm_shape))
    groups = adjacent_groups(ifm_shape, reduced)
    if groups is None:
        return None
    multiplier, shift = check_multiplier(multiplier, shift)
    step = new_step(
        batches=groups[0],
        steps=groups[1],
        ifm_channels=groups[2],
        ifm_zero_point=check_zero_point("ifm_zero_point", ifm_zero_point),
        ofm_zero_point=check_zero_point("ofm_zero_point", ofm_zero_point),
        multiplier=multiplier,
        shift=shift,
        rounding=check_rounding(rounding),
    )
    ofm_shape = tuple(
        1 if axis in reduced else n
        for axis, n in enumerate(ifm_shape)
        if keep_dims or axis not in reduced
    )
    return PreparedKernel(step, ifm_shape, ofm_shape, run_mean)


@internal
def run_mean(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    step = all_steps[number]
    outer, count, inner = step["batches"], step["steps"], step["ifm_channels"]
    grouped = arena[step["ifm"] : step["ifm"] + outer * count * inner]
    mean_groups(
        grouped.reshape((outer, count, inner)),
        step["ifm_zero_point"],
        step["ofm_zero_point"],
        step["multiplier"],
        step["shift"],
        step["rounding"],
        INT8_MIN,
        INT8_MAX,
        arena[step["ofm"] : step["ofm"] + outer * inner].reshape((outer, inner)),
    )


def prepare_pad(
    ifm_shape: tuple[int, ...], paddings: Sequence[Pair], *, value: int
) -> PreparedKernel | None:
    """PAD; None for more than MAX_PAD_RANK dimensions."""
    value = check_zero_point("pad value", value)
    rank = len(ifm_shape)
    if len(paddings) != rank:
        raise ValueError(
            f"paddings are {len(paddings)} pairs; allowed is one per dimension: {rank}"
        )
    pairs = [check_pair("padding", pair, 0) for pair in paddings]
    if rank > MAX_PAD_RANK:
        return None
    missing = MAX_PAD_RANK - rank
    shape = (1,) * missing + ifm_shape
    ends = [(0, 0)] * missing + pairs
    geometry = np.array([(n, *pair) for n, pair in zip(shape, ends, strict=True)], np.int32)
    ofm_shape = tuple(n + sum(pair) for n, pair in zip(ifm_shape, pairs, strict=True))
    step = new_step(ofm_zero_point=value)
    flat = geometry.reshape(-1)
    return PreparedKernel(step, ifm_shape, ofm_shape, run_pad, offsets=flat)


@internal
def run_pad(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    step = all_steps[number]
    geometry = offsets[step["offsets"] : step["offsets"] + 3 * MAX_PAD_RANK]
    n, height, width, depth = geometry[0], geometry[3], geometry[6], geometry[9]
    rows = height + geometry[4] + geometry[5]
    columns = width + geometry[7] + geometry[8]
    line = depth + geometry[10] + geometry[11]
    total = (n + geometry[1] + geometry[2]) * rows * columns * line
    target = arena[step["ofm"] : step["ofm"] + total]
    target[:] = step["ofm_zero_point"]
    # without padding between its pixels a row is copied in one piece
    pieces, length = (1, width * depth) if line == depth else (width, depth)
    for batch in range(n):
        for y in range(height):
            source = step["ifm"] + (batch * height + y) * width * depth
            row = (batch + geometry[1]) * rows + y + geometry[4]
            begin = (row * columns + geometry[7]) * line + geometry[10]
            for piece in range(pieces):
                first, place = source + piece * depth, begin + piece * line
                copy_elements(arena[first : first + length], target[place : place + length])
