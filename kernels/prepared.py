"""Elementwise operators, pooling, reductions and padding, prepared for one shape of int8.

The same inner loops as those of the functions `add`, `average_pool2d`, `mean` and so on, whose
arguments these functions take and check as they do.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    OutputStage,
    Pair,
    Placement,
    check_activation,
    check_array,
    check_multiplier,
    check_pair,
    check_placement,
    check_rounding,
    check_zero_point,
)
from kernels.elementwise import add_by_table, rescale_table
from kernels.image import copy_elements
from kernels.lookup import look_up
from kernels.panels import OUTPUT_ROWS, output_rows
from kernels.pooling import average_windows, maximum_windows
from kernels.quantization import (
    ADD_LEFT_SHIFT,
    INT8_MAX,
    INT8_MIN,
    AddParameters,
    SoftmaxParameters,
    resolve_axes,
)
from kernels.reduce import adjacent_groups, mean_groups
from kernels.requantize import Rounding
from kernels.softmax import MAX_ROW, exponential_table, softmax_rows
from kernels.step import Kind, Prepared, new_step
from kernels.sum_tile import LANES, sum_tile

MAX_PAD_RANK = 4


def prepare_sum(
    shape: tuple[int, ...],
    *,
    sign: int,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> Prepared:
    """ADD (`sign` 1) or SUB (-1) of two operands of one `shape`."""
    mode = check_rounding(rounding)
    low, high = check_activation(activation_min, activation_max)
    p = parameters
    zero_points = np.array(
        [
            check_zero_point("a_zero_point", a_zero_point),
            check_zero_point("b_zero_point", b_zero_point),
            0,
        ]
    )
    multipliers = [
        check_multiplier(*scale)
        for scale in (
            (p.multiplier_a, p.shift_a),
            (p.multiplier_b, p.shift_b),
            (p.multiplier, p.shift),
        )
    ]
    multiplier, shift = np.array(multipliers, np.int32).T
    stage = OutputStage(0, multiplier, shift, low, high, mode)
    stages = output_rows((-zero_points << ADD_LEFT_SHIFT).astype(np.int32), stage).T
    table_a, table_b = (
        rescale_table(int(zero_points[i]), *multipliers[i], ADD_LEFT_SHIFT, mode) for i in range(2)
    )
    step = new_step(
        Kind.SUM,
        block=prod(shape),
        multiplier=multipliers[2][0],
        shift=multipliers[2][1],
        rounding=mode,
        sign=0 if sign > 0 else -1,
        ofm_zero_point=check_zero_point("ofm_zero_point", ofm_zero_point),
        low=low,
        high=high,
    )
    tables = np.concatenate([stages.reshape(-1), table_a, sign * table_b])
    return Prepared(step, shape, shape, run_sum, channels=tables)


@njit(cache=True, nogil=True)
def run_sum(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    ifm: NDArray[np.int8],
    second: NDArray[np.int8],
    ofm: NDArray[np.int8],
) -> None:
    """What `Prepared` calls."""
    step = all_steps[number]
    stages = step["channels"]
    a, b, place = step["ifm"], step["second"], step["ofm"]
    zero_point, low, high = step["ofm_zero_point"], step["low"], step["high"]
    size = step["block"]
    vectors = size // LANES
    if vectors > 0:
        sum_tile(
            channels,
            stages,
            ifm,
            a,
            second,
            b,
            ofm,
            place,
            vectors,
            step["sign"],
            zero_point,
            low,
            high,
        )
    # what no vector holds, one by one
    done = vectors * LANES
    tables = stages + 3 * OUTPUT_ROWS
    add_by_table(
        ifm[a + done : a + size],
        second[b + done : b + size],
        channels[tables : tables + 256],
        channels[tables + 256 : tables + 512],
        step["multiplier"],
        step["shift"],
        step["rounding"],
        zero_point,
        low,
        high,
        ofm[place + done : place + size],
    )


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
) -> Prepared:
    """AVERAGE_POOL_2D or MAX_POOL_2D of IFMs (N, H, W, C)."""
    window = check_pair("window", window, 1)
    placement = check_placement(
        (ifm_shape[1], ifm_shape[2]), window, stride, (1, 1), padding, ofm_hw
    )
    low, high = check_activation(activation_min, activation_max)
    step = new_step(
        Kind.AVERAGE_POOL_2D if average else Kind.MAX_POOL_2D,
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
    return Prepared(step, ifm_shape, ofm_shape, run_pool2d)


@njit(cache=True, nogil=True)
def run_pool2d(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    ifm: NDArray[np.int8],
    second: NDArray[np.int8],
    ofm: NDArray[np.int8],
) -> None:
    """What `Prepared` calls."""
    step = all_steps[number]
    depth = step["ifm_channels"]
    given = step["batches"], step["ifm_height"], step["ifm_width"], depth
    made = step["batches"], step["ofm_height"], step["ofm_width"], depth
    source = ifm[step["ifm"] : step["ifm"] + given[0] * given[1] * given[2] * depth].reshape(given)
    target = ofm[step["ofm"] : step["ofm"] + made[0] * made[1] * made[2] * depth].reshape(made)
    window = step["window_height"], step["window_width"]
    placement = Placement(
        (step["stride_height"], step["stride_width"]),
        (1, 1),
        (step["pad_top"], step["pad_left"]),
        (step["ofm_height"], step["ofm_width"]),
    )
    activation = step["low"], step["high"]
    if step["kind"] == AVERAGE:
        average_windows(source, window, placement, activation, target)
    else:
        maximum_windows(source, window, placement, activation, target)


AVERAGE = int(Kind.AVERAGE_POOL_2D)


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
) -> Prepared | None:
    """MEAN or SUM, by their multiplier; None when `axes` do not lie side by side."""
    reduced = resolve_axes(axes, len(ifm_shape))
    groups = adjacent_groups(ifm_shape, reduced)
    if groups is None:
        return None
    multiplier, shift = check_multiplier(multiplier, shift)
    step = new_step(
        Kind.MEAN,
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
    return Prepared(step, ifm_shape, ofm_shape, run_mean)


@njit(cache=True, nogil=True)
def run_mean(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    ifm: NDArray[np.int8],
    second: NDArray[np.int8],
    ofm: NDArray[np.int8],
) -> None:
    """What `Prepared` calls."""
    step = all_steps[number]
    outer, count, inner = step["batches"], step["steps"], step["ifm_channels"]
    grouped = ifm[step["ifm"] : step["ifm"] + outer * count * inner]
    mean_groups(
        grouped.reshape((outer, count, inner)),
        step["ifm_zero_point"],
        step["ofm_zero_point"],
        step["multiplier"],
        step["shift"],
        step["rounding"],
        INT8_MIN,
        INT8_MAX,
        ofm[step["ofm"] : step["ofm"] + outer * inner].reshape((outer, inner)),
    )


def prepare_pad(
    ifm_shape: tuple[int, ...], paddings: Sequence[Pair], *, value: int
) -> Prepared | None:
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
    step = new_step(Kind.PAD, ofm_zero_point=value)
    flat = geometry.reshape(-1)
    return Prepared(step, ifm_shape, ofm_shape, run_pad, offsets=flat)


@njit(cache=True, nogil=True)
def run_pad(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    ifm: NDArray[np.int8],
    second: NDArray[np.int8],
    ofm: NDArray[np.int8],
) -> None:
    """What `Prepared` calls."""
    step = all_steps[number]
    geometry = offsets[step["offsets"] : step["offsets"] + 3 * MAX_PAD_RANK]
    n, height, width, depth = geometry[0], geometry[3], geometry[6], geometry[9]
    rows = height + geometry[4] + geometry[5]
    columns = width + geometry[7] + geometry[8]
    line = depth + geometry[10] + geometry[11]
    total = (n + geometry[1] + geometry[2]) * rows * columns * line
    target = ofm[step["ofm"] : step["ofm"] + total]
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
                copy_elements(ifm[first : first + length], target[place : place + length])


def prepare_softmax(ifm_shape: tuple[int, ...], *, parameters: SoftmaxParameters) -> Prepared:
    """SOFTMAX to int8."""
    length = ifm_shape[-1] if ifm_shape else 1
    if length > MAX_ROW:
        raise ValueError(f"ifm has rows of {length} values; allowed is at most {MAX_ROW}")
    p = parameters
    table = exponential_table(p.multiplier, p.shift, p.diff_min).astype(np.int32)
    step = new_step(
        Kind.SOFTMAX, batches=prod(ifm_shape) // length, ifm_channels=length, low=p.diff_min
    )
    return Prepared(step, ifm_shape, ifm_shape, run_softmax, channels=table)


@njit(cache=True, nogil=True)
def run_softmax(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    ifm: NDArray[np.int8],
    second: NDArray[np.int8],
    ofm: NDArray[np.int8],
) -> None:
    """What `Prepared` calls."""
    step = all_steps[number]
    shape = step["batches"], step["ifm_channels"]
    size = shape[0] * shape[1]
    softmax_rows(
        ifm[step["ifm"] : step["ifm"] + size].reshape(shape),
        channels[step["channels"] : step["channels"] + 256],
        step["low"],
        8,
        ofm[step["ofm"] : step["ofm"] + size].reshape(shape),
    )


def prepare_table(shape: tuple[int, ...], table: NDArray[np.int8]) -> Prepared:
    """A function of one value, by its `table` (256,) from `kernels.lookup.unary_table`."""
    check_array("table", table, np.int8, 1)
    if table.size != 256:
        raise ValueError(f"table has {table.size} entries; allowed is 256")
    step = new_step(Kind.TABLE, block=prod(shape))
    entries = table.astype(np.int32)
    return Prepared(step, shape, shape, run_table, channels=entries)


@njit(cache=True, nogil=True)
def run_table(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    ifm: NDArray[np.int8],
    second: NDArray[np.int8],
    ofm: NDArray[np.int8],
) -> None:
    """What `Prepared` calls."""
    step = all_steps[number]
    size = step["block"]
    look_up(
        ifm[step["ifm"] : step["ifm"] + size],
        channels[step["channels"] : step["channels"] + 256],
        ofm[step["ofm"] : step["ofm"] + size],
    )
