"""The IFM as the convolutions read it: itself, or bands of it copied with padding around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.checks import Pair, WindowPlacement
from kernels.jit import internal
from kernels.prepared.instruction_sets import InstructionSet

# a band of the image, with the outputs that come from it, should stay in the second-level cache
BAND_BYTES = 128 << 10


@dataclass(frozen=True)
class Image:
    """How an IFM (N, H, W, C) is read, and its part of a step.

    Parameters
    ----------
    pitch : elements of a row. origins : element at which the window of each output pixel of a band
    begins. size : elements of scratch memory. fields : of the step.
    """

    pitch: int
    origins: NDArray[np.int32]
    size: int
    fields: dict[str, int]


def plan_image(
    isa: InstructionSet,
    ifm_shape: Sequence[int],
    kernel: Pair,
    placement: WindowPlacement,
    *,
    reach: int,
    exact: bool,
    repeats: int = 1,
) -> Image:
    """Lay out the image of an IFM for windows of `kernel` taps.

    `reach` is how many elements beyond the last window's end a tile may read; where the IFM itself
    could serve as the image, it does if `exact`: tiles then read nothing beyond a window.
    """
    batches, height, width, channels = ifm_shape
    (stride_h, stride_w), (dilation_h, dilation_w) = placement.stride, placement.dilation
    ofm_h, ofm_w = placement.ofm_hw
    window = (kernel[0] - 1) * dilation_h + 1, (kernel[1] - 1) * dilation_w + 1
    rows, columns = (ofm_h - 1) * stride_h + window[0], (ofm_w - 1) * stride_w + window[1]
    inside = placement.padding == (0, 0) and rows <= height and columns <= width
    direct = isa.vnni and exact and inside and repeats == 1
    if direct:
        columns = width
    pitch = columns * channels * repeats
    row_bytes = max(1, stride_h * pitch * isa.element.itemsize)
    band = min(ofm_h, max(1, BAND_BYTES // row_bytes))
    pixels = np.arange(ofm_w) * stride_w * channels * repeats
    origins = np.arange(band)[:, np.newaxis] * stride_h * pitch + pixels
    band_rows = (band - 1) * stride_h + window[0]
    return Image(
        pitch,
        origins.reshape(-1).astype(np.int32),
        0 if direct else band_rows * pitch + reach,
        {
            "batches": batches,
            "ifm_height": height,
            "ifm_width": width,
            "ifm_channels": channels,
            "ofm_height": ofm_h,
            "ofm_width": ofm_w,
            "stride_height": stride_h,
            "stride_width": stride_w,
            "pad_top": placement.padding[0],
            "pad_left": placement.padding[1],
            "window_height": window[0],
            "window_width": window[1],
            "columns": columns,
            "band": band,
            "direct": int(direct),
            "repeats": repeats,
        },
    )


@internal
def fill_image(
    step: Any, ifm: NDArray[np.int8], batch: int, first: int, rows: int, image: NDArray[Any]
) -> None:
    """Copy the rows that output rows `first` to `first + rows` need, zero points around them."""
    height, width, channels = step["ifm_height"], step["ifm_width"], step["ifm_channels"]
    repeats, columns, left = step["repeats"], step["columns"], step["pad_left"]
    zero_point = step["ifm_zero_point"]
    pixel = channels * repeats
    pitch = columns * pixel
    top = first * step["stride_height"] - step["pad_top"]
    used = min(width, columns - left)
    for row in range((rows - 1) * step["stride_height"] + step["window_height"]):
        target = image[row * pitch : (row + 1) * pitch]
        y = top + row
        if y < 0 or y >= height:
            target[:] = zero_point
            continue
        start = step["ifm"] + (batch * height + y) * width * channels
        source = ifm[start : start + used * channels]
        begin, end = left * pixel, (left + used) * pixel
        target[:begin] = zero_point
        target[end:] = zero_point
        inside = target[begin:end]
        if repeats == 1:
            copy_elements(source, inside)
        else:
            for i in range(source.size):
                for r in range(repeats):
                    inside[i * repeats + r] = source[i]


@internal
def copy_elements(source: NDArray[np.int8], target: NDArray[Any]) -> None:
    """Copy all of `source`; a loop over slices is what the compiler vectorizes."""
    for i in range(source.size):
        target[i] = source[i]
