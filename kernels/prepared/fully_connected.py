"""FULLY_CONNECTED, int8, per-tensor or per-channel weights: a convolution of one tap."""

from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from kernels.checks import (
    WindowPlacement,
    check_array,
    check_bias,
    check_output_stage,
    check_zero_point,
)
from kernels.prepared.conv import matrix_product
from kernels.prepared.instruction_sets import InstructionSet, default
from kernels.prepared.step import PreparedKernel
from kernels.requantize import Rounding


def fully_connected(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """FULLY_CONNECTED of `ifm` (rows, inputs) with `weights` (outputs, inputs), to (rows, outputs).

    `bias`, `multiplier` and `shift` have shape (outputs,), int32; with per-tensor weights the last
    two are constant, see `kernels.quantization.conv_multipliers`. An IFM of any other rank
    is reshaped to rows of `inputs` values. Bit-exact with TFLM's
    `reference_integer_ops::FullyConnected`.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int8)
    return prepare_fully_connected(
        ifm.shape,
        weights,
        bias,
        ifm_zero_point=ifm_zero_point,
        ofm_zero_point=ofm_zero_point,
        multiplier=multiplier,
        shift=shift,
        activation_min=activation_min,
        activation_max=activation_max,
        rounding=rounding,
    ).run(ifm)


def prepare_fully_connected(
    ifm_shape: tuple[int, ...],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
    isa: InstructionSet | None = None,
) -> PreparedKernel:
    """`fully_connected` for all IFMs of `ifm_shape`, with the weights packed for `isa`.

    Raises as `fully_connected`.
    """
    check_array("weights", weights, np.int8, 2)
    outputs, inputs = weights.shape
    size = prod(ifm_shape)
    if size % inputs:
        raise ValueError(f"ifm has {size} values; allowed are multiples of {inputs}")
    bias = check_bias(bias, outputs)
    stage = check_output_stage(
        ofm_zero_point, multiplier, shift, outputs, activation_min, activation_max, rounding
    )
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    rows = size // inputs
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
