"""CONV_2D, int8, per-channel or per-tensor weights, grouped or not.

A matrix product straight on the IFM, or on a padded copy of a band of it: tiles of output pixels
and channels go through the taps in steps of what one instruction multiplies, each step at its own
offset from a pixel's window, so there is no im2col. Taps that lie next to each other in the image
share steps. The zero point of the IFM is folded into the bias: padding holds the zero point, so
`sum((x - zp) * w) = sum(x * w) - zp * sum(w)` holds at the borders as well.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    WindowPlacement,
    check_array,
    check_bias,
    check_channels,
    check_placement,
    check_zero_point,
)
from kernels.jit import internal
from kernels.output_stage import OutputStage, check_output_stage
from kernels.prepared.image import fill_image, plan_image
from kernels.prepared.instruction_sets import SINGLE, InstructionSet, default
from kernels.prepared.panels import OUTPUT_ROWS, folded_bias, output_rows, pack_matrix, widths
from kernels.prepared.sequence import PreparedKernel
from kernels.prepared.step import new_step
from kernels.prepared.tiles import Tile, matrix_tile

# a tile of channels: its form, that form's pixels, the first channel of its IFM, channels packed
# before it, its first channel, and how many it has
TILE = 6


def prepare_conv2d(
    ifm_shape: tuple[int, ...],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    ofm_hw: Pair,
    ifm_zero_point: int,
    stage: OutputStage,
    isa: InstructionSet | None = None,
) -> PreparedKernel:
    """`kernels.conv.conv2d` for all IFMs of `ifm_shape`, with the weights packed for `isa`.

    Raises as that does.
    """
    check_array("weights", weights, np.int8, 4)
    channels, kernel_h, kernel_w, group_channels = weights.shape
    groups = check_channels(ifm_shape[3], channels, group_channels)
    bias, stage = check_bias(bias, channels), check_output_stage(stage, channels)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    kernel = kernel_h, kernel_w
    placement = check_placement(
        (ifm_shape[1], ifm_shape[2]), kernel, stride, dilation, padding, ofm_hw
    )
    return matrix_product(
        isa or default(), ifm_shape, weights, bias, placement, groups, ifm_zero_point, stage
    )


def matrix_product(
    isa: InstructionSet,
    ifm_shape: tuple[int, ...],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    placement: WindowPlacement,
    groups: int,
    ifm_zero_point: int,
    stage: OutputStage,
) -> PreparedKernel:
    """What `prepare_conv2d` prepares, from checked arguments."""
    channels, kernel_h, kernel_w, group_channels = weights.shape
    # neighbouring taps are one run where nothing lies between them in the image
    joined = kernel_w if placement.dilation[1] == 1 and groups == 1 else 1
    length = joined * group_channels
    padded = -(-length // isa.taps) * isa.taps
    image = plan_image(
        isa,
        ifm_shape,
        (kernel_h, kernel_w),
        placement,
        reach=padded - length,
        exact=padded == length,
    )
    steps = [
        y * placement.dilation[0] * image.pitch + x * placement.dilation[1] * ifm_shape[3] + i
        for y in range(kernel_h)
        for x in range(0, kernel_w, joined)
        for i in range(0, length, isa.taps)
    ]
    runs = np.zeros((channels, kernel_h * kernel_w // joined, padded), np.int8)
    runs[..., :length] = weights.reshape(channels, -1, length)
    matrix = runs.reshape(channels, -1)
    rows = output_rows(folded_bias(bias, matrix, ifm_zero_point, isa), stage)
    panels, stages, tiles = _pack_groups(isa, matrix, rows, groups, group_channels)
    step = new_step(
        packed=1,
        **image.fields,
        ofm_channels=channels,
        steps=len(steps),
        tiles=len(tiles),
        taps=isa.taps,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=stage.zero_point,
        low=stage.low,
        high=stage.high,
    )
    return PreparedKernel(
        step,
        ifm_shape,
        (ifm_shape[0], *placement.ofm_hw, channels),
        run_conv2d,
        np.concatenate([np.array(steps, np.int32), image.origins, tiles.reshape(-1)]),
        stages,
        isa,
        panels,
        image.size,
    )


def _pack_groups(
    isa: InstructionSet,
    matrix: NDArray[np.int8],
    rows: NDArray[np.int32],
    groups: int,
    group_channels: int,
) -> tuple[NDArray[Any], NDArray[np.int32], NDArray[np.int32]]:
    """(Panels, output stages, tiles as rows of `TILE`) of `matrix` (channels, taps)."""
    outputs = len(matrix) // groups
    panels, stages, tiles = [], [], []
    packed = 0
    for group in range(groups):
        own = slice(group * outputs, (group + 1) * outputs)
        panel, stage = pack_matrix(isa, matrix[own], rows[:, own])
        panels.append(panel)
        stages.append(stage)
        done = 0
        for width in widths(isa, outputs):
            form = [vectors * isa.lanes for _, vectors in isa.forms].index(width)
            base = group * group_channels
            valid = min(width, outputs - done)
            tiles.append((form, isa.forms[form][0], base, packed, own.start + done, valid))
            packed += width
            done += width
    return np.concatenate(panels), np.concatenate(stages), np.array(tiles, np.int32)


@internal
def run_conv2d(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    panels: NDArray[Any],
    image: NDArray[Any],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    step = all_steps[number]
    pitch = step["ifm_width"] * step["ifm_channels"]
    for batch in range(step["batches"]):
        for first in range(0, step["ofm_height"], step["band"]):
            rows = min(step["band"], step["ofm_height"] - first)
            x, base = image, 0
            if step["direct"]:
                x = arena.view(image.dtype)
                row = batch * step["ifm_height"] + first * step["stride_height"]
                base = step["ifm"] + row * pitch
            else:
                fill_image(step, arena, batch, first, rows, image)
            row = batch * step["ofm_height"] + first
            target = step["ofm"] + row * step["ofm_width"] * step["ofm_channels"]
            count = rows * step["ofm_width"]
            _multiply(step, x, base, offsets, panels, channels, arena, target, count)


@internal
def _multiply(
    step: Any,
    x: NDArray[Any],
    base: int,
    offsets: NDArray[np.int32],
    panels: NDArray[Any],
    channels: NDArray[np.int32],
    ofm: NDArray[np.int8],
    target: int,
    count: int,
) -> None:
    """All channels of `count` pixels of one band."""
    taps, steps = step["offsets"], step["steps"]
    origins = taps + steps
    table = origins + step["band"] * step["ofm_width"]
    elements = step["taps"] * steps
    for number in range(step["tiles"]):
        row = offsets[table + number * TILE : table + (number + 1) * TILE]
        form, pixels = row[0], row[1]
        tile = Tile(
            base + row[2],
            taps,
            steps,
            origins,
            step["panels"] + row[3] * elements,
            step["channels"] + row[3] * OUTPUT_ROWS,
            target + row[4],
            count,
            step["ofm_channels"],
            min(row[5], step["ofm_channels"]),
            step["ofm_zero_point"],
            step["low"],
            step["high"],
        )
        # the form has to be a constant in each call
        if form == 0 and count == 1:
            matrix_tile(SINGLE, x, offsets, panels, channels, ofm, tile, 0)
        elif form == 0:
            for first in range(0, count, pixels):
                matrix_tile(0, x, offsets, panels, channels, ofm, tile, first)
        elif form == 1:
            for first in range(0, count, pixels):
                matrix_tile(1, x, offsets, panels, channels, ofm, tile, first)
        else:
            for first in range(0, count, pixels):
                matrix_tile(2, x, offsets, panels, channels, ofm, tile, first)
