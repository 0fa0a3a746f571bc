"""Plain-Python twin of UNIDIRECTIONAL_SEQUENCE_LSTM of int8; see `tests.kernels.twins`.

The functions of its gates are those of int16, which have tests of their own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.int16.functions import SigmoidParameters, logistic_int16, tanh_int16
from kernels.requantize import Rounding
from tests.kernels.twins import wrap32
from tests.kernels.twins_rounding import rescale


def clamp(value: int, bits: int = 16) -> int:
    """The nearest value of so many bits."""
    largest: int = 2 ** (bits - 1) - 1
    return min(max(value, -largest - 1), largest)


def apply(function: Any, value: int, multiplier: int, shift: int) -> int:
    """A function of int16 of one value."""
    parameters = SigmoidParameters(multiplier, shift)
    return int(function(np.array([value], np.int16), parameters=parameters)[0])


def lstm(
    ifm: NDArray[np.int8],
    hidden: NDArray[np.int8],
    cell: NDArray[np.int16],
    input_weights: NDArray[np.int8],
    hidden_weights: NDArray[np.int8],
    bias: NDArray[np.int32],
    *,
    ifm_zero_point: int,
    hidden_zero_point: int,
    parameters: Any,
    rounding: Rounding,
) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int16]]:
    """LSTM with the batch first."""
    p = parameters
    batches, steps, _ = ifm.shape
    units = cell.shape[1]
    ofm = np.empty((batches, steps, units), np.int8)
    hidden, cell = hidden.copy(), cell.copy()

    def gate(n: int, t: int, index: int, unit: int) -> int:
        total = 0
        sources = (
            (ifm[n, t], ifm_zero_point, input_weights, int(bias[index, unit]), p.of_input),
            (hidden[n], hidden_zero_point, hidden_weights, 0, p.of_hidden),
        )
        for values, zero_point, weights, acc, scalings in sources:
            for value, weight in zip(values, weights[index, unit], strict=True):
                acc += (int(value) - zero_point) * int(weight)
            total += clamp(rescale(wrap32(acc), *scalings[index], rounding=rounding))
        return apply(tanh_int16 if index == 2 else logistic_int16, clamp(total), 3, 0)

    for n, t in np.ndindex(batches, steps):
        gates = [[gate(n, t, index, unit) for unit in range(units)] for index in range(4)]
        for unit in range(units):
            kept = rescale(
                gates[1][unit] * int(cell[n, unit]), *p.forget_times_cell, rounding=rounding
            )
            added = rescale(gates[0][unit] * gates[2][unit], *p.input_times_cell, rounding=rounding)
            state = clamp(clamp(kept) + clamp(added))
            if p.cell_clip:
                state = min(max(state, -p.cell_clip), p.cell_clip)
            cell[n, unit] = state
            squashed = apply(tanh_int16, state, *p.tanh_argument)
            product = rescale(squashed * gates[3][unit], *p.output_times_tanh, rounding=rounding)
            hidden[n, unit] = clamp(product + hidden_zero_point, 8)
        ofm[n, t] = hidden[n]
    return ofm, hidden, cell
