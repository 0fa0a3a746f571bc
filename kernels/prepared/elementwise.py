"""ADD, SUB, SOFTMAX and functions of one value, prepared for one shape of int8.

The inner loops are those of `add`, `sub`, `softmax` and `apply_table`,
and so are arguments and checks.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.checks import (
    check_activation,
    check_array,
    check_multiplier,
    check_rounding,
    check_zero_point,
)
from kernels.elementwise import add_values
from kernels.jit import internal, typed
from kernels.lookup import look_up
from kernels.output_stage import OutputStage
from kernels.prepared.panels import OUTPUT_ROWS, output_rows
from kernels.prepared.sequence import PreparedKernel
from kernels.prepared.step import new_step
from kernels.prepared.sum_tile import LANES, sum_tile
from kernels.quantization import (
    ADD_LEFT_SHIFT,
    AddParameters,
    SoftmaxParameters,
)
from kernels.requantize import Rounding
from kernels.softmax import MAX_ROW, exponential_table, softmax_rows

_BITS = typed(8)


def prepare_sum(
    shape: tuple[int, ...],
    *,
    sign: int,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> PreparedKernel:
    """ADD (`sign` 1) or SUB (-1) of two operands of one `shape`."""
    mode = check_rounding(rounding)
    low, high = check_activation(activation_min, activation_max)
    p = parameters
    zero_points = np.array(
        [
            check_zero_point("a_zero_point", a_zero_point),
            check_zero_point("b_zero_point", b_zero_point),
            0,
        ]
    )
    multipliers = [
        check_multiplier(*scale)
        for scale in (
            (p.multiplier_a, p.shift_a),
            (p.multiplier_b, p.shift_b),
            (p.multiplier, p.shift),
        )
    ]
    multiplier, shift = np.array(multipliers, np.int32).T
    stage = OutputStage(multiplier, shift, 0, low, high, mode)
    stages = output_rows((-zero_points << ADD_LEFT_SHIFT).astype(np.int32), stage).T
    to_common = [(int(zero_points[i]), *multipliers[i]) for i in range(2)]
    step = new_step(
        block=prod(shape),
        multiplier=multipliers[2][0],
        shift=multipliers[2][1],
        rounding=mode,
        sign=sign,
        ofm_zero_point=check_zero_point("ofm_zero_point", ofm_zero_point),
        low=low,
        high=high,
    )
    constants = np.concatenate([stages.reshape(-1), np.array(to_common, np.int32).reshape(-1)])
    return PreparedKernel(step, shape, shape, run_sum, channels=constants)


@internal
def run_sum(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    step = all_steps[number]
    stages = step["channels"]
    a, b, place = step["ifm"], step["second"], step["ofm"]
    zero_point, low, high = step["ofm_zero_point"], step["low"], step["high"]
    size = step["block"]
    vectors = size // LANES
    if vectors > 0:
        sum_tile(
            channels,
            stages,
            arena,
            a,
            arena,
            b,
            arena,
            place,
            vectors,
            min(step["sign"], 0),
            zero_point,
            low,
            high,
        )
    # what no vector holds, one by one
    done = vectors * LANES
    scales = channels[stages + 3 * OUTPUT_ROWS : stages + 3 * OUTPUT_ROWS + 6]
    add_values(
        arena[a + done : a + size],
        arena[b + done : b + size],
        (scales[0], scales[1], scales[2]),
        (scales[3], scales[4], scales[5]),
        ADD_LEFT_SHIFT,
        step["sign"],
        step["multiplier"],
        step["shift"],
        step["rounding"],
        zero_point,
        low,
        high,
        arena[place + done : place + size],
    )


def prepare_softmax(ifm_shape: tuple[int, ...], *, parameters: SoftmaxParameters) -> PreparedKernel:
    """SOFTMAX to int8."""
    length = ifm_shape[-1] if ifm_shape else 1
    if length > MAX_ROW:
        raise ValueError(f"ifm has rows of {length} values; allowed is at most {MAX_ROW}")
    p = parameters
    table = exponential_table(p.multiplier, p.shift, p.diff_min).astype(np.int32)
    step = new_step(batches=prod(ifm_shape) // length, ifm_channels=length, low=p.diff_min)
    return PreparedKernel(step, ifm_shape, ifm_shape, run_softmax, channels=table)


@internal
def run_softmax(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    step = all_steps[number]
    size = step["batches"] * step["ifm_channels"]
    softmax_rows(
        arena[step["ifm"] : step["ifm"] + size],
        step["ifm_channels"],
        channels[step["channels"] : step["channels"] + 256],
        step["low"],
        _BITS,
        arena[step["ofm"] : step["ofm"] + size],
    )


def prepare_table(shape: tuple[int, ...], table: NDArray[np.int8]) -> PreparedKernel:
    """A function of one value, by its `table` (256,) from `kernels.lookup.unary_table`."""
    check_array("table", table, np.int8, 1)
    if table.size != 256:
        raise ValueError(f"table has {table.size} entries; allowed is 256")
    step = new_step(block=prod(shape))
    entries = table.astype(np.int32)
    return PreparedKernel(step, shape, shape, run_table, channels=entries)


@internal
def run_table(
    all_steps: NDArray[Any],
    number: int,
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    arena: NDArray[np.int8],
) -> None:
    """The `StepKernel`."""
    step = all_steps[number]
    size = step["block"]
    look_up(
        arena[step["ifm"] : step["ifm"] + size],
        channels[step["channels"] : step["channels"] + 256],
        arena[step["ofm"] : step["ofm"] + size],
    )
