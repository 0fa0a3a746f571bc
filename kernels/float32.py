"""float32 arithmetic between DEQUANTIZE and QUANTIZE, as TFLM's reference kernels do it.

Each operation is one float32 operation of C in TFLM's order; FLOOR_DIV alone divides in double.
SIN, COS, EXP, LOG and TANH are those of the C library that TFLM calls too: NumPy has its own, which
differ in the last bit.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.broadcasting import broadcast_together, check_same_dtype
from kernels.checks import as_operand, check_array
from kernels.quantization import ACTIVATIONS

Floats = NDArray[np.float32]
# beyond these TFLM's LOGISTIC is 1, or the exponential
LOGISTIC_UPPER, LOGISTIC_LOWER = np.float32(16.619047164916992188), np.float32(-9.0)
INT32 = np.iinfo(np.int32)
FLOAT32 = np.finfo(np.float32)


def unary(kind: str, ifm: Floats, *, alpha: float = 0.0) -> Floats:
    """An operator of one of `UNARY`, of float32 of any shape; `alpha` is LEAKY_RELU's slope.

    Raises ValueError for another kind, or a wrong dtype.
    """
    if kind not in UNARY:
        raise ValueError(f"kind is {kind!r}; allowed are {', '.join(UNARY)}")
    check_array("ifm", ifm, np.float32)
    with np.errstate(all="ignore"):
        if kind == "LEAKY_RELU":
            return np.where(ifm > 0, ifm, ifm * np.float32(alpha))
        return np.asarray(UNARY[kind](ifm), np.float32)


def binary(
    kind: str, a: NDArray[Any], b: NDArray[Any], *, activation: str = "NONE"
) -> NDArray[Any]:
    """An operator of one of `BINARY` on float32 or int32 of shapes that broadcast together.

    `activation` is the schema's name of a fused activation, and clamps the result: NONE leaves
    finite numbers as they are. Sums and products of int32 wrap; TFLM does not clamp their ADD.
    Raises ValueError for another kind, two dtypes, shapes that do not broadcast, and divisions that
    TFLM refuses or C does not define: FLOOR_DIV and int32 by 0, and the least int32 by -1.
    """
    if kind not in BINARY:
        raise ValueError(f"kind is {kind!r}; allowed are {', '.join(BINARY)}")
    check_same_dtype(a, b)
    full_a, full_b = broadcast_together(a, b)
    integers = a.dtype.kind == "i"
    if kind == "FLOOR_DIV" and np.any(b == 0):
        raise ValueError("a divisor is 0; allowed is any other number")
    with np.errstate(all="ignore"):
        if kind == "DIV" and integers:
            result = _truncated_quotient(full_a, full_b)
        else:
            result = np.asarray(BINARY[kind](full_a, full_b), a.dtype)
        if kind in FUSED and not (kind == "ADD" and integers):
            result = _clamped(result, activation)
    return np.ascontiguousarray(result).reshape(full_a.shape)


def cumsum(ifm: Floats, axis: int, *, exclusive: bool, reverse: bool) -> Floats:
    """CUMSUM along `axis`; `exclusive` leaves out the value itself, `reverse` sums from the end.

    Raises ValueError for a wrong dtype, or an axis that does not exist.
    """
    check_array("ifm", ifm, np.float32)
    if not -ifm.ndim <= axis < ifm.ndim:
        raise ValueError(f"axis is {axis}; allowed is {-ifm.ndim} to {ifm.ndim - 1}")
    values = np.moveaxis(ifm, axis, 0)
    if reverse:
        values = values[::-1]
    # the sum begins with 0, which turns -0 into 0
    start = np.zeros_like(values[:1])
    with np.errstate(all="ignore"):
        sums = np.cumsum(np.concatenate([start, values]), axis=0, dtype=np.float32)
    sums = sums[:-1] if exclusive else sums[1:]
    if reverse:
        sums = sums[::-1]
    return np.ascontiguousarray(np.moveaxis(sums, 0, axis))


def add_n(parts: list[Floats]) -> Floats:
    """ADD_N: `parts` of one shape added from first to last, beginning with 0.

    Raises ValueError for a wrong dtype, or shapes that differ.
    """
    shapes = sorted({part.shape for part in parts})
    if len(shapes) != 1:
        raise ValueError(f"parts have shapes {shapes}; allowed is one shape")
    total = np.zeros(shapes[0], np.float32)
    with np.errstate(all="ignore"):
        for part in parts:
            check_array("part", part, np.float32)
            total = total + part
    return total


def _clamped(x: NDArray[Any], activation: str) -> NDArray[Any]:
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; allowed are {', '.join(ACTIVATIONS)}")
    low, high = ACTIVATIONS[activation]
    ends = INT32 if x.dtype.kind == "i" else FLOAT32
    least = x.dtype.type(ends.min if low is None else low)
    greatest = x.dtype.type(ends.max if high is None else high)
    # comparisons that a NaN passes through, as in C
    raised = np.where(x < least, least, x)
    return np.where(greatest < raised, greatest, raised)


def _truncated_quotient(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    if np.any(b == 0) or np.any((b == -1) & (a == INT32.min)):
        raise ValueError("a quotient is no int32; allowed are divisors that make one")
    wide_a, wide_b = a.astype(np.int64), b.astype(np.int64)
    magnitude = np.abs(wide_a) // np.abs(wide_b)
    return (magnitude * np.sign(wide_a) * np.sign(wide_b)).astype(a.dtype)


def _rounded(x: Floats) -> Floats:
    below = np.floor(x)
    fraction = x - below
    down = (fraction < 0.5) | ((fraction == 0.5) & (np.fmod(below, np.float32(2)) == 0))
    return np.where(down, below, below + np.float32(1))


def _logistic(x: Floats) -> Floats:
    middle = np.float32(1) / (np.float32(1) + _from_libm(_exp, -x))
    lower = np.where(x < LOGISTIC_LOWER, _from_libm(_exp, x), middle)
    return np.where(x > LOGISTIC_UPPER, np.float32(1), lower)


def _floor_mod(a: Floats, b: Floats) -> Floats:
    rest = np.fmod(a, b)
    return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)


@njit(cache=True, nogil=True)
def _sin(x: Floats, y: Floats) -> None:
    for i in range(x.size):
        y[i] = math.sin(x[i])


@njit(cache=True, nogil=True)
def _cos(x: Floats, y: Floats) -> None:
    for i in range(x.size):
        y[i] = math.cos(x[i])


@njit(cache=True, nogil=True)
def _exp(x: Floats, y: Floats) -> None:
    for i in range(x.size):
        y[i] = math.exp(x[i])


@njit(cache=True, nogil=True)
def _log(x: Floats, y: Floats) -> None:
    for i in range(x.size):
        y[i] = math.log(x[i])


@njit(cache=True, nogil=True)
def _tanh(x: Floats, y: Floats) -> None:
    for i in range(x.size):
        y[i] = math.tanh(x[i])


def _from_libm(function: Callable[[Floats, Floats], None], x: Floats) -> Floats:
    y = np.empty(x.shape, np.float32)
    function(as_operand(x.reshape(-1)), y.reshape(-1))
    return y


ZERO, SIX = np.float32(0), np.float32(6)
UNARY: dict[str, Callable[[Floats], Any]] = {
    "ABS": np.abs,
    "CEIL": np.ceil,
    "COS": lambda x: _from_libm(_cos, x),
    "EXP": lambda x: _from_libm(_exp, x),
    "FLOOR": np.floor,
    "LEAKY_RELU": np.positive,
    "LOG": lambda x: _from_libm(_log, x),
    "LOGISTIC": _logistic,
    "NEG": np.negative,
    "RELU": lambda x: np.where(x < ZERO, ZERO, x),
    "RELU6": lambda x: np.where(x > SIX, SIX, np.where(x < ZERO, ZERO, x)),
    "ROUND": _rounded,
    "RSQRT": lambda x: np.float32(1) / np.sqrt(x),
    "SIN": lambda x: _from_libm(_sin, x),
    "SQRT": np.sqrt,
    "SQUARE": lambda x: x * x,
    "TANH": lambda x: _from_libm(_tanh, x),
}
"""Functions of one float32."""

BINARY: dict[str, Callable[[NDArray[Any], NDArray[Any]], Any]] = {
    "ADD": np.add,
    "DIV": np.divide,
    "FLOOR_DIV": lambda a, b: np.floor(a.astype(np.float64) / b),
    "FLOOR_MOD": _floor_mod,
    "MAXIMUM": lambda a, b: np.where(a > b, a, b),
    "MINIMUM": lambda a, b: np.where(a < b, a, b),
    "MUL": np.multiply,
    "PRELU": lambda x, slope: np.where(x >= 0, x, x * slope),
    "SQUARED_DIFFERENCE": lambda a, b: (a - b) * (a - b),
    "SUB": np.subtract,
}
"""Functions of two numbers; FLOOR_DIV, FLOOR_MOD and PRELU of float32 only."""
FUSED = frozenset({"ADD", "SUB", "MUL", "DIV"})
"""Those that may have a fused activation."""
