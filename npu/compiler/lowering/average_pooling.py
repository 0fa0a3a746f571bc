"""AVERAGE_POOL_2D as depthwise convolutions with constant weights.

TFLM divides the sum by the number of taps inside the map, rounding half away from zero. An area
of outputs with the same number of taps is one DEPTHWISE whose requantization divides by it.
"""

from typing import NamedTuple

import numpy as np

from kernels.requantize import Rounding
from npu.compiler.errors import CompileError
from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.shapes import natural_extent
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import PoolOptions
from npu.model.quant_params import WindowGeometry, activation_range, window_geometry
from rtl.isa import Opcode

EXACT_COUNT = 2896
"""With up to so many values, one multiplication divides their sum exactly in every rounding."""

POOL_WEIGHT = 64
"""The weight of every tap of larger windows: with it, the first rounding of the requantizer still
has at least five fractional bits more than the quotient needs, so only the second rounding
decides."""

Span = tuple[int, int, int, int]
"""Outputs `first..end`, padding in front of the first, taps."""


class Division(NamedTuple):
    """Weight of every tap, and Q31 multiplier and shift of the weighted sum, for an average."""

    weight: int
    multiplier: int
    shift: int


def division(count: int, rounding: Rounding) -> Division:
    """How the sum of `count` int8 values is divided by `count`, rounding half away from zero.

    Why the multiplication alone is exact up to `EXACT_COUNT`: let m = 2**31 / count + d with
    0 < d <= 1. All roundings are `floor(sum * m / 2**31 + 1/2)` without a shift. The product is
    further from zero than the quotient q, by |q| * count * d / 2**31 <= count / 2**24. So a tie
    rounds away from zero, and what is no tie, hence `1 / (2 * count)` off one at least, never
    crosses it.

    Raises
    ------
    CompileError : more values, in another rounding than TFLM's.
    """
    if count == 1:
        return Division(1, *IDENTITY)
    if count <= EXACT_COUNT:
        return Division(1, (1 << 31) // count + 1, 0)
    if rounding != Rounding.DOUBLE:
        raise CompileError(
            f"with {rounding.name.lower()} rounding, averages are exact over up to {EXACT_COUNT}"
            f" values, not {count}"
        )
    return Division(POOL_WEIGHT, *reciprocal(count))


def reciprocal(count: int) -> tuple[int, int]:
    """Q31 multiplier in [2**30, 2**31) and shift of `1 / (POOL_WEIGHT * count)`.

    In TFLM's rounding, with sums of up to 2**17 int8 values, `requantize(POOL_WEIGHT * sum,
    multiplier, shift)` equals `sum / count` rounded half away from zero. Why: let e = -shift. The
    first rounding gives
    `t = sum * 2**e / count` within 1/2 + 2**-2 (the multiplier is within half a unit, and
    `POOL_WEIGHT * sum < 2**30`); it is exact when the quotient is a tie, as `2**e / count` times
    a multiple of `count / 2` is an integer. Otherwise the quotient is at least `1 / (2 * count)`
    off a tie, which is `2**e / (2 * count) >= 16` units of `t`: more than the error.
    """
    divisor = POOL_WEIGHT * count
    exponent = divisor.bit_length() - 1
    multiplier = ((1 << 32 + exponent) // divisor + 1) >> 1
    if multiplier == 1 << 31:
        return 1 << 30, -(exponent - 1)
    return multiplier, -exponent


def lower_average_pool(
    graph: Graph, op: Operator, ifm: Extent, rounding: Rounding
) -> tuple[GridTask, ...]:
    """Lower an AVERAGE_POOL_2D of the map `ifm`.

    Raises
    ------
    CompileError : a window too large for the rounding.
    """
    return averaging_tasks(
        ifm,
        natural_extent(graph.output_tensor(op).shape),
        window_geometry(graph, op),
        activation_range(graph, op, op.options_as(PoolOptions).activation),
        rounding,
    )


def averaging_tasks(
    ifm: Extent,
    ofm: Extent,
    windows: WindowGeometry,
    activation: tuple[int, int],
    rounding: Rounding,
) -> tuple[GridTask, ...]:
    """The tasks of an average pool; `activation` is the clamping range.

    Raises
    ------
    CompileError : a window too large for the rounding.
    """
    tasks = []
    vertical = _spans(ofm.height, ifm.height, *_axis(windows, 0))
    horizontal = _spans(ofm.width, ifm.width, *_axis(windows, 1))
    for y0, y1, pad_top, height in vertical:
        for x0, x1, pad_left, width in horizontal:
            weight, multiplier, shift = division(height * width, rounding)
            task = GridTask(
                opcode=Opcode.DEPTHWISE,
                ifm=ifm,
                ofm=ofm,
                window=SlidingWindow(
                    height=height,
                    width=width,
                    stride_y=windows.stride[0],
                    stride_x=windows.stride[1],
                    pad_top=pad_top,
                    pad_left=pad_left,
                ),
                area=Area(y0, y1, x0, x1),
                weights=np.full((height, width, ifm.channels), weight, np.int8),
                bias=np.zeros(ifm.channels, np.int32),
                multiplier=np.full(ifm.channels, multiplier, np.int32),
                shift=np.full(ifm.channels, shift, np.int32),
                ifm_zero_point=0,
                ofm_zero_point=0,
                activation_min=activation[0],
                activation_max=activation[1],
            )
            tasks.append(task)
    return tuple(tasks)


def _axis(windows: WindowGeometry, axis: int) -> tuple[int, int, int]:
    return windows.kernel[axis], windows.stride[axis], windows.padding[axis]


def _spans(outputs: int, inputs: int, kernel: int, stride: int, pad: int) -> list[Span]:
    """Runs of outputs with the same taps inside the map, relative to a moving start."""
    spans: list[Span] = []
    for output in range(outputs):
        start = output * stride - pad
        first, end = max(start, 0), min(start + kernel, inputs)
        offset = output * stride - first
        if spans and spans[-1][2:] == (offset, end - first):
            spans[-1] = (spans[-1][0], output + 1, offset, end - first)
        else:
            spans.append((output, output + 1, offset, end - first))
    return spans
