"""BATCH_MATMUL: its operands as matrices with dense rows, and its arithmetic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.quantization import mul_multiplier
from npu.compiler.direct.copies import Block, Copy
from npu.compiler.direct.matmul import MatMul, find_taps
from npu.compiler.lowering.copying import direct_operator
from npu.compiler.lowering.views import Views
from npu.compiler.stream.transfers import STRIDE_LIMIT
from npu.compiler.terms.operator import LoweredOperator, constant_source
from npu.compiler.terms.strided import Strided
from npu.model.graph import Graph, Operator
from npu.model.options import BatchMatMulOptions
from npu.model.quant_params import blamed_on, scale_and_zero_point
from rtl.isa import Region


@dataclass(frozen=True, slots=True)
class Matrices:
    """A product `a @ b.T`.

    Parameters
    ----------
    operands : `a` and `b`, `[batches..., rows or columns, depth]`; None for a constant.
    ofm : `[batches..., rows, columns]`.
    """

    operands: tuple[Strided | None, Strided | None]
    ofm: Strided

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        depths = [layout.shape[-1] for layout in self.operands if layout is not None]
        return self.ofm.size * depths[0]


def matrices_of(graph: Graph, op: Operator, view: Callable[[int], Strided]) -> Matrices:
    """The matrices of a BATCH_MATMUL whose tensors lie as `view` says."""
    options = op.options_as(BatchMatMulOptions)
    swapped = options.adj_x, not options.adj_y
    operands = [
        None
        if graph.tensors[tensor].is_constant
        else view(tensor).apply(lambda array: array.swapaxes(-1, -2))
        if swap
        else view(tensor)
        for tensor, swap in zip(op.inputs, swapped, strict=True)
    ]
    return Matrices((operands[0], operands[1]), view(op.outputs[0]))


def has_dense_rows(layout: Strided) -> bool:
    """Whether every row is one run of bytes, at a distance that commands can hold."""
    rows, depth = layout.shape[-2:]
    within = 0 <= layout.strides[-2] <= STRIDE_LIMIT
    return (depth == 1 or layout.strides[-1] == 1) and (rows == 1 or within)


def lower_batch_matmul(
    graph: Graph, op: Operator, views: Views, scratch: dict[int, int]
) -> list[LoweredOperator]:
    """A BATCH_MATMUL, after copies of operands whose rows are not dense.

    Adds what it copies to to `scratch`: bytes of roots that are no tensor of the graph.
    Raises `CopyNeeded` when the output cannot be written where it lies, `ModelError` for scales
    that no kernel accepts.
    """
    operators = []
    matrices = matrices_of(graph, op, views.view)
    rows: list[tuple[int, Strided]] = []
    for tensor, layout in zip(op.inputs, matrices.operands, strict=True):
        if layout is None:
            continue
        root = views.root(tensor)
        if not has_dense_rows(layout):
            copy, root = root, len(graph.tensors) + len(scratch)
            scratch[root] = layout.size
            dense = Strided.dense(layout.shape)
            block = Block(copy, root, layout, dense)
            operators.append(direct_operator(op, Copy((block,)), (copy,), root))
            layout = dense
        rows.append((root, layout))
    if not has_dense_rows(matrices.ofm):
        raise views.separately(op.outputs[0])
    work, constants = lower_matmul(graph, op, rows, (views.root(op.outputs[0]), matrices.ofm))
    sources = tuple(root for root, _ in rows)
    target = work.tensors[2]
    return [*operators, direct_operator(op, work, sources, target, constants, matrices.macs)]


def lower_matmul(
    graph: Graph, op: Operator, rows: Sequence[tuple[int, Strided]], ofm: tuple[int, Strided]
) -> tuple[MatMul, dict[int, NDArray[np.int8]]]:
    """The work of a BATCH_MATMUL, and the constants that it needs.

    Parameters
    ----------
    rows : root and layout of each operand that is not constant, with dense rows.
    ofm : those of the output.

    Raises `ModelError` for scales that no kernel accepts.
    """
    a_scale, a_zero_point = scale_and_zero_point(graph.tensors[op.inputs[0]])
    b_scale, b_zero_point = scale_and_zero_point(graph.tensors[op.inputs[1]])
    ofm_scale, ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))
    with blamed_on(op):
        multiplier, shift = mul_multiplier(a_scale, b_scale, ofm_scale)
    taps, held = find_taps(a_zero_point, b_zero_point), constant_source(op.index)
    depth = rows[0][1].shape[-1]
    values = np.array(taps.constants, np.int8)
    constants = [np.repeat(values, depth)]
    region, operands = Region.ARENA, list(rows)
    data = graph.tensors[op.inputs[1]].data
    if data is not None:
        region = Region.CONSTANTS
        columns = data if op.options_as(BatchMatMulOptions).adj_y else data.swapaxes(-1, -2)
        dense = Strided.dense(columns.shape)
        operands.append((held, Strided(dense.shape, dense.strides, len(constants[0]))))
        constants.append(np.ascontiguousarray(columns).reshape(-1))
    batches = ofm[1].shape[:-2]
    (a, a_rows), (b, b_rows) = operands
    work = MatMul(
        a=_for_batches(a_rows, batches),
        b=_for_batches(b_rows, batches),
        ofm=ofm[1],
        tensors=(a, b, ofm[0]),
        b_region=region,
        taps=taps,
        constants=held,
        multiplier=multiplier,
        shift=shift,
        ofm_zero_point=ofm_zero_point,
    )
    stored = np.concatenate(constants)
    return work, {held: stored} if stored.size else {}


def _for_batches(layout: Strided, batches: tuple[int, ...]) -> Strided:
    """A layout whose batches are repeated to be `batches`."""
    return layout.apply(lambda array: np.broadcast_to(array, batches + array.shape[-2:]))
