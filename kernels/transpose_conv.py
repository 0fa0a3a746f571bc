"""TRANSPOSE_CONV, int8 with per-channel weights."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    as_operand,
    check_array,
    check_bias,
    check_pair,
    check_zero_point,
)
from kernels.output_stage import OutputStage, check_output_stage, output_value


def transpose_conv(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    stride: Pair,
    padding: Pair,
    ofm_hw: Pair,
    ifm_zero_point: int,
    stage: OutputStage,
) -> NDArray[np.int8]:
    """TRANSPOSE_CONV of `ifm` (N, H, W, C) with `weights` (O, kh, kw, C), to (N, *ofm_hw, O).

    Pixel (y, x) of `ifm` adds its product with the kernel to the output from row
    `y * stride - padding` on; what falls outside is dropped. `padding` is that in front of the
    input of the convolution that this one transposes (`kernels.quantization.window` over
    `ofm_hw`). `bias` has shape (O,), int32. Bit-exact with TFLM's
    `reference_integer_ops::TransposeConv`.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int8, 4)
    check_array("weights", weights, np.int8, 4)
    channels = weights.shape[0]
    if weights.shape[3] != ifm.shape[3]:
        raise ValueError(
            f"weights take {weights.shape[3]} channels; allowed is that of the IFM: {ifm.shape[3]}"
        )
    stride, padding = check_pair("stride", stride, 1), check_pair("padding", padding, 0)
    height, width = check_pair("ofm_hw", ofm_hw, 1)
    bias, stage = check_bias(bias, channels), check_output_stage(stage, channels)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    # kernel positions first, so that one pixel meets a plain matrix at each
    matrices = as_operand(weights.transpose(1, 2, 0, 3))
    ofm = np.empty((ifm.shape[0], height, width, channels), np.int8)
    _transpose_conv(as_operand(ifm), matrices, bias, stride, padding, ifm_zero_point, stage, ofm)
    return ofm


@njit(cache=True, nogil=True)
def _transpose_conv(
    ifm: NDArray[np.int8],
    matrices: NDArray[np.int8],
    bias: NDArray[np.int32],
    stride: Pair,
    padding: Pair,
    ifm_zero_point: int,
    stage: OutputStage,
    ofm: NDArray[np.int8],
) -> None:
    batches, height, width, channels = ofm.shape
    kernel_h, kernel_w, _, depth = matrices.shape
    acc = np.empty((height, width, channels), np.int32)
    pixel = np.empty(depth, np.int16)
    for n in range(batches):
        acc[:] = bias
        for y in range(ifm.shape[1]):
            for x in range(ifm.shape[2]):
                for c in range(depth):
                    pixel[c] = np.int16(np.int64(ifm[n, y, x, c]) - ifm_zero_point)
                for ky in range(kernel_h):
                    row = y * stride[0] - padding[0] + ky
                    if row < 0 or row >= height:
                        continue
                    for kx in range(kernel_w):
                        column = x * stride[1] - padding[1] + kx
                        if column < 0 or column >= width:
                            continue
                        for k in range(channels):
                            total = np.int32(0)
                            for c in range(depth):
                                total = np.int32(
                                    total + np.int32(pixel[c]) * np.int32(matrices[ky, kx, k, c])
                                )
                            acc[row, column, k] = np.int32(acc[row, column, k] + total)
        for y in range(height):
            for x in range(width):
                for k in range(channels):
                    ofm[n, y, x, k] = output_value(acc[y, x, k], k, stage)
