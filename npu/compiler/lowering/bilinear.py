"""RESIZE_BILINEAR as depthwise convolutions, where few bits hold its fractions.

Outputs whose distance from the pixels around them is the same are a phase: a window over the input
with constant weights, whose sum is a power of two that the requantization divides by. Beside the
border, where both pixels around an output are the same one, the window is smaller.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import Rounding
from kernels.resize import COORDINATE_BITS, interpolation
from npu.compiler.lowering.average_pooling import EXACT_COUNT, division
from npu.compiler.lowering.batches import one_of
from npu.compiler.terms.geometry import Area, Extent, SlidingWindow, ceil_div
from npu.compiler.terms.normalize import FIELD_LIMIT, normalize
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.strided import Change
from npu.compiler.terms.tasks import GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import ResizeOptions
from rtl.isa import Opcode

PHASE_LIMIT = 64
"""Phases of both axes at most: each takes commands of its own."""

SPAN_LIMIT = 3
"""Spans of a phase along an axis at most: one on each border, and what lies between them."""


@dataclass(frozen=True, slots=True)
class Span:
    """Outputs `first..end` of a phase: output `i` is the sum of the inputs from
    `i * step + ahead` on, times `weights`, whose sum is `2**COORDINATE_BITS`."""

    first: int
    end: int
    ahead: int
    weights: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Phases:
    """An axis: the spans of each phase, and the inputs from one output of a phase to the next."""

    step: int
    spans: tuple[tuple[Span, ...], ...]


def find_phases(graph: Graph, op: Operator, axis: int) -> Phases | None:
    """The phases of the rows (`axis` 1) or columns (2) of a RESIZE_BILINEAR, if it has any."""
    size, ofm_size = graph.tensors[op.inputs[0]].shape[axis], graph.output_tensor(op).shape[axis]
    options = op.options_as(ResizeOptions)
    if options.align_corners and ofm_size > 1:
        scale = Fraction(size - 1, ofm_size - 1)
    else:
        scale = Fraction(size, ofm_size)
    # of a single row or column, every output is the first of a phase
    step, count = scale.as_integer_ratio() if size > 1 else (1, ofm_size)
    if not 1 <= step <= FIELD_LIMIT or count > PHASE_LIMIT:
        return None
    first, second, fraction = interpolation(
        size, ofm_size, options.align_corners, options.half_pixel_centers
    )
    phases = []
    for phase in range(min(count, ofm_size)):
        every = slice(phase, None, count)
        spans = _spans(step, first[every], second[every], fraction[every])
        if len(spans) > SPAN_LIMIT:
            return None
        phases.append(spans)
    return Phases(step, tuple(phases))


def window_weights(rows: Span, columns: Span) -> tuple[NDArray[np.int64], int] | None:
    """Weights of both spans, and how many bits their sum has, if weights are below 2**7.

    Its bits are few enough for one multiplication to divide exactly, see `division`.
    """
    weights = np.outer(rows.weights, columns.weights).astype(np.int64)
    spare = int(np.gcd.reduce(weights.reshape(-1)))
    bits = 2 * COORDINATE_BITS - (spare & -spare).bit_length() + 1
    weights >>= 2 * COORDINATE_BITS - bits
    return (weights, bits) if weights.max() < 1 << 7 and 1 << bits <= EXACT_COUNT else None


def is_interpolated(graph: Graph, op: Operator) -> bool:
    """Whether windows compute a RESIZE_BILINEAR exactly."""
    rows, columns = (find_phases(graph, op, axis) for axis in (1, 2))
    if rows is None or columns is None or len(rows.spans) * len(columns.spans) > PHASE_LIMIT:
        return False
    spans = ([s for phase in axis.spans for s in phase] for axis in (rows, columns))
    return all(window_weights(*pair) is not None for pair in product(*spans))


def lower_bilinear(graph: Graph, op: Operator, rounding: Rounding) -> Iterator[LoweredOperator]:
    """Lower a RESIZE_BILINEAR that `is_interpolated`; each result is a `part` of the output."""
    rows, columns = (find_phases(graph, op, axis) for axis in (1, 2))
    assert rows is not None
    assert columns is not None
    maps, *ifm = graph.tensors[op.inputs[0]].shape
    _, height, width, channels = graph.output_tensor(op).shape
    counts = len(rows.spans), len(columns.spans)
    for y, x in product(*map(range, counts)):
        ofm = Extent(ceil_div(height - y, counts[0]), ceil_div(width - x, counts[1]), channels)
        tasks = tuple(
            normalize(_window(Extent(*ifm), ofm, pair, (rows.step, columns.step), rounding))
            for pair in product(rows.spans[y], columns.spans[x])
        )
        for number in range(maps):
            yield LoweredOperator(
                index=op.index,
                kind=op.kind,
                macs=0,
                sources=op.inputs[:1],
                target=op.outputs[0],
                tasks=tasks,
                part=_part(number, (y, x), counts),
                source_part=one_of(number),
            )


def _spans(
    step: int, first: NDArray[np.int64], second: NDArray[np.int64], fraction: NDArray[np.int64]
) -> tuple[Span, ...]:
    spans: list[Span] = []
    for i, (low, high, part) in enumerate(zip(first, second, fraction, strict=True)):
        one = 1 << COORDINATE_BITS
        weights = (one,) if low == high or part == 0 else (one - int(part), int(part))
        ahead = int(low) - i * step
        if spans and (spans[-1].ahead, spans[-1].weights) == (ahead, weights):
            spans[-1] = Span(spans[-1].first, i + 1, ahead, weights)
        else:
            spans.append(Span(i, i + 1, ahead, weights))
    return tuple(spans)


def _window(
    ifm: Extent, ofm: Extent, spans: tuple[Span, Span], steps: tuple[int, int], rounding: Rounding
) -> GridTask:
    found = window_weights(*spans)
    assert found is not None
    weights, bits = found
    _, multiplier, shift = division(1 << bits, rounding)
    rows, columns = spans
    return GridTask(
        opcode=Opcode.DEPTHWISE,
        ifm=ifm,
        ofm=ofm,
        window=SlidingWindow(
            height=len(rows.weights),
            width=len(columns.weights),
            stride_y=steps[0],
            stride_x=steps[1],
            pad_top=-rows.ahead,
            pad_left=-columns.ahead,
        ),
        area=Area(rows.first, rows.end, columns.first, columns.end),
        weights=np.repeat(weights[:, :, None], ifm.channels, 2).astype(np.int8),
        bias=np.zeros(ifm.channels, np.int32),
        multiplier=np.full(ifm.channels, multiplier, np.int32),
        shift=np.full(ifm.channels, shift, np.int32),
        ifm_zero_point=0,
        ofm_zero_point=0,
        activation_min=-128,
        activation_max=127,
    )


def _part(number: int, phase: tuple[int, int], counts: tuple[int, int]) -> Change:
    """The outputs of a phase of map `number`."""
    (y, x), (dy, dx) = phase, counts
    return lambda array: array[number, y::dy, x::dx]
