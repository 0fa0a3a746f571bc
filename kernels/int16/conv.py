"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED of int16 activations and int8 weights (16x8).

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
    check_activation,
    check_array,
    check_channels,
    check_output_stage,
    check_placement,
)
from kernels.quantization import INT8_MAX, INT8_MIN
from kernels.requantize import Integer, Rounding, multiply_by_quantized_multiplier

# an int64 accumulator is rescaled by shifts of less than this
MAX_WIDE_SHIFT = 7
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
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int16]:
    """CONV_2D of `ifm` (N, H, W, C) with `weights` (O, kh, kw, C / groups), to (N, *ofm_hw, O).

    `bias` is int64 or int32 of shape (O,); only with int32 does `rounding` matter. Otherwise as
    `kernels.prepared.conv.conv2d`. Bit-exact with TFLM's
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
    bounds = activation_min, activation_max
    return _run(ifm, weights, bias, placement, multiplier, shift, bounds, rounding)


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


def fully_connected_16x8(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: Bias,
    *,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int16]:
    """FULLY_CONNECTED of `ifm` (rows, inputs) with `weights` (outputs, inputs).

    An IFM of any other rank is reshaped to rows of `inputs` values; `bias` is int64. Bit-exact with
    TFLM's `reference_integer_ops::FullyConnected` for int16.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int16)
    check_array("weights", weights, np.int8, 2)
    outputs, inputs = weights.shape
    if ifm.size % inputs:
        raise ValueError(f"ifm has {ifm.size} values; allowed are multiples of {inputs}")
    if bias is not None:
        check_array("bias", bias, np.int64, 1)
    rows = ifm.reshape(-1, 1, 1, inputs)
    matrix = weights.reshape(outputs, 1, 1, inputs)
    placement = WindowPlacement((1, 1), (1, 1), (0, 0), (1, 1))
    bounds = activation_min, activation_max
    return _run(rows, matrix, bias, placement, multiplier, shift, bounds).reshape(-1, outputs)


def _run(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: Bias,
    placement: WindowPlacement,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    bounds: Pair,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int16]:
    channels = weights.shape[0]
    if bias is None:
        bias = np.zeros(channels, np.int64)
    wide = bias.dtype != np.int32
    check_array("bias", bias, np.int64 if wide else np.int32, 1)
    if bias.size != channels:
        raise ValueError(f"bias has {bias.size} values; allowed is one per channel: {channels}")
    stage = check_output_stage(0, multiplier, shift, channels, INT8_MIN, INT8_MAX, rounding)
    if wide:
        check_wide_shift(int(stage.shift.max()))
    low, high = check_activation(*bounds, np.int16)
    ofm = np.empty((ifm.shape[0], *placement.ofm_hw, channels), np.int16)
    _conv(
        as_operand(ifm),
        as_operand(weights),
        as_operand(bias.astype(np.int64)),
        placement,
        stage.multiplier,
        stage.shift,
        stage.rounding,
        wide,
        low,
        high,
        ofm,
    )
    return ofm


def check_wide_shift(shift: int) -> None:
    """ValueError when `multiply_by_reduced_multiplier` cannot shift so far to the left."""
    if shift > MAX_WIDE_SHIFT:
        raise ValueError(
            f"shift is {shift}; allowed for an int64 accumulator is at most {MAX_WIDE_SHIFT}"
        )


@njit(cache=True, nogil=True)
def multiply_by_reduced_multiplier(acc: Integer, multiplier: Integer, shift: Integer) -> np.int64:
    """`acc * multiplier * 2**(shift - 31)` of an int64, with 15 bits of the multiplier.

    Rounds halves upwards, once. Source: `MultiplyByQuantizedMultiplier` for int64.
    """
    reduced = np.int64(0x7FFF)
    if multiplier < 0x7FFF0000:
        reduced = (np.int64(multiplier) + (1 << 15)) >> 16
    total = np.int64(15) - np.int64(shift)
    return (np.int64(acc) * reduced + (np.int64(1) << (total - 1))) >> total


@njit(cache=True, nogil=True)
def _conv(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    placement: WindowPlacement,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    rounding: int,
    wide: bool,
    low: int,
    high: int,
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
                        value = multiply_by_reduced_multiplier(acc, multiplier[k], shift[k])
                    else:
                        value = multiply_by_quantized_multiplier(
                            acc, multiplier[k], shift[k], rounding
                        )
                    ofm[n, oy, ox, k] = min(max(value, np.int64(low)), np.int64(high))
