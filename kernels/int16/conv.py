"""CONV_2D and DEPTHWISE_CONV_2D of int16 activations and int8 weights (16x8).

Zero points are 0. The accumulator is int64 and meets a multiplier of 16 bits. Only CONV_2D may have
an int32 bias instead of int64, and then, as in TFLM, has an int32 accumulator that is rescaled as
in the int8 kernels.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    WindowPlacement,
    as_operand,
    check_array,
    check_channels,
    check_placement,
    check_wide_shift,
)
from kernels.int16.output_stage import check_output_stage_int16
from kernels.output_stage import OutputStage, output_value, wide_output_value

Bias = NDArray[np.int64] | NDArray[np.int32] | None


def conv2d_16x8(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: Bias,
    *,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    ofm_hw: Pair,
    stage: OutputStage,
) -> NDArray[np.int16]:
    """CONV_2D of `ifm` (N, H, W, C) with `weights` (O, kh, kw, C / groups), to (N, *ofm_hw, O).

    `bias` is int64 or int32 of shape (O,); only with int32 does the rounding of `stage` matter.
    Otherwise as `kernels.conv.conv2d`. Bit-exact with TFLM's
    `reference_integer_ops::ConvPerChannel` for int16.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int16, 4)
    check_array("weights", weights, np.int8, 4)
    channels, kernel_h, kernel_w, group_channels = weights.shape
    check_channels(ifm.shape[3], channels, group_channels)
    placement = check_placement(
        (ifm.shape[1], ifm.shape[2]), (kernel_h, kernel_w), stride, dilation, padding, ofm_hw
    )
    if bias is None:
        bias = np.zeros(channels, np.int64)
    wide = bias.dtype != np.int32
    check_array("bias", bias, np.int64 if wide else np.int32, 1)
    if bias.size != channels:
        raise ValueError(f"bias has {bias.size} values; allowed is one per channel: {channels}")
    stage = check_output_stage_int16(stage, channels)
    if wide:
        check_wide_shift(int(stage.shift.max()))
    ofm = np.empty((ifm.shape[0], *placement.ofm_hw, channels), np.int16)
    sums = as_operand(bias.astype(np.int64))
    _conv(as_operand(ifm), as_operand(weights), sums, placement, stage, wide, ofm)
    return ofm


def depthwise_conv2d_16x8(
    ifm: NDArray[np.int16], weights: NDArray[np.int8], bias: Bias, **arguments: Any
) -> NDArray[np.int16]:
    """DEPTHWISE_CONV_2D of `ifm` (N, H, W, C) with `weights` (1, kh, kw, O), as `conv2d_16x8`.

    Bit-exact with TFLM's `reference_integer_ops::DepthwiseConvPerChannel` for int16, which takes
    every bias for int64. Raises ValueError as `conv2d_16x8`, and for another bias.
    """
    if bias is not None:
        check_array("bias", bias, np.int64, 1)
    check_array("weights", weights, np.int8, 4)
    return conv2d_16x8(ifm, weights.transpose(3, 1, 2, 0), bias, **arguments)


@njit(cache=True, nogil=True)
def _conv(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    placement: WindowPlacement,
    stage: OutputStage,
    wide: bool,
    ofm: NDArray[np.int16],
) -> None:
    channels, kernel_h, kernel_w, depth = weights.shape
    group_outputs = channels // (ifm.shape[3] // depth)
    stride, dilation, padding = placement.stride, placement.dilation, placement.padding
    for n in range(ofm.shape[0]):
        for oy in range(ofm.shape[1]):
            for ox in range(ofm.shape[2]):
                for k in range(channels):
                    first = k // group_outputs * depth
                    acc = bias[k]
                    for ky in range(kernel_h):
                        y = oy * stride[0] - padding[0] + ky * dilation[0]
                        if y < 0 or y >= ifm.shape[1]:
                            continue
                        for kx in range(kernel_w):
                            x = ox * stride[1] - padding[1] + kx * dilation[1]
                            if x < 0 or x >= ifm.shape[2]:
                                continue
                            for c in range(depth):
                                acc += np.int64(ifm[n, y, x, first + c]) * np.int64(
                                    weights[k, ky, kx, c]
                                )
                    if wide:
                        ofm[n, oy, ox, k] = wide_output_value(acc, k, stage)
                    else:
                        ofm[n, oy, ox, k] = output_value(acc, k, stage)
