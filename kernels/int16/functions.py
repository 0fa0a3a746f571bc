"""Functions of int16 values: RELU, RELU6, ABS, LEAKY_RELU, LOGISTIC, TANH and SOFTMAX.

Zero points are 0, as TFLM demands of int16.
LOGISTIC and TANH are those of `kernels.sigmoid`; SOFTMAX interpolates in tables of `exp` and of
`1 / (1 + x)` with 512 intervals. Formulas and tables are TFLM's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import as_operand, check_array, check_rounding
from kernels.quantization import activation_range, rescale_multiplier, scale_float32
from kernels.requantize import (
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from kernels.sigmoid import logistic_value, sigmoid_argument, sigmoid_table, tanh_value

INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
# SOFTMAX: differences below this count as exp(-10)
EXPONENT_RANGE = 10.0
INTERVALS = 512
Scaling = tuple[int, int]


@dataclass(frozen=True)
class PiecewiseParameters:
    """RELU, RELU6, ABS and LEAKY_RELU of int16: what happens on either side of zero.

    `positive` and `negative` are (multiplier, shift), with the multiplier's sign; `low` and `high`
    clamp the output.
    """

    positive: Scaling
    negative: Scaling
    low: int
    high: int


@dataclass(frozen=True)
class SigmoidParameters:
    """LOGISTIC and TANH of int16: `x * multiplier >> shift`, rounded, is 12288 times the real."""

    multiplier: int
    shift: int


def piecewise_parameters(
    kind: str, ifm_scale: float, ofm_scale: float, *, alpha: float = 0.0
) -> PiecewiseParameters:
    """Parameters of `kind` RELU, ABS or LEAKY_RELU (with slope `alpha`).

    Sources: `CalculateReluOpData`, `PrepareAbs`, `CalculateOpDataLeakyRelu`.
    Raises ValueError for another kind, a bad scale, or an `alpha` that is not finite.
    """
    ifm, ofm = scale_float32(ifm_scale, "IFM scale"), scale_float32(ofm_scale, "OFM scale")
    multiplier, shift = rescale_multiplier(ifm, ofm)
    negative = multiplier, shift
    low, high = INT16_MIN, INT16_MAX
    if kind == "RELU":
        low, high = activation_range("RELU", ofm, 0, bits=16)
    elif kind == "ABS":
        if ifm == ofm:
            # nothing is rescaled: multiplied by exactly 1
            multiplier, shift = 1 << 30, 1
        negative = -multiplier, shift
    elif kind == "LEAKY_RELU":
        slope = ifm * float(np.float32(alpha)) / ofm
        if not math.isfinite(slope):
            raise ValueError(f"alpha is {alpha}; allowed is a finite number")
        magnitude, exponent = quantize_multiplier(abs(slope))
        negative = -magnitude if slope < 0 else magnitude, exponent
    else:
        raise ValueError(f"kind is {kind!r}; allowed are RELU, ABS, LEAKY_RELU")
    return PiecewiseParameters((multiplier, shift), negative, low, high)


def piecewise_int16(
    ifm: NDArray[np.int16],
    *,
    parameters: PiecewiseParameters,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int16]:
    """RELU, ABS or LEAKY_RELU of int16 `ifm` (any shape), as `parameters` say.

    Bit-exact with TFLM's `ReluQuantized`, `EvalAbs` and `QuantizeLeakyRelu`.
    Raises ValueError for a wrong dtype or value.
    """
    check_array("ifm", ifm, np.int16)
    ofm = np.empty(ifm.shape, np.int16)
    _piecewise(
        as_operand(ifm.reshape(-1)),
        parameters.positive,
        parameters.negative,
        check_rounding(rounding),
        parameters.low,
        parameters.high,
        ofm.reshape(-1),
    )
    return ofm


def relu6_int16(ifm: NDArray[np.int16], *, ifm_scale: float) -> NDArray[np.int16]:
    """RELU6 of int16 `ifm`: clamped, nothing is rescaled. Bit-exact with TFLM's `Relu6Quantized`.

    Raises ValueError for a wrong dtype, or a bad scale.
    """
    check_array("ifm", ifm, np.int16)
    zero, six = activation_range("RELU6", ifm_scale, 0, bits=16)
    return np.clip(ifm, np.int16(zero), np.int16(six))


def sigmoid_parameters(kind: str, ifm_scale: float) -> SigmoidParameters:
    """Rescaling of the input of LOGISTIC or TANH.

    Sources: `CalculateArithmeticOpDataLogistic`, `CalculateArithmeticOpData` of TANH. Powers of two
    that need no right shift are multiplied by 3 exactly, any other scale by 16 bits.
    Raises ValueError for another kind, or for a scale that TFLM's 16 bits cannot hold.
    """
    exact = {"LOGISTIC": (0,), "TANH": (0, 1)}
    if kind not in exact:
        raise ValueError(f"kind is {kind!r}; allowed are {', '.join(exact)}")
    scale = scale_float32(ifm_scale, "IFM scale")
    mantissa, exponent = math.frexp(scale)
    left = 12 + exponent - 1
    if mantissa == 0.5 and left in exact[kind]:
        return SigmoidParameters(3 << left, 0)
    real, shift = scale * 4096.0 * 3.0, 0
    while real <= 32767.0 / 2.0 and shift <= 30:
        shift, real = shift + 1, real * 2.0
    if real >= 32768:
        raise ValueError(f"IFM scale is {ifm_scale}; allowed is less than {32768 / 4096 / 3}")
    return SigmoidParameters(int(real), shift)


def logistic_int16(ifm: NDArray[np.int16], *, parameters: SigmoidParameters) -> NDArray[np.int16]:
    """LOGISTIC of int16 `ifm`, to scale 2**-15.

    Bit-exact with TFLM's `reference_integer_ops::Logistic`. Raises ValueError for a wrong dtype.
    """
    check_array("ifm", ifm, np.int16)
    ofm = np.empty(ifm.shape, np.int16)
    p = parameters
    _logistic(as_operand(ifm.reshape(-1)), p.multiplier, p.shift, sigmoid_table(), ofm.reshape(-1))
    return ofm


def tanh_int16(ifm: NDArray[np.int16], *, parameters: SigmoidParameters) -> NDArray[np.int16]:
    """TANH of int16 `ifm`, to scale 2**-15.

    Bit-exact with TFLM's `reference_integer_ops::Tanh`. Raises ValueError for a wrong dtype.
    """
    check_array("ifm", ifm, np.int16)
    ofm = np.empty(ifm.shape, np.int16)
    p = parameters
    _tanh(as_operand(ifm.reshape(-1)), p.multiplier, p.shift, sigmoid_table(), ofm.reshape(-1))
    return ofm


def softmax_multiplier(beta: float, ifm_scale: float) -> Scaling:
    """(multiplier, shift) of differences, to 65535 steps over `EXPONENT_RANGE`.

    Source: `CalculateSoftmaxParams` for int16. Raises ValueError for a bad scale.
    """
    scale = scale_float32(ifm_scale, "IFM scale")
    return quantize_multiplier(scale * float(np.float32(beta)) / (EXPONENT_RANGE / 65535.0))


def softmax_16x16(
    ifm: NDArray[np.int16],
    *,
    multiplier: int,
    shift: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int16]:
    """SOFTMAX of int16 over the last dimension of `ifm`, to scale 2**-15.

    `multiplier` and `shift` come from `softmax_multiplier`. Bit-exact with TFLM's `SoftmaxInt16`.
    Raises ValueError for a wrong dtype, or rows that are too long for a sum in int32.
    """
    check_array("ifm", ifm, np.int16)
    length = ifm.shape[-1] if ifm.ndim else 1
    if length > 1 << 15:
        raise ValueError(f"ifm has rows of {length} values; allowed is at most {1 << 15}")
    ofm = np.empty(ifm.shape, np.int16)
    _softmax(
        as_operand(ifm.reshape(-1, length)),
        multiplier,
        shift,
        check_rounding(rounding),
        *_softmax_tables(),
        ofm.reshape(-1, length),
    )
    return ofm


@cache
def _softmax_tables() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """exp over [-10, 0] and 1 / (1 + x) over [0, 1], as Q0.15."""

    def exponential(x: np.float32) -> np.float32:
        return np.float32(math.exp(x))

    def reciprocal(x: np.float32) -> np.float32:
        return np.float32(1) / (np.float32(1) + x)

    return _interpolation_table(exponential, -10.0, 0.0), _interpolation_table(reciprocal, 0.0, 1.0)


def _interpolation_table(
    function: Callable[[np.float32], np.float32], low: float, high: float
) -> NDArray[np.int64]:
    """`function` at the ends of `INTERVALS`, moved by half of the error in their middle.

    Source: TFLM's `gen_lut`, in float32 for results in [-1, 1].
    """
    start, two = np.float32(low), np.float32(2)
    step = (np.float32(high) - start) / np.float32(INTERVALS)
    inverse = np.float32(32768)

    def at(offset: np.float32) -> np.float32:
        return function(start + offset) * inverse

    table = np.empty(INTERVALS + 1, np.int64)
    for i in range(INTERVALS):
        left = at(np.float32(i) * step)
        sample = _round(left)
        interpolated = _round((at(np.float32(i + 1) * step) + sample) / two)
        # two additions, as the order decides how float32 rounds
        middle = _round(function(start + np.float32(i) * step + step / two) * inverse)
        table[i] = int(sample - _round((interpolated - middle) / two))
    table[INTERVALS] = int(_round(function(np.float32(high)) * inverse))
    return np.clip(table, INT16_MIN, INT16_MAX)


def _round(x: np.float32) -> np.float32:
    """Half away from zero."""
    return np.float32(math.copysign(math.floor(abs(float(x)) + 0.5), x))


@njit(cache=True, nogil=True)
def _piecewise(
    ifm: NDArray[np.int16],
    positive: Scaling,
    negative: Scaling,
    rounding: int,
    low: int,
    high: int,
    ofm: NDArray[np.int16],
) -> None:
    for i in range(ifm.size):
        scaling = positive if ifm[i] >= 0 else negative
        scaled = multiply_by_quantized_multiplier(ifm[i], scaling[0], scaling[1], rounding)
        ofm[i] = min(max(scaled, np.int64(low)), np.int64(high))


@njit(cache=True, nogil=True)
def _logistic(
    ifm: NDArray[np.int16],
    multiplier: int,
    shift: int,
    table: NDArray[np.int64],
    ofm: NDArray[np.int16],
) -> None:
    for i in range(ifm.size):
        ofm[i] = logistic_value(sigmoid_argument(ifm[i], multiplier, shift), table)


@njit(cache=True, nogil=True)
def _tanh(
    ifm: NDArray[np.int16],
    multiplier: int,
    shift: int,
    table: NDArray[np.int64],
    ofm: NDArray[np.int16],
) -> None:
    for i in range(ifm.size):
        ofm[i] = tanh_value(sigmoid_argument(ifm[i], multiplier, shift), table)


@njit(cache=True, nogil=True)
def _interpolate(value: np.int64, table: NDArray[np.int64]) -> np.int64:
    """The table at an int16 `value`."""
    index = 256 + (value >> 7)
    base = np.int64(table[index])
    return base + (((np.int64(table[index + 1]) - base) * (value & 127) + 64) >> 7)


@njit(cache=True, nogil=True)
def _to_int16(value: np.int64) -> np.int64:
    return min(max(value, np.int64(INT16_MIN)), np.int64(INT16_MAX))


@njit(cache=True, nogil=True)
def _softmax(
    rows: NDArray[np.int16],
    multiplier: int,
    shift: int,
    rounding: int,
    exponentials: NDArray[np.int64],
    reciprocals: NDArray[np.int64],
    ofm: NDArray[np.int16],
) -> None:
    powers = np.empty(rows.shape[1], np.int64)
    for r in range(rows.shape[0]):
        largest = np.int64(rows[r].max())
        total = np.int64(0)
        for c in range(powers.size):
            difference = np.int64(rows[r, c]) - largest
            scaled = multiply_by_quantized_multiplier(difference, multiplier, shift, rounding)
            powers[c] = _interpolate(_to_int16(scaled + INT16_MAX), exponentials)
            total += powers[c]
        headroom = 0
        while (total << headroom) < 1 << 31:
            headroom += 1
        # one bit less than that: the sum as Q1.30, then Q1.16
        leading = ((total << (headroom - 1)) + (1 << 13)) >> 14
        scale = _interpolate(_to_int16(leading - 3 * (1 << 15)), reciprocals)
        right = 31 - headroom
        for c in range(powers.size):
            value = (powers[c] * scale + (np.int64(1) << (right - 1))) >> right
            ofm[r, c] = min(max(value, np.int64(0)), np.int64(INT16_MAX))
