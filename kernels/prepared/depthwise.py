"""DEPTHWISE_CONV_2D, int8, any depth multiplier, vectorized over channels.

Each tile is a few pixels of one block of channels. The values of several taps are interleaved in
registers, so that one instruction multiplies and adds them per channel. See
`kernels.prepared.conv` for how the IFM is read.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    WindowPlacement,
    check_array,
    check_bias,
    check_placement,
    check_zero_point,
)
from kernels.depthwise import check_depth
from kernels.jit import internal
from kernels.output_stage import OutputStage, check_output_stage
from kernels.prepared.image import fill_image, plan_image
from kernels.prepared.instruction_sets import InstructionSet, default
from kernels.prepared.panels import OUTPUT_ROWS, folded_bias, output_rows, pack_depthwise
from kernels.prepared.sequence import PreparedKernel
from kernels.prepared.step import new_step
from kernels.prepared.tiles import Tile, depthwise_tile


def prepare_depthwise_conv2d(
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
    """`kernels.depthwise.depthwise_conv2d` for all IFMs of `ifm_shape`, weights packed for `isa`.

    Raises as that does.
    """
    check_array("weights", weights, np.int8, 4)
    batches, height, width, ifm_channels = ifm_shape
    check_depth(ifm_channels, weights.shape)
    _, kernel_h, kernel_w, channels = weights.shape
    bias, stage = check_bias(bias, channels), check_output_stage(stage, channels)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    kernel = kernel_h, kernel_w
    placement = check_placement((height, width), kernel, stride, dilation, padding, ofm_hw)
    isa = isa or default()
    merged = _merged_pixels(isa, channels, placement)
    width = merged * channels
    image = plan_image(
        isa,
        ifm_shape,
        kernel,
        placement,
        # a block is read whole, beyond the last channel where there are too few
        reach=max(isa.block - width, 0),
        exact=width >= isa.block,
        repeats=channels // ifm_channels,
    )
    origins = image.origins.reshape(-1, placement.ofm_hw[1])[:, ::merged]
    taps = kernel_h * kernel_w
    steps = -(-taps // isa.taps)
    offsets = np.zeros(steps * isa.taps, np.int32)
    rows = np.arange(kernel_h)[:, np.newaxis] * placement.dilation[0] * image.pitch
    columns = np.arange(kernel_w) * placement.dilation[1] * channels
    offsets[:taps] = (rows + columns).reshape(-1)
    matrix = weights.reshape(taps, channels)
    stages = output_rows(folded_bias(bias, matrix.T, ifm_zero_point, isa), stage)
    panels, stages = pack_depthwise(isa, np.tile(matrix, merged), np.tile(stages, merged))
    step = new_step(
        packed=1,
        **{**image.fields, "ofm_width": placement.ofm_hw[1] // merged},
        ofm_channels=width,
        steps=steps,
        tiles=-(-width // isa.block),
        taps=isa.taps,
        block=isa.block,
        pixels=isa.depthwise_pixels,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=stage.zero_point,
        low=stage.low,
        high=stage.high,
    )
    return PreparedKernel(
        step,
        ifm_shape,
        (batches, *placement.ofm_hw, channels),
        run_depthwise_conv2d,
        np.concatenate([offsets, origins.reshape(-1)]),
        stages,
        isa,
        panels,
        image.size,
    )


def _merged_pixels(isa: InstructionSet, channels: int, placement: WindowPlacement) -> int:
    """Output pixels side by side that count as one with as many more channels.

    Without a horizontal stride they read and write adjacent memory, so that few channels fill a
    block nevertheless.
    """
    fitting = isa.block // channels
    width = placement.ofm_hw[1]
    merges = placement.stride[1] == 1 and isa.block % channels == 0 and width % fitting == 0
    return fitting if merges else 1


@internal
def run_depthwise_conv2d(
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
    block, taps, steps = step["block"], step["offsets"], step["steps"]
    last = max(step["ofm_channels"] - block, 0)
    origins = taps + steps * step["taps"]
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
            for number_of_block in range(step["tiles"]):
                start = min(number_of_block * block, last)
                packed = number_of_block * block
                tile = Tile(
                    base + start,
                    taps,
                    steps,
                    origins,
                    step["panels"] + packed * steps * step["taps"],
                    step["channels"] + packed * OUTPUT_ROWS,
                    target + start,
                    count,
                    step["ofm_channels"],
                    step["ofm_channels"] - start,
                    step["ofm_zero_point"],
                    step["low"],
                    step["high"],
                )
                for pixel in range(0, count, step["pixels"]):
                    depthwise_tile(x, offsets, panels, channels, arena, tile, pixel)
