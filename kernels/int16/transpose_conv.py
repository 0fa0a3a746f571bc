"""TRANSPOSE_CONV of int16 activations and int8 weights (16x8).

Zero points are 0. The accumulator is int64 and meets a multiplier of 16 bits.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import Pair, as_operand, check_array, check_pair, check_wide_shift
from kernels.int16.output_stage import check_output_stage_int16
from kernels.output_stage import OutputStage, wide_output_value


def transpose_conv_16x8(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64] | NDArray[np.int16] | None,
    *,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    stage: OutputStage,
) -> NDArray[np.int16]:
    """TRANSPOSE_CONV of int16 `ifm` with int8 `weights` and an int64 or int16 `bias`.

    Otherwise as `kernels.transpose_conv.transpose_conv`. Bit-exact with TFLM's
    `reference_integer_ops::TransposeConv` for int16, which has no fused activation.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int16, 4)
    check_array("weights", weights, np.int8, 4)
    channels = weights.shape[0]
    if weights.shape[3] != ifm.shape[3]:
        raise ValueError(
            f"weights take {weights.shape[3]} channels; allowed is that of the IFM: {ifm.shape[3]}"
        )
    if bias is None:
        bias = np.zeros(channels, np.int64)
    check_array("bias", bias, np.int16 if bias.dtype == np.int16 else np.int64, 1)
    if bias.size != channels:
        raise ValueError(f"bias has {bias.size} values; allowed is one per channel: {channels}")
    stride, padding = check_pair("stride", stride, 1), check_pair("padding", padding, 0)
    height, width = check_pair("ofm_hw", ofm_hw, 1)
    stage = check_output_stage_int16(stage, channels)
    check_wide_shift(int(stage.shift.max()))
    ofm = np.empty((ifm.shape[0], height, width, channels), np.int16)
    wide = as_operand(bias.astype(np.int64))
    _transpose_conv(as_operand(ifm), as_operand(weights), wide, stride, padding, stage, ofm)
    return ofm


@njit(cache=True, nogil=True)
def _transpose_conv(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    stride: Pair,
    padding: Pair,
    stage: OutputStage,
    ofm: NDArray[np.int16],
) -> None:
    batches, height, width, channels = ofm.shape
    _, kernel_h, kernel_w, depth = weights.shape
    acc = np.empty((height, width, channels), np.int64)
    for n in range(batches):
        acc[:] = bias
        for y in range(ifm.shape[1]):
            for x in range(ifm.shape[2]):
                for ky in range(kernel_h):
                    row = y * stride[0] - padding[0] + ky
                    if row < 0 or row >= height:
                        continue
                    for kx in range(kernel_w):
                        column = x * stride[1] - padding[1] + kx
                        if column < 0 or column >= width:
                            continue
                        for k in range(channels):
                            for c in range(depth):
                                acc[row, column, k] += np.int64(ifm[n, y, x, c]) * np.int64(
                                    weights[k, ky, kx, c]
                                )
        for y in range(height):
            for x in range(width):
                for k in range(channels):
                    ofm[n, y, x, k] = wide_output_value(acc[y, x, k], k, stage)
