"""FULLY_CONNECTED, int8, per-tensor or per-channel weights."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    OutputStage,
    as_operand,
    check_array,
    check_bias,
    check_output_stage,
    check_zero_point,
)
from kernels.requantize import Rounding, requantize_to_int8


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
    check_array("weights", weights, np.int8, 2)
    outputs, inputs = weights.shape
    if ifm.size % inputs:
        raise ValueError(f"ifm has {ifm.size} values; allowed are multiples of {inputs}")
    bias = check_bias(bias, outputs)
    stage = check_output_stage(
        ofm_zero_point, multiplier, shift, outputs, activation_min, activation_max, rounding
    )
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    rows = as_operand(ifm.reshape(-1, inputs))
    ofm = np.empty((rows.shape[0], outputs), np.int8)
    dot_rows(rows, as_operand(weights), bias, ifm_zero_point, stage, ofm)
    return ofm


@njit(cache=True, nogil=True)
def dot_rows(
    rows: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    ifm_zero_point: int,
    stage: OutputStage,
    ofm: NDArray[np.int8],
) -> None:
    """The matrix product behind `fully_connected`, unchecked; all arrays C-contiguous."""
    count, inputs = rows.shape
    # int16 operands let the compiler use paired multiply-adds
    x = np.empty(inputs, np.int16)
    for n in range(count):
        for i in range(inputs):
            x[i] = np.int16(np.int64(rows[n, i]) - ifm_zero_point)
        for k in range(weights.shape[0]):
            acc = bias[k]
            for i in range(inputs):
                acc = np.int32(acc + np.int32(x[i]) * np.int32(weights[k, i]))
            ofm[n, k] = requantize_to_int8(
                acc,
                stage.multiplier[k],
                stage.shift[k],
                stage.zero_point,
                stage.low,
                stage.high,
                stage.rounding,
            )
