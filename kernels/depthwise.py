"""DEPTHWISE_CONV_2D, int8, any depth multiplier, vectorized over channels."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    check_array,
    check_bias,
    check_output_stage,
    check_pair,
    check_placement,
    check_zero_point,
)
from kernels.requantize import requantize_to_int8


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
    ofm_zero_point: int,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int8]:
    """DEPTHWISE_CONV_2D of `ifm` (N, H, W, C) with `weights` (1, kh, kw, O), to (N, *ofm_hw, O).

    O is C times the depth multiplier m; output channel o reads input channel o // m. `bias`,
    `multiplier` and `shift` have shape (O,), int32; `padding` is (top, left). Bit-exact with
    TFLM's `reference_integer_ops::DepthwiseConvPerChannel`.
    Raises ValueError for a wrong dtype, rank, shape or range.
    """
    check_array("ifm", ifm, np.int8, 4)
    check_array("weights", weights, np.int8, 4)
    batches, height, width, ifm_channels = ifm.shape
    leading, kernel_h, kernel_w, channels = weights.shape
    if leading != 1 or channels % ifm_channels:
        raise ValueError(
            f"weights have shape {weights.shape}; allowed is 1, kh, kw, and a multiple of the "
            f"IFM's {ifm_channels} channels"
        )
    bias = check_bias(bias, channels)
    check_output_stage(multiplier, shift, channels, activation_min, activation_max)
    check_zero_point("ifm_zero_point", ifm_zero_point)
    check_zero_point("ofm_zero_point", ofm_zero_point)
    check_pair("stride", stride, 1)
    check_pair("dilation", dilation, 1)
    check_placement((height, width), (kernel_h, kernel_w), stride, dilation, padding, ofm_hw)
    ofm = np.empty((batches, *ofm_hw, channels), np.int8)
    # with every input channel repeated, a depth multiplier is the plain case
    expanded = np.repeat(ifm, channels // ifm_channels, axis=3)
    _depthwise(
        np.ascontiguousarray(expanded),
        np.ascontiguousarray(weights[0]),
        bias,
        stride,
        dilation,
        padding,
        ifm_zero_point,
        ofm_zero_point,
        multiplier,
        shift,
        activation_min,
        activation_max,
        ofm,
    )
    return ofm


@njit(cache=True, nogil=True)
def _depthwise(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    activation_min: int,
    activation_max: int,
    ofm: NDArray[np.int8],
) -> None:
    batches, height, width, channels = ifm.shape
    kernel_h, kernel_w, _ = weights.shape
    acc = np.empty(channels, np.int32)
    for n in range(batches):
        for oy in range(ofm.shape[1]):
            for ox in range(ofm.shape[2]):
                acc[:] = bias
                for ky in range(kernel_h):
                    y = oy * stride[0] - padding[0] + ky * dilation[0]
                    if y < 0 or y >= height:
                        continue
                    for kx in range(kernel_w):
                        x = ox * stride[1] - padding[1] + kx * dilation[1]
                        if x < 0 or x >= width:
                            continue
                        for c in range(channels):
                            value = np.int32(ifm[n, y, x, c]) - np.int32(ifm_zero_point)
                            acc[c] = np.int32(acc[c] + value * np.int32(weights[ky, kx, c]))
                for c in range(channels):
                    ofm[n, oy, ox, c] = requantize_to_int8(
                        acc[c],
                        multiplier[c],
                        shift[c],
                        ofm_zero_point,
                        activation_min,
                        activation_max,
                    )
