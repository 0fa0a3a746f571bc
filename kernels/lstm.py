"""UNIDIRECTIONAL_SEQUENCE_LSTM: int8 (or int16) activations, int8 weights, an int16 cell state.

Gates are Q3.12 before their functions and Q0.15 after them; the functions are those of int16
LOGISTIC and TANH.
"""

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    RANGES,
    as_operand,
    check_array,
    check_multiplier,
    check_quantized,
    check_rounding,
    check_wide_shift,
    check_zero_point,
)
from kernels.quantization import mul_multiplier, scale_float32
from kernels.requantize import (
    Rounding,
    multiply_by_quantized_multiplier,
    multiply_by_reduced_multiplier,
)
from kernels.sigmoid import logistic_value, sigmoid_argument, sigmoid_table, tanh_value

GATES = "input", "forget", "cell", "output"
"""The gates, in the order of an operator's weights and biases."""
INPUT, FORGET, CELL, OUTPUT = range(4)
GATE_SCALE, UNIT_SCALE = 2.0**-12, 2.0**-15
INT16_MIN, INT16_MAX = RANGES[np.dtype(np.int16)]

Activation = TypeVar("Activation", np.int8, np.int16)
Scaling = tuple[int, int]


@dataclass(frozen=True)
class LstmParameters:
    """Rescaling of an LSTM: pairs are multiplier (Q31) and shift.

    `of_input` and `of_hidden` are those of each gate, in the order of `GATES`. `tanh_argument` is
    what the cell state is multiplied by and shifted right by before its tanh. `cell_clip` is 0 for
    a cell state without bounds.
    """

    of_input: tuple[Scaling, ...]
    of_hidden: tuple[Scaling, ...]
    forget_times_cell: Scaling
    input_times_cell: Scaling
    output_times_tanh: Scaling
    tanh_argument: Scaling
    cell_clip: int


def lstm_parameters(
    *,
    ifm_scale: float,
    hidden_scale: float,
    cell_scale: float,
    input_weight_scales: tuple[float, ...],
    hidden_weight_scales: tuple[float, ...],
    cell_clip: float,
) -> LstmParameters:
    """Rescaling of an LSTM with weights of these scales, in the order of `GATES`.

    Sources: `PrepareGateParametersInteger`, `CreateLstmCellStateInfo`. Raises ValueError for a bad
    scale, scales that make a multiplier of 2**30 and above, or a negative or infinite `cell_clip`.
    """
    scale = scale_float32(cell_scale, "cell state scale")
    if not 0 <= cell_clip < math.inf:
        raise ValueError(f"cell_clip is {cell_clip}; allowed is a finite number from 0")
    # the exponent of the nearest power of two; x * 3 * 4096 * 2**exponent is tanh's argument
    power = 12 + math.floor(math.log2(scale) + 0.5)
    if power > 16:
        raise ValueError(f"cell state scale is {cell_scale}; allowed is at most 16")
    return LstmParameters(
        tuple(mul_multiplier(ifm_scale, w, GATE_SCALE) for w in input_weight_scales),
        tuple(mul_multiplier(hidden_scale, w, GATE_SCALE) for w in hidden_weight_scales),
        mul_multiplier(UNIT_SCALE, scale, scale),
        mul_multiplier(UNIT_SCALE, UNIT_SCALE, scale),
        mul_multiplier(UNIT_SCALE, UNIT_SCALE, hidden_scale),
        (3 << power, 0) if power >= 0 else (3, -power),
        int(min(float(np.float32(cell_clip)) / scale, INT16_MAX)),
    )


def lstm(
    ifm: NDArray[Activation],
    hidden: NDArray[Activation],
    cell: NDArray[np.int16],
    input_weights: NDArray[np.int8],
    hidden_weights: NDArray[np.int8],
    bias: NDArray[np.int32] | NDArray[np.int64],
    *,
    ifm_zero_point: int,
    hidden_zero_point: int,
    parameters: LstmParameters,
    time_major: bool = False,
    rounding: Rounding = Rounding.DOUBLE,
) -> tuple[NDArray[Activation], NDArray[Activation], NDArray[np.int16]]:
    """LSTM over a sequence: (the hidden state of every step, the last hidden state, the last cell).

    `ifm` is (batches, steps, inputs), or (steps, batches, inputs) when `time_major`, and so is the
    result with `units` in place of inputs; `hidden` and `cell` are (batches, units) and are not
    changed. `input_weights` are (4, units, inputs), `hidden_weights` (4, units, units) and `bias`
    (4, units), each in the order of `GATES`. With int8 activations the bias is int32, with int16
    int64, and then `rounding` does not matter to the gates. `parameters` come from
    `lstm_parameters`. Bit-exact with TFLM's `EvalLstm`.
    Raises ValueError for a wrong dtype, shape or range.
    """
    dtype = check_quantized("ifm", ifm, 3)
    wide = dtype == np.int16
    check_array("hidden", hidden, dtype, 2)
    check_array("cell", cell, np.int16, 2)
    check_array("input_weights", input_weights, np.int8, 3)
    check_array("hidden_weights", hidden_weights, np.int8, 3)
    check_array("bias", bias, np.int64 if wide else np.int32, 2)
    units, inputs = input_weights.shape[1:]
    batches = ifm.shape[1 if time_major else 0]
    shapes = {
        "ifm": (ifm.shape[2:], (inputs,)),
        "hidden": (hidden.shape, (batches, units)),
        "cell": (cell.shape, (batches, units)),
        "input_weights": (input_weights.shape, (4, units, inputs)),
        "hidden_weights": (hidden_weights.shape, (4, units, units)),
        "bias": (bias.shape, (4, units)),
    }
    for name, (given, allowed) in shapes.items():
        if given != allowed:
            raise ValueError(f"{name} has size {given}; allowed is {allowed}")
    gates = _scalings(parameters.of_input), _scalings(parameters.of_hidden)
    if wide:
        check_wide_shift(int(max(table[:, 1].max() for table in gates)))
    p = parameters
    products = _scalings((p.forget_times_cell, p.input_times_cell, p.output_times_tanh))
    sequence: NDArray[Any] = np.ascontiguousarray(ifm.swapaxes(0, 1)) if time_major else ifm
    steps = sequence.shape[1]
    ofm = np.empty((batches, steps, units), dtype)
    next_hidden, next_cell = hidden.copy(), cell.copy()
    _lstm(
        as_operand(sequence),
        as_operand(input_weights),
        as_operand(hidden_weights),
        as_operand(bias.astype(np.int64)),
        check_zero_point("ifm_zero_point", ifm_zero_point, dtype),
        check_zero_point("hidden_zero_point", hidden_zero_point, dtype),
        *gates,
        products,
        p.tanh_argument,
        p.cell_clip,
        wide,
        check_rounding(rounding),
        sigmoid_table(),
        *RANGES[dtype],
        next_hidden,
        next_cell,
        ofm,
    )
    if time_major:
        ofm = np.ascontiguousarray(ofm.swapaxes(0, 1))
    return ofm, next_hidden, next_cell


