"""FULLY_CONNECTED, int8, per-tensor or per-channel weights: a convolution of one tap."""

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from kernels.checks import (
    WindowPlacement,
    check_array,
    check_bias,
    check_zero_point,
)
from kernels.fully_connected import check_rows
from kernels.output_stage import OutputStage, check_output_stage
from kernels.prepared.conv import matrix_product
from kernels.prepared.instruction_sets import InstructionSet, default
from kernels.prepared.sequence import PreparedKernel


def prepare_fully_connected(
    ifm_shape: tuple[int, ...],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    ifm_zero_point: int,
    stage: OutputStage,
    isa: InstructionSet | None = None,
) -> PreparedKernel:
    """`kernels.fully_connected.fully_connected` for all IFMs of `ifm_shape`, packed for `isa`.

    Raises as that does.
    """
    check_array("weights", weights, np.int8, 2)
    outputs, inputs = weights.shape
    rows = check_rows(prod(ifm_shape), inputs)
    bias, stage = check_bias(bias, outputs), check_output_stage(stage, outputs)
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    prepared = matrix_product(
        isa or default(),
        (1, 1, rows, inputs),
        weights.reshape(outputs, 1, 1, inputs),
        bias,
        WindowPlacement((1, 1), (1, 1), (0, 0), (1, rows)),
        1,
        ifm_zero_point,
        stage,
    )
    return replace(prepared, ifm_shape=ifm_shape, ofm_shape=(rows, outputs))
