"""Elementwise operators: functions of two maps, and of one by table."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.lookup import UNARY_KINDS
from kernels.quantization import add_parameters, mul_multiplier
from kernels.requantize import Rounding
from npu.compiler.terms.geometry import Extent
from npu.compiler.terms.operator import LoweredOperator, constant_source
from npu.compiler.terms.shapes import is_map, map_extent
from npu.compiler.terms.tasks import ElementwiseTask
from npu.model.graph import Graph, Operator, Tensor
from npu.model.options import ElementwiseOptions
from npu.model.quant_params import activation_range, blamed_on, scale_and_zero_point
from npu.reference.executors.common import Context
from npu.reference.executors.registry import run_operator
from rtl.isa import Function

FUNCTIONS = {
    "ADD": Function.ADD,
    "SUB": Function.SUB,
    "MUL": Function.MUL,
    "MAXIMUM": Function.MAXIMUM,
    "MINIMUM": Function.MINIMUM,
}
"""Operators of two operands."""

TABLE_KINDS = {*UNARY_KINDS, "PRELU", "RSQRT"}
"""Operators of one operand, and perhaps of a constant. Any other whose kernel computes each value
of a byte by itself may be added: its kernel fills the table."""


@dataclass(frozen=True, slots=True, eq=False)
class _Operand:
    """A map: what holds it, its extent, and its values if they are constant.

    `data` is int8 `[height, width, channels]`.
    """

    position: int
    source: int
    extent: Extent
    data: NDArray[np.int8] | None = None


def lower_elementwise(graph: Graph, op: Operator, rounding: Rounding) -> LoweredOperator:
    """Lower an operator of `FUNCTIONS` or `TABLE_KINDS`."""
    extent = output_extent(graph, op)
    if has_table(graph, op):
        table = operator_table(graph, op, rounding)
        task = ElementwiseTask(function=Function.TABLE, extent=extent, table=table)
        source = next(t for t in op.inputs if not graph.tensors[t].is_constant)
        return LoweredOperator(op.index, op.kind, 0, (source,), op.outputs[0], (task,))
    first, second = (_operand(graph, op, position, extent) for position in (0, 1))
    if first.extent != extent and op.kind != "SUB":
        first, second = second, first
    if first.extent != extent:
        first = replace(first, extent=extent, data=_whole(first.data, extent))
    return LoweredOperator(
        op.index,
        op.kind,
        0,
        (first.source, second.source),
        op.outputs[0],
        (_function(graph, op, extent, first, second),),
        {o.source: o.data for o in (first, second) if o.data is not None},
    )


def in_whole_words(work: LoweredOperator, lanes: int) -> LoweredOperator:
    """`work` on rows of bytes that fill words, if it is a table of a map whose pixels do not.

    For a map from memory: a function of each byte need not know pixels. What reads the result has
    it from memory again, as it would have the map without the function.
    """
    task = work.tasks[0]
    if not isinstance(task, ElementwiseTask) or task.function != Function.TABLE:
        return work
    extent = task.extent
    words, rest = divmod(extent.width * extent.channels, lanes)
    if extent.channels % lanes == 0 or rest:
        return work
    return replace(work, tasks=(replace(task, extent=Extent(extent.height, words, lanes)),))


def repeats_minuend(graph: Graph, op: Operator) -> bool:
    """Whether the first operand of a SUB is computed and has fewer rows or columns than the result:
    the hardware repeats second operands only."""
    if op.kind != "SUB" or has_table(graph, op) or graph.tensors[op.inputs[0]].is_constant:
        return False
    extent = operand_extent(graph, op, graph.tensors[op.inputs[0]])
    return extent is not None and extent.pixels != output_extent(graph, op).pixels


def lower_repetition(graph: Graph, op: Operator, target: int) -> LoweredOperator:
    """The first operand of a SUB that `repeats_minuend`, repeated to be `target`; a part of `op`.

    As the second operand of an ADD whose first one counts nothing.
    """
    extent = output_extent(graph, op)
    repeated, whole = (_operand(graph, op, position, extent) for position in (0, 1))
    plain = add_parameters(1.0, 1.0, 1.0)
    task = ElementwiseTask(
        function=Function.ADD,
        extent=extent,
        second=repeated.extent,
        operand_multiplier=0,
        multiplier=plain.multiplier,
        shift=plain.shift,
    )
    data = _whole(whole.data, extent)
    sources = whole.source, repeated.source
    constants = {} if data is None else {whole.source: data}
    return LoweredOperator(op.index, op.kind, 0, sources, target, (task,), constants)


def _whole(data: NDArray[np.int8] | None, extent: Extent) -> NDArray[np.int8] | None:
    """A constant with all pixels of a map."""
    if data is None:
        return None
    sides = extent.height, extent.width, extent.channels
    return np.ascontiguousarray(np.broadcast_to(data, sides))


def has_table(graph: Graph, op: Operator) -> bool:
    """Whether the output is a function of one byte: constants have a single value each."""
    inputs = [graph.tensors[t] for t in op.inputs]
    computed = {t.index for t in inputs if not t.is_constant}
    return len(computed) == 1 and all(t.size == 1 for t in inputs if t.is_constant)


def output_extent(graph: Graph, op: Operator) -> Extent:
    """The map that an elementwise operator makes.

    Of more dimensions than a map has, those in front of the channels become rows and columns in
    such a way that operands are repeated along one of them, if that is possible.
    """
    shape = graph.output_tensor(op).shape
    if is_map(shape):
        return map_extent(shape)
    groups: list[tuple[tuple[bool, ...], int]] = []
    operands = [_aligned(graph.tensors[t].shape, len(shape)) for t in op.inputs]
    for axis, size in enumerate(shape[:-1]):
        repeated = tuple(operand[axis] != size for operand in operands)
        if size == 1:
            continue
        if groups and groups[-1][0] == repeated:
            groups[-1] = repeated, groups[-1][1] * size
        else:
            groups.append((repeated, size))
    if len(groups) != 2:
        # as many rows as there can be: maps that do not fit are cut between them
        return Extent(int(np.prod(shape[:-2])), shape[-2], shape[-1])
    return Extent(groups[0][1], groups[1][1], shape[-1])


def operand_extent(graph: Graph, op: Operator, tensor: Tensor) -> Extent | None:
    """The map as which an operator of two operands reads a computed one.

    It has one channel where that is repeated. None where more is repeated than the hardware can.
    """
    ofm, extent = graph.output_tensor(op), output_extent(graph, op)
    if tensor.size == ofm.size:
        return extent
    if is_map(ofm.shape):
        return map_extent(tensor.shape)
    channels = (tensor.shape or (1,))[-1]
    pixels = tensor.size // channels
    for height, width in (
        (1, 1),
        (1, extent.width),
        (extent.height, 1),
        (extent.height, extent.width),
    ):
        found = Extent(height, width, channels)
        seen = _aligned(tensor.shape, len(ofm.shape))
        if height * width == pixels and _repeats_as(seen, ofm.shape, found, extent):
            return found
    return None


def channels_repeated(graph: Graph, op: Operator) -> dict[int, Extent]:
    """Computed operands whose one channel meets several, as maps with all of them."""
    if op.kind not in FUNCTIONS or has_table(graph, op):
        return {}
    channels = output_extent(graph, op).channels
    found: dict[int, Extent] = {}
    for index in op.inputs:
        tensor = graph.tensors[index]
        extent = None if tensor.is_constant else operand_extent(graph, op, tensor)
        if extent is not None and extent.channels != channels:
            found[index] = replace(extent, channels=channels)
    return found


def _aligned(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + shape


def _repeats_as(
    shape: tuple[int, ...], ofm: tuple[int, ...], found: Extent, extent: Extent
) -> bool:
    """Whether a tensor of `shape` meets `ofm` as the map `found` meets the map `extent`."""
    numbers = np.broadcast_to(np.arange(np.prod(shape)).reshape(shape), ofm)
    sides = extent.height, extent.width, extent.channels
    seen = np.arange(found.size).reshape(found.height, found.width, found.channels)
    return np.array_equal(numbers.reshape(-1), np.broadcast_to(seen, sides).reshape(-1))


def operator_table(graph: Graph, op: Operator, rounding: Rounding) -> NDArray[np.uint8]:
    """The results of an operator that `has_table` for every byte, uint8 `[256]`.

    What the kernel of the operator computes of all values of a byte, int8 or uint8.
    Raises `ModelError` for parameters, or one of the values, that the kernel does not accept.
    """
    computed = next(t for t in op.inputs if not graph.tensors[t].is_constant)
    every = np.arange(256).astype(np.uint8).view(graph.tensors[computed].dtype)
    tensors = list(graph.tensors)
    for index in (computed, op.outputs[0]):
        tensors[index] = replace(tensors[index], shape=(256,))
    context = Context({computed: every}, rounding)
    run_operator(replace(graph, tensors=tuple(tensors)), op, context)
    table: NDArray[np.uint8] = context.values[op.outputs[0]].view(np.uint8)
    return table


def _operand(graph: Graph, op: Operator, position: int, extent: Extent) -> _Operand:
    tensor = graph.tensors[op.inputs[position]]
    if tensor.data is None:
        found = operand_extent(graph, op, tensor)
        assert found is not None, "a rule excludes others"
        found = channels_repeated(graph, op).get(tensor.index, found)
        return _Operand(position, tensor.index, found)
    data, extent = constant_map(graph, op, tensor, extent)
    return _Operand(position, constant_source(op.index), extent, data)


def constant_map(
    graph: Graph, op: Operator, tensor: Tensor, extent: Extent
) -> tuple[NDArray[np.int8], Extent]:
    """A constant operand as a map of `extent`, or as one pixel where all pixels are alike."""
    assert tensor.data is not None
    data = np.broadcast_to(tensor.data, graph.output_tensor(op).shape)
    data = data.reshape(extent.height, extent.width, extent.channels)
    if (data == data[:1, :1]).all():
        data, extent = data[:1, :1], Extent(1, 1, extent.channels)
    return np.ascontiguousarray(data), extent


def _function(
    graph: Graph, op: Operator, extent: Extent, first: _Operand, second: _Operand
) -> ElementwiseTask:
    """The task of a function of two operands, in the order in which the hardware takes them."""
    task = ElementwiseTask(
        function=FUNCTIONS[op.kind],
        extent=extent,
        second=second.extent if second.extent != extent else None,
    )
    if op.kind in ("MAXIMUM", "MINIMUM"):
        return task
    positions = first.position, second.position
    inputs = [scale_and_zero_point(graph.tensors[op.inputs[p]]) for p in positions]
    (scale_a, zero_a), (scale_b, zero_b) = inputs
    scale, zero_point = scale_and_zero_point(graph.output_tensor(op))
    low, high = activation_range(graph, op, op.options_as(ElementwiseOptions).activation)
    task = replace(
        task,
        zero_points=(zero_a, zero_b),
        ofm_zero_point=zero_point,
        activation_min=low,
        activation_max=high,
    )
    with blamed_on(op):
        if op.kind == "MUL":
            multiplier, shift = mul_multiplier(scale_a, scale_b, scale)
            return replace(task, multiplier=multiplier, shift=shift)
        parameters = add_parameters(scale_a, scale_b, scale)
    scales = (
        (parameters.multiplier_a, parameters.shift_a),
        (parameters.multiplier_b, parameters.shift_b),
    )
    # the larger scale is exactly half of what both are related to
    scale_second = scales[0] == (1 << 30, 0)
    scaled, unscaled = (scales[1], scales[0]) if scale_second else scales
    assert unscaled == (1 << 30, 0), f"operands are scaled by {scales}"
    return replace(
        task,
        scale_second=scale_second,
        operand_multiplier=scaled[0],
        operand_right_shift=-scaled[1],
        multiplier=parameters.multiplier,
        shift=parameters.shift,
    )
