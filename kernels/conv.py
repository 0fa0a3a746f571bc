"""CONV_2D, int8, per-channel or per-tensor weights, grouped or not."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    WindowPlacement,
    as_operand,
    check_array,
    check_bias,
    check_channels,
    check_placement,
    check_zero_point,
)
from kernels.output_stage import OutputStage, check_output_stage, output_value


def conv2d(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    ofm_hw: Pair,
    ifm_zero_point: int,
    stage: OutputStage,
) -> NDArray[np.int8]:
    """CONV_2D of `ifm` (N, H, W, C) with `weights` (O, kh, kw, C // groups), to (N, *ofm_hw, O).

    `bias` has shape (O,), int32. `padding` is (top, left); what lies below and to the right follows
    from `ofm_hw`. Bit-exact with TFLM's `reference_integer_ops::ConvPerChannel`.
    Raises ValueError for a wrong dtype, rank, shape or range.
    """
    check_array("ifm", ifm, np.int8, 4)
    check_array("weights", weights, np.int8, 4)
    channels, kernel_h, kernel_w, group_channels = weights.shape
    check_channels(ifm.shape[3], channels, group_channels)
    bias, stage = check_bias(bias, channels), check_output_stage(stage, channels)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    placement = check_placement(
        (ifm.shape[1], ifm.shape[2]), (kernel_h, kernel_w), stride, dilation, padding, ofm_hw
    )
    ofm = np.empty((ifm.shape[0], *placement.ofm_hw, channels), np.int8)
    _conv2d(as_operand(ifm), as_operand(weights), bias, placement, ifm_zero_point, stage, ofm)
    return ofm


@njit(cache=True, nogil=True)
def _conv2d(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    placement: WindowPlacement,
    ifm_zero_point: int,
    stage: OutputStage,
    ofm: NDArray[np.int8],
) -> None:
    batches, height, width, ifm_channels = ifm.shape
    _, ofm_h, ofm_w, channels = ofm.shape
    _, kernel_h, kernel_w, group_channels = weights.shape
    stride, dilation, padding = placement.stride, placement.dilation, placement.padding
    # output channels that share the input channels of one group
    group_outputs = channels // (ifm_channels // group_channels)
    for n in range(batches):
        for oy in range(ofm_h):
            for ox in range(ofm_w):
                for k in range(channels):
                    first = k // group_outputs * group_channels
                    acc = bias[k]
                    for ky in range(kernel_h):
                        y = oy * stride[0] - padding[0] + ky * dilation[0]
                        if y < 0 or y >= height:
                            continue
                        for kx in range(kernel_w):
                            x = ox * stride[1] - padding[1] + kx * dilation[1]
                            if x < 0 or x >= width:
                                continue
                            for c in range(group_channels):
                                value = np.int64(ifm[n, y, x, first + c]) - ifm_zero_point
                                acc = np.int32(acc + value * np.int64(weights[k, ky, kx, c]))
                    ofm[n, oy, ox, k] = output_value(acc, k, stage)
