"""FULLY_CONNECTED of int16 activations and int8 weights (16x8).

Zero points of activations are 0. The accumulator is int64 and meets a multiplier of 16 bits.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import as_operand, check_array, check_wide_shift, check_zero_point
from kernels.fully_connected import check_rows
from kernels.int16.output_stage import check_output_stage_int16
from kernels.output_stage import OutputStage, wide_output_value


def fully_connected_16x8(
    ifm: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64] | None,
    *,
    weight_zero_point: int = 0,
    stage: OutputStage,
) -> NDArray[np.int16]:
    """FULLY_CONNECTED of `ifm` (rows, inputs) with `weights` (outputs, inputs), to (rows, outputs).

    An IFM of any other rank is reshaped to rows of `inputs` values; `bias` is int64 of shape
    (outputs,). Bit-exact with TFLM's `reference_integer_ops::FullyConnected` for int16.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int16)
    check_array("weights", weights, np.int8, 2)
    outputs, inputs = weights.shape
    rows = check_rows(ifm.size, inputs)
    if bias is None:
        bias = np.zeros(outputs, np.int64)
    check_array("bias", bias, np.int64, 1)
    if bias.size != outputs:
        raise ValueError(f"bias has {bias.size} values; allowed is one per channel: {outputs}")
    stage = check_output_stage_int16(stage, outputs)
    check_wide_shift(int(stage.shift.max()))
    ofm = np.empty((rows, outputs), np.int16)
    _fully_connected(
        as_operand(ifm.reshape(rows, inputs)),
        as_operand(weights),
        as_operand(bias),
        check_zero_point("weight_zero_point", weight_zero_point),
        stage,
        ofm,
    )
    return ofm


@njit(cache=True, nogil=True)
def _fully_connected(
    rows: NDArray[np.int16],
    weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    weight_zero_point: int,
    stage: OutputStage,
    ofm: NDArray[np.int16],
) -> None:
    for n in range(ofm.shape[0]):
        for k in range(ofm.shape[1]):
            acc = bias[k]
            for i in range(rows.shape[1]):
                acc += np.int64(rows[n, i]) * (np.int64(weights[k, i]) - weight_zero_point)
            ofm[n, k] = wide_output_value(acc, k, stage)
