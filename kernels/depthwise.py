"""DEPTHWISE_CONV_2D, int8, any depth multiplier."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    WindowPlacement,
    as_operand,
    check_array,
    check_bias,
    check_placement,
    check_zero_point,
)
from kernels.output_stage import OutputStage, check_output_stage, output_value


def depthwise_conv2d(
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
    """DEPTHWISE_CONV_2D of `ifm` (N, H, W, C) with `weights` (1, kh, kw, O), to (N, *ofm_hw, O).

    O is C times the depth multiplier m; output channel o reads input channel o // m. `bias` has
    shape (O,), int32; `padding` is (top, left). Bit-exact with TFLM's
    `reference_integer_ops::DepthwiseConvPerChannel`.
    Raises ValueError for a wrong dtype, rank, shape or range.
    """
    check_array("ifm", ifm, np.int8, 4)
    check_array("weights", weights, np.int8, 4)
    check_depth(ifm.shape[3], weights.shape)
    _, kernel_h, kernel_w, channels = weights.shape
    bias, stage = check_bias(bias, channels), check_output_stage(stage, channels)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    placement = check_placement(
        (ifm.shape[1], ifm.shape[2]), (kernel_h, kernel_w), stride, dilation, padding, ofm_hw
    )
    ofm = np.empty((ifm.shape[0], *placement.ofm_hw, channels), np.int8)
    _depthwise(as_operand(ifm), as_operand(weights), bias, placement, ifm_zero_point, stage, ofm)
    return ofm


def check_depth(ifm_channels: int, weights_shape: tuple[int, ...]) -> None:
    """ValueError unless weights of this shape take an IFM of so many channels."""
    if weights_shape[0] != 1 or weights_shape[3] % ifm_channels:
        raise ValueError(
            f"weights have shape {weights_shape}; allowed is 1, kh, kw, and a multiple of the "
            f"IFM's {ifm_channels} channels"
        )


@njit(cache=True, nogil=True)
def _depthwise(
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
    _, kernel_h, kernel_w, _ = weights.shape
    stride, dilation, padding = placement.stride, placement.dilation, placement.padding
    multiplier = channels // ifm_channels
    for n in range(batches):
        for oy in range(ofm_h):
            for ox in range(ofm_w):
                for k in range(channels):
                    acc = bias[k]
                    for ky in range(kernel_h):
                        y = oy * stride[0] - padding[0] + ky * dilation[0]
                        if y < 0 or y >= height:
                            continue
                        for kx in range(kernel_w):
                            x = ox * stride[1] - padding[1] + kx * dilation[1]
                            if x < 0 or x >= width:
                                continue
                            value = np.int64(ifm[n, y, x, k // multiplier]) - ifm_zero_point
                            acc = np.int32(acc + value * np.int64(weights[0, ky, kx, k]))
                    ofm[n, oy, ox, k] = output_value(acc, k, stage)
