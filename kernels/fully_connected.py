"""FULLY_CONNECTED, int8, per-tensor or per-channel weights."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import Pair, as_operand, check_array, check_bias, check_zero_point
from kernels.output_stage import OutputStage, check_output_stage, output_value


def fully_connected(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    ifm_zero_point: int,
    weight_zero_point: int = 0,
    stage: OutputStage,
) -> NDArray[np.int8]:
    """FULLY_CONNECTED of `ifm` (rows, inputs) with `weights` (outputs, inputs), to (rows, outputs).

    `bias` has shape (outputs,), int32. An IFM of any other rank is reshaped to rows of `inputs`
    values. Weights may have a zero point, of which TFLM takes notice here alone. Bit-exact with
    TFLM's `reference_integer_ops::FullyConnected`.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int8)
    check_array("weights", weights, np.int8, 2)
    outputs, inputs = weights.shape
    check_rows(ifm.size, inputs)
    bias, stage = check_bias(bias, outputs), check_output_stage(stage, outputs)
    zero_points = (
        check_zero_point("ifm_zero_point", ifm_zero_point),
        check_zero_point("weight_zero_point", weight_zero_point),
    )
    rows = as_operand(ifm.reshape(-1, inputs))
    ofm = np.empty((rows.shape[0], outputs), np.int8)
    _fully_connected(rows, as_operand(weights), bias, zero_points, stage, ofm)
    return ofm


def check_rows(size: int, inputs: int) -> int:
    """The rows that `size` values are; ValueError unless they divide by `inputs`."""
    if size % inputs:
        raise ValueError(f"ifm has {size} values; allowed are multiples of {inputs}")
    return size // inputs


@njit(cache=True, nogil=True)
def _fully_connected(
    rows: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    zero_points: Pair,
    stage: OutputStage,
    ofm: NDArray[np.int8],
) -> None:
    for n in range(ofm.shape[0]):
        for k in range(ofm.shape[1]):
            acc = bias[k]
            for i in range(rows.shape[1]):
                value = np.int64(rows[n, i]) - zero_points[0]
                acc = np.int32(acc + value * (np.int64(weights[k, i]) - zero_points[1]))
            ofm[n, k] = output_value(acc, k, stage)