def _scalings(pairs: tuple[Scaling, ...]) -> NDArray[np.int64]:
    return np.array([check_multiplier(*pair) for pair in pairs], np.int64)


@njit(cache=True, nogil=True)
def _multiply(
    a: np.int64,
    b: np.int64,
    scaling: NDArray[np.int64],
    rounding: int,
    low: int,
    high: int,
    zero: int,
) -> np.int64:
    scaled = multiply_by_quantized_multiplier(a * b, scaling[0], scaling[1], rounding)
    return min(max(scaled + zero, np.int64(low)), np.int64(high))


@njit(cache=True, nogil=True)
def _to_int16(value: np.int64) -> np.int64:
    return min(max(value, np.int64(INT16_MIN)), np.int64(INT16_MAX))


@njit(cache=True, nogil=True)
def _projection(
    values: NDArray[Any],
    zero_point: int,
    weights: NDArray[np.int8],
    initial: np.int64,
    scaling: NDArray[np.int64],
    wide: bool,
    rounding: int,
) -> np.int64:
    """One output of a fully connected layer to Q3.12."""
    acc = initial
    for i in range(values.size):
        acc += (np.int64(values[i]) - zero_point) * np.int64(weights[i])
    if wide:
        return _to_int16(multiply_by_reduced_multiplier(acc, scaling[0], scaling[1]))
    return _to_int16(
        multiply_by_quantized_multiplier(np.int32(acc), scaling[0], scaling[1], rounding)
    )


@njit(cache=True, nogil=True)
def _lstm(
    ifm: NDArray[Any],
    input_weights: NDArray[np.int8],
    hidden_weights: NDArray[np.int8],
    bias: NDArray[np.int64],
    ifm_zero_point: int,
    hidden_zero_point: int,
    of_input: NDArray[np.int64],
    of_hidden: NDArray[np.int64],
    products: NDArray[np.int64],
    tanh_argument: Scaling,
    cell_clip: int,
    wide: bool,
    rounding: int,
    table: NDArray[np.int64],
    low: int,
    high: int,
    hidden: NDArray[Any],
    cell: NDArray[np.int16],
    ofm: NDArray[Any],
) -> None:
    units = cell.shape[1]
    gates = np.empty((4, units), np.int64)
    for n in range(ifm.shape[0]):
        for t in range(ifm.shape[1]):
            for gate in range(4):
                for u in range(units):
                    value = _projection(
                        ifm[n, t],
                        ifm_zero_point,
                        input_weights[gate, u],
                        bias[gate, u],
                        of_input[gate],
                        wide,
                        rounding,
                    )
                    value += _projection(
                        hidden[n],
                        hidden_zero_point,
                        hidden_weights[gate, u],
                        np.int64(0),
                        of_hidden[gate],
                        wide,
                        rounding,
                    )
                    argument = sigmoid_argument(_to_int16(value), 3, 0)
                    if gate == CELL:
                        gates[gate, u] = tanh_value(argument, table)
                    else:
                        gates[gate, u] = logistic_value(argument, table)
            for u in range(units):
                kept = _multiply(
                    gates[FORGET, u],
                    np.int64(cell[n, u]),
                    products[0],
                    rounding,
                    INT16_MIN,
                    INT16_MAX,
                    0,
                )
                added = _multiply(
                    gates[INPUT, u],
                    gates[CELL, u],
                    products[1],
                    rounding,
                    INT16_MIN,
                    INT16_MAX,
                    0,
                )
                state = _to_int16(kept + added)
                if cell_clip > 0:
                    state = max(min(np.int64(cell_clip), state), np.int64(-cell_clip))
                cell[n, u] = state
                argument = sigmoid_argument(state, tanh_argument[0], tanh_argument[1])
                hidden[n, u] = _multiply(
                    tanh_value(argument, table),
                    gates[OUTPUT, u],
                    products[2],
                    rounding,
                    low,
                    high,
                    hidden_zero_point,
                )
                ofm[n, t, u] = hidden[n, u]
