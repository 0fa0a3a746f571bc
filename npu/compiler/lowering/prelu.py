"""PRELU with several slopes: what is positive and what is negative, each rescaled, and their sum.

Either of the two is the zero point of the output where the other one counts, so that the sum
neither rounds nor saturates.
"""

from collections.abc import Iterator

import numpy as np

from kernels.elementwise import prelu
from kernels.quantization import add_parameters, prelu_parameters
from kernels.requantize import Rounding
from npu.compiler.lowering.elementwise import constant_map, has_table, output_extent
from npu.compiler.terms.operator import LoweredOperator, constant_source
from npu.compiler.terms.tasks import ElementwiseTask
from npu.model.graph import Graph, Operator
from npu.model.quant_params import blamed_on, scale_and_zero_point
from rtl.isa import Function

STEPS_BETWEEN = 3
"""Maps that exist only between the steps of a PRELU."""


def several_slopes(graph: Graph, op: Operator) -> bool:
    """Whether `op` is a PRELU that takes more than a table."""
    return op.kind == "PRELU" and not has_table(graph, op)


def lower_prelu(
    graph: Graph, op: Operator, rounding: Rounding, between: tuple[int, ...]
) -> Iterator[LoweredOperator]:
    """Lower a PRELU with `several_slopes`, which are constant.

    Parameters
    ----------
    between : `STEPS_BETWEEN` roots of the output's extent: what is not negative, rescaled; what is
        not positive; that times the slopes.

    Raises
    ------
    ModelError, CompileError : parameters that the kernel does not accept, or the hardware.
    """
    extent = output_extent(graph, op)
    (ifm_scale, ifm_zero), (slope_scale, slope_zero) = (
        scale_and_zero_point(graph.tensors[i]) for i in op.inputs
    )
    scale, zero_point = scale_and_zero_point(graph.output_tensor(op))
    with blamed_on(op):
        parameters = prelu_parameters(ifm_scale, slope_scale, scale)
        plain = add_parameters(1.0, 1.0, 1.0)
    every = np.arange(256).astype(np.int8)
    # a slope of zero leaves the zero point of negative values
    positive = prelu(
        every,
        np.full(256, slope_zero, np.int8),
        ifm_zero_point=ifm_zero,
        alpha_zero_point=slope_zero,
        ofm_zero_point=zero_point,
        parameters=parameters,
        rounding=rounding,
    )
    negative = np.minimum(every, np.int8(ifm_zero))
    source = op.inputs[0]
    for target, table in zip(between, (positive, negative), strict=False):
        task = ElementwiseTask(function=Function.TABLE, extent=extent, table=table.view(np.uint8))
        yield LoweredOperator(op.index, op.kind, 0, (source,), target, (task,))
    slopes, slopes_extent = constant_map(graph, op, graph.tensors[op.inputs[1]], extent)
    constant = constant_source(op.index)
    task = ElementwiseTask(
        function=Function.MUL,
        extent=extent,
        second=slopes_extent if slopes_extent != extent else None,
        zero_points=(ifm_zero, slope_zero),
        multiplier=parameters.multiplier_alpha,
        shift=parameters.shift_alpha,
        ofm_zero_point=zero_point,
    )
    operands = between[1], constant
    yield LoweredOperator(op.index, op.kind, 0, operands, between[2], (task,), {constant: slopes})
    task = ElementwiseTask(
        function=Function.ADD,
        extent=extent,
        scale_second=True,
        operand_multiplier=plain.multiplier_b,
        operand_right_shift=-plain.shift_b,
        zero_points=(zero_point, zero_point),
        multiplier=plain.multiplier,
        shift=plain.shift,
        ofm_zero_point=zero_point,
    )
    yield LoweredOperator(op.index, op.kind, 0, (between[0], between[2]), op.outputs[0], (task,))
