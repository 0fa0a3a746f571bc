"""TRANSPOSE_CONV as convolutions of stride 1.

In memory, a map of W * s columns and C channels is also one of W columns and s * C channels. So
the columns of all phases of a stride s are the channels of one convolution, whose kernel has
zeros where a phase has no tap. There is one convolution for each phase of the output's rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu.compiler.lowering.batches import one_of
from npu.compiler.terms.geometry import Area, Extent, SlidingWindow, ceil_div
from npu.compiler.terms.layout import fold_zero_point
from npu.compiler.terms.normalize import normalize
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.strided import Change
from npu.compiler.terms.tasks import GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import TransposeConvOptions
from npu.model.quant_params import ProductParameters, product_parameters, transposed_padding
from rtl.isa import Opcode


@dataclass(frozen=True, slots=True)
class Phase:
    """Outputs `phase + i * stride` along an axis.

    Output `i` reads tap `first + stride * m` of the kernel at input `i + ahead - m`, for `m` from
    0 to `taps - 1`.
    """

    first: int
    ahead: int
    taps: int

    @property
    def span(self) -> tuple[int, int]:
        """The first input that output 0 reads, and the one behind the last."""
        return self.ahead - self.taps + 1, self.ahead + 1


def find_phase(phase: int, stride: int, kernel: int, padding: int) -> Phase:
    """The taps of one phase of a transposed convolution along an axis."""
    ahead, first = divmod(phase + padding, stride)
    return Phase(first, ahead, max(ceil_div(kernel - first, stride), 0))


def lower_transpose_conv(graph: Graph, op: Operator) -> Iterator[LoweredOperator]:
    """Lower a TRANSPOSE_CONV; each result computes a `part` of the output.

    Raises `ModelError` for parameters that no kernel accepts.
    """
    options = op.options_as(TransposeConvOptions)
    parameters = product_parameters(graph, op, options.activation, ifm_position=2)
    weights = graph.tensors[op.inputs[1]].data
    assert weights is not None
    padding = transposed_padding(graph, op)
    maps, *sides = graph.tensors[op.inputs[2]].shape
    ofm = Extent(*graph.output_tensor(op).shape[1:])
    strides = options.stride_h, options.stride_w
    # columns behind the last whole group of phases are a map of their own
    whole, rest = divmod(ofm.width, strides[1])
    columns = [(0, whole, strides[1])] if whole else []
    columns += [(whole, 1, rest)] if rest else []
    for row in range(min(strides[0], ofm.height)):
        vertical = find_phase(row, strides[0], weights.shape[1], padding[0])
        for first, count, phases in columns:
            horizontal = [
                find_phase(p, strides[1], weights.shape[2], padding[1]) for p in range(phases)
            ]
            task = _phase_task(
                Extent(*sides),
                Extent(ceil_div(ofm.height - row, strides[0]), count, phases * ofm.channels),
                _sub_kernel(weights, strides, vertical, horizontal),
                first,
                parameters,
            )
            start, end = first * strides[1], first * strides[1] + count * phases
            for number in range(maps):
                yield LoweredOperator(
                    index=op.index,
                    kind=op.kind,
                    macs=0,
                    sources=(op.inputs[2],),
                    target=op.outputs[0],
                    tasks=(normalize(task),),
                    part=_part(number, slice(row, None, strides[0]), slice(start, end), task.ofm),
                    source_part=one_of(number),
                )


@dataclass(frozen=True, eq=False)
class _SubKernel:
    """Weights int8 `[outputs, kh, kw, inputs]`, and what output 0 reads first."""

    weights: NDArray[np.int8]
    top: int
    left: int


def _sub_kernel(
    weights: NDArray[np.int8], strides: tuple[int, int], vertical: Phase, horizontal: list[Phase]
) -> _SubKernel:
    """The kernel of one phase of rows and several phases of columns, as one of stride 1."""
    channels, _, _, inputs = weights.shape
    top, bottom = vertical.span
    spans = [phase.span for phase in horizontal if phase.taps]
    if not spans or not vertical.taps:
        return _SubKernel(np.zeros((len(horizontal) * channels, 1, 1, inputs), np.int8), 0, 0)
    left, right = min(first for first, _ in spans), max(end for _, end in spans)
    kernel = np.zeros((len(horizontal), channels, bottom - top, right - left, inputs), np.int8)
    for number, phase in enumerate(horizontal):
        for m in range(vertical.taps):
            y = vertical.ahead - m - top
            for n in range(phase.taps):
                x = phase.ahead - n - left
                tap = vertical.first + strides[0] * m, phase.first + strides[1] * n
                kernel[number, :, y, x] = weights[:, tap[0], tap[1]]
    merged = kernel.reshape(-1, *kernel.shape[2:])
    return _SubKernel(merged, top, left)


def _phase_task(
    ifm: Extent, ofm: Extent, kernel: _SubKernel, column: int, parameters: ProductParameters
) -> GridTask:
    """The CONV whose outputs, from input column `column` on, are one phase of rows."""
    outputs, height, width, _ = kernel.weights.shape
    repeats = outputs // len(parameters.bias)
    bias = np.tile(parameters.bias, repeats)
    arguments = parameters.arguments()
    for name in ("multiplier", "shift"):
        arguments[name] = np.tile(arguments[name], repeats)
    return GridTask(
        opcode=Opcode.CONV,
        ifm=ifm,
        ofm=ofm,
        window=SlidingWindow(
            height=height, width=width, pad_top=-kernel.top, pad_left=-kernel.left - column
        ),
        area=Area.of_all(ofm),
        weights=kernel.weights,
        bias=fold_zero_point(bias, kernel.weights, parameters.ifm_zero_point, 0),
        **arguments,
    )


def _part(number: int, rows: slice, columns: slice, extent: Extent) -> Change:
    """Some rows and columns of map `number`, as a map of `extent`."""
    shape = (extent.height, extent.width, extent.channels)
    return lambda array: array[number, rows, columns].reshape(shape, copy=False)
