"""SVDF, int8 with an int16 (or int8) state: a feature projection, then a filter over time."""

from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    as_operand,
    check_array,
    check_bias,
    check_multiplier,
    check_rounding,
    check_zero_point,
)
from kernels.quantization import INT8_MAX, INT8_MIN, SvdfParameters
from kernels.requantize import Rounding, multiply_by_quantized_multiplier, requantize_and_clamp

State = TypeVar("State", np.int8, np.int16)


def svdf(
    ifm: NDArray[np.int8],
    state: NDArray[State],
    weights_feature: NDArray[np.int8],
    weights_time: NDArray[State],
    bias: NDArray[np.int32] | None,
    *,
    ifm_zero_point: int,
    state_zero_point: int,
    ofm_zero_point: int,
    parameters: SvdfParameters,
    rounding: Rounding = Rounding.DOUBLE,
) -> tuple[NDArray[np.int8], NDArray[State]]:
    """SVDF of one time step: (the OFM (N, units), the state for the next step).

    Each of the filters projects `ifm` (N, inputs) by its row of `weights_feature`
    (filters, inputs), appends the result to its memory in `state` (N, filters * memory), whose
    oldest value it drops, and weighs the memory by its row of `weights_time` (filters, memory).
    Every `filters / units` filters in a row add up to one unit. `state` and `weights_time` are both
    int16 or both int8; `bias` has shape (units,), int32; `state` is not changed.
    `parameters` come from `kernels.quantization.svdf_parameters`. Bit-exact with TFLM's
    `EvalIntegerSvdfReference`, which ignores the fused activation too.
    Raises ValueError for a wrong dtype, shape or range.
    """
    check_array("ifm", ifm, np.int8, 2)
    check_array("weights_feature", weights_feature, np.int8, 2)
    dtype = weights_time.dtype if weights_time.dtype == np.int8 else np.dtype(np.int16)
    check_array("weights_time", weights_time, dtype, 2)
    check_array("state", state, dtype, 2)
    filters, inputs = weights_feature.shape
    memory = weights_time.shape[1]
    shapes = {
        "ifm": (ifm.shape[1], inputs),
        "weights_time": (weights_time.shape[0], filters),
        "state": (state.shape, (ifm.shape[0], filters * memory)),
    }
    for name, (given, allowed) in shapes.items():
        if given != allowed:
            raise ValueError(f"{name} has size {given}; allowed is {allowed}")
    p = parameters
    if p.rank < 1 or filters % p.rank:
        raise ValueError(f"rank is {p.rank}; allowed are divisors of the filters: {filters}")
    feature = check_multiplier(p.multiplier_feature, p.shift_feature)
    time = check_multiplier(p.multiplier_time, p.shift_time)
    if dtype == np.int16 and state_zero_point != 0:
        raise ValueError(f"state_zero_point is {state_zero_point}; allowed for int16 is 0")
    ofm = np.empty((ifm.shape[0], filters // p.rank), np.int8)
    next_state = np.array(state.reshape(-1, filters, memory), order="C")
    _svdf(
        as_operand(ifm),
        next_state,
        as_operand(weights_feature),
        as_operand(weights_time),
        check_bias(bias, ofm.shape[1]),
        check_zero_point("ifm_zero_point", ifm_zero_point),
        check_zero_point("state_zero_point", state_zero_point),
        check_zero_point("ofm_zero_point", ofm_zero_point),
        *feature,
        *time,
        check_rounding(rounding),
        int(np.iinfo(dtype).max),
        ofm,
    )
    return ofm, next_state.reshape(state.shape)


@njit(cache=True, nogil=True)
def _svdf(
    ifm: NDArray[np.int8],
    state: NDArray[Any],
    weights_feature: NDArray[np.int8],
    weights_time: NDArray[Any],
    bias: NDArray[np.int32],
    ifm_zero_point: int,
    state_zero_point: int,
    ofm_zero_point: int,
    multiplier_feature: int,
    shift_feature: int,
    multiplier_time: int,
    shift_time: int,
    rounding: int,
    state_max: int,
    ofm: NDArray[np.int8],
) -> None:
    batches, filters, memory = state.shape
    rank = filters // ofm.shape[1]
    for n in range(batches):
        for unit in range(ofm.shape[1]):
            acc = bias[unit]
            for f in range(unit * rank, (unit + 1) * rank):
                projection = np.int32(0)
                for i in range(ifm.shape[1]):
                    value = np.int32(ifm[n, i]) - np.int32(ifm_zero_point)
                    projection = np.int32(projection + value * np.int32(weights_feature[f, i]))
                scaled = multiply_by_quantized_multiplier(
                    projection, multiplier_feature, shift_feature, rounding
                )
                for j in range(memory - 1):
                    state[n, f, j] = state[n, f, j + 1]
                clamped = min(max(scaled, np.int64(-state_max - 1)), np.int64(state_max))
                # TFLM adds the zero point of an int8 state after clamping, and the sum may wrap
                wrapped = (clamped + state_zero_point + state_max + 1) & (2 * state_max + 1)
                state[n, f, memory - 1] = wrapped - state_max - 1
                for j in range(memory):
                    past = np.int32(state[n, f, j]) - np.int32(state_zero_point)
                    acc = np.int32(acc + past * np.int32(weights_time[f, j]))
            ofm[n, unit] = requantize_and_clamp(
                acc,
                multiplier_time,
                shift_time,
                ofm_zero_point,
                INT8_MIN,
                INT8_MAX,
                rounding,
            )
