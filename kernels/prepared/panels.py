"""Weights and output stages in the order in which the tiles read them."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from kernels.output_stage import OutputStage
from kernels.prepared.instruction_sets import InstructionSet
from kernels.requantize import Rounding


class OutputRow(IntEnum):
    """The int32 vectors of a tile's output stage, one value per channel.

    With `t = (acc * 2**LEFT * MULTIPLIER + NUDGE) >> 31` and `u = t + (SIGN if t < 0 else 0)`, the
    rescaled value is `((u >> RIGHT) + HALF) >> HALF`, which is every `Rounding` for a shift s:

    - `RIGHT` and `HALF` are -s - 1 and 1 where s is negative, otherwise 0: a division by `2**-s`,
      half up, without a sum that could leave int32;
    - `SIGN` is -1 where DOUBLE rounds half away from zero, otherwise 0;
    - `NUDGE` is `2**30`, but 0 where SINGLE rounds: then t is a floor, and the division looks at
      the highest bit that it drops, which is the highest bit that a single rounding drops.
    """

    BIAS = 0
    LEFT = 1
    MULTIPLIER = 2
    NUDGE = 3
    SIGN = 4
    RIGHT = 5
    HALF = 6


OUTPUT_ROWS = len(OutputRow)


def output_rows(bias: NDArray[np.int32], stage: OutputStage) -> NDArray[np.int32]:
    """The rows (OUTPUT_ROWS, channels), int32; `bias` has the zero point folded in."""
    shift = stage.shift
    half = (shift < 0).astype(np.int32)
    rows = np.zeros((OUTPUT_ROWS, bias.size), np.int32)
    rows[OutputRow.BIAS] = bias
    rows[OutputRow.LEFT] = np.maximum(shift, 0)
    rows[OutputRow.MULTIPLIER] = stage.multiplier
    rows[OutputRow.NUDGE] = np.where(half & (stage.rounding == Rounding.SINGLE), 0, 1 << 30)
    rows[OutputRow.SIGN] = -half if stage.rounding == Rounding.DOUBLE else 0
    rows[OutputRow.RIGHT] = np.maximum(-shift - 1, 0)
    rows[OutputRow.HALF] = half
    return rows


def folded_bias(
    bias: NDArray[np.int32], weights: NDArray[np.int8], zero_point: int, isa: InstructionSet
) -> NDArray[np.int32]:
    """`bias - zero_point * sum(weights)` of each channel; `weights` has shape (channels, taps).

    An instruction set that reads activations as unsigned bytes adds 128 to each of them, which is
    taken away again here. Wraps at 32 bits, as the accumulator does.
    """
    offset = zero_point + (128 if isa.vnni else 0)
    sums = weights.sum(axis=1, dtype=np.int64)
    folded: NDArray[np.int32] = (bias - offset * sums).astype(np.int32)
    return folded


def widths(isa: InstructionSet, outputs: int) -> list[int]:
    """The channels of the tiles that make up `outputs`, of which the last may have too many."""
    vectors = -(-outputs // isa.lanes)
    found = []
    while vectors:
        widest = max(v for _, v in isa.forms if v <= vectors)
        found.append(widest * isa.lanes)
        vectors -= widest
    return found


def pack_matrix(
    isa: InstructionSet, weights: NDArray[np.int8], rows: NDArray[np.int32]
) -> tuple[NDArray[np.generic], NDArray[np.int32]]:
    """Panels of a matrix product: `weights` (outputs, taps), `rows` (OUTPUT_ROWS, outputs).

    Tile after tile, as `widths` divides the outputs: weights as (steps, width, isa.taps), and
    output stages as (OUTPUT_ROWS, width); zeros where there are no outputs.
    """
    outputs, taps = weights.shape
    total = sum(widths(isa, outputs))
    padded = np.zeros((total, taps), isa.element)
    padded[:outputs] = weights
    stages = np.zeros((OUTPUT_ROWS, total), np.int32)
    stages[:, :outputs] = rows
    panels, channels = [], []
    start = 0
    for width in widths(isa, outputs):
        block = padded[start : start + width].reshape(width, taps // isa.taps, isa.taps)
        panels.append(block.transpose(1, 0, 2).reshape(-1))
        channels.append(stages[:, start : start + width].reshape(-1))
        start += width
    return np.concatenate(panels).view(isa.tag), np.concatenate(channels)


def depthwise_order(isa: InstructionSet) -> NDArray[np.int64]:
    """The channel in each lane of a depthwise tile's accumulators, in the order of these.

    See `kernels.prepared.llvm.interleave`.
    """
    group = isa.taps
    return np.array(
        [
            4 * group * lane + 4 * j + i
            for j in range(group)
            for lane in range(isa.depthwise_lanes // 4)
            for i in range(4)
        ]
    )


def pack_depthwise(
    isa: InstructionSet, weights: NDArray[np.int8], rows: NDArray[np.int32]
) -> tuple[NDArray[np.generic], NDArray[np.int32]]:
    """Panels of a depthwise product: `weights` (taps, channels), `rows` (OUTPUT_ROWS, channels).

    Block after block, beginning at `depthwise_blocks`: weights as (steps, isa.block, isa.taps),
    output stages as (OUTPUT_ROWS, isa.block), both in the order of `depthwise_order`.
    """
    taps, channels = weights.shape
    steps, columns = -(-taps // isa.taps), max(channels, isa.block)
    padded = np.zeros((steps * isa.taps, columns), isa.element)
    padded[:taps, :channels] = weights
    stages = np.zeros((OUTPUT_ROWS, columns), np.int32)
    stages[:, :channels] = rows
    chosen = np.add.outer(depthwise_blocks(isa, channels), depthwise_order(isa))
    panels = padded.reshape(steps, isa.taps, columns)[..., chosen]
    return (
        panels.transpose(2, 0, 3, 1).reshape(-1).view(isa.tag),
        stages[:, chosen].transpose(1, 0, 2).reshape(-1),
    )


def depthwise_blocks(isa: InstructionSet, channels: int) -> NDArray[np.int64]:
    """The first channel of each block: the last one overlaps its predecessor and ends in time."""
    return np.minimum(np.arange(0, channels, isa.block), max(channels - isa.block, 0))
