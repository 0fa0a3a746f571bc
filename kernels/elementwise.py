"""ADD, SUB, MUL, MAXIMUM and MINIMUM of int8 or int16, and PRELU of int8, with broadcasting."""

from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    Pair,
    as_operand,
    check_activation,
    check_array,
    check_multiplier,
    check_quantized,
    check_rounding,
    check_zero_point,
)
from kernels.quantization import (
    ADD_LEFT_SHIFT,
    ADD_LEFT_SHIFT_INT16,
    INT8_MAX,
    INT8_MIN,
    AddParameters,
    PreluParameters,
)
from kernels.requantize import Rounding, multiply_by_quantized_multiplier, requantize_and_clamp

Value = TypeVar("Value", np.int8, np.int16)


def add(
    a: NDArray[Value],
    b: NDArray[Value],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Value]:
    """ADD of `a` and `b`, of shapes that broadcast together, to the broadcast shape.

    `parameters` come from `kernels.quantization.add_parameters`. Bit-exact with TFLM's
    `reference_integer_ops::Add` (int8) and `reference_ops::Add` (int16).
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    zero_points = a_zero_point, b_zero_point, ofm_zero_point
    return _sum(a, b, 1, zero_points, parameters, (activation_min, activation_max), rounding)


def sub(
    a: NDArray[Value],
    b: NDArray[Value],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Value]:
    """SUB: `a - b`, of shapes that broadcast together, to the broadcast shape.

    `parameters` come from `kernels.quantization.add_parameters`. Bit-exact with TFLM's
    `reference_ops::SubWithActivation`.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    zero_points = a_zero_point, b_zero_point, ofm_zero_point
    return _sum(a, b, -1, zero_points, parameters, (activation_min, activation_max), rounding)


def mul(
    a: NDArray[Value],
    b: NDArray[Value],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[Value]:
    """MUL of `a` and `b`, of shapes that broadcast together, to the broadcast shape.

    `multiplier` and `shift` come from `kernels.quantization.mul_multiplier`. Bit-exact with TFLM's
    `reference_integer_ops::Mul`.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    flat_a, flat_b, ofm = _broadcast(a, b)
    a_zero_point = check_zero_point("a_zero_point", a_zero_point, ofm.dtype)
    b_zero_point = check_zero_point("b_zero_point", b_zero_point, ofm.dtype)
    stage = _output(ofm_zero_point, activation_min, activation_max, ofm.dtype)
    rescale = *check_multiplier(multiplier, shift), check_rounding(rounding)
    _mul(flat_a, flat_b, a_zero_point, b_zero_point, *rescale, *stage, ofm.reshape(-1))
    return ofm


def maximum(a: NDArray[Value], b: NDArray[Value]) -> NDArray[Value]:
    """MAXIMUM of `a` and `b`, of shapes that broadcast together, to the broadcast shape.

    As in TFLM, nothing is rescaled: inputs and output have to share one quantization.
    Raises ValueError for a wrong dtype, or shapes that do not broadcast.
    """
    flat_a, flat_b, ofm = _broadcast(a, b)
    np.maximum(flat_a, flat_b, out=ofm.reshape(-1))
    return ofm


def minimum(a: NDArray[Value], b: NDArray[Value]) -> NDArray[Value]:
    """MINIMUM of `a` and `b`, as `maximum`."""
    flat_a, flat_b, ofm = _broadcast(a, b)
    np.minimum(flat_a, flat_b, out=ofm.reshape(-1))
    return ofm


def prelu(
    ifm: NDArray[np.int8],
    alpha: NDArray[np.int8],
    *,
    ifm_zero_point: int,
    alpha_zero_point: int,
    ofm_zero_point: int,
    parameters: PreluParameters,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """PRELU: `ifm` where it is not negative, else `alpha * ifm`; int8 of shapes that broadcast.

    `parameters` come from `kernels.quantization.prelu_parameters`. Bit-exact with TFLM's
    `reference_ops::Prelu`.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    ifm_zero_point = check_zero_point("ifm_zero_point", ifm_zero_point)
    alpha_zero_point = check_zero_point("alpha_zero_point", alpha_zero_point)
    ofm_zero_point = check_zero_point("ofm_zero_point", ofm_zero_point)
    check_array("ifm", ifm, np.int8)
    p = parameters
    identity = check_multiplier(p.multiplier, p.shift)
    product = check_multiplier(p.multiplier_alpha, p.shift_alpha)
    flat_ifm, flat_alpha, ofm = _broadcast(ifm, alpha)
    _prelu(
        flat_ifm,
        flat_alpha,
        ifm_zero_point,
        alpha_zero_point,
        *identity,
        *product,
        check_rounding(rounding),
        ofm_zero_point,
        ofm.reshape(-1),
    )
    return ofm


def _broadcast(
    a: NDArray[Value], b: NDArray[Value]
) -> tuple[NDArray[Value], NDArray[Value], NDArray[Value]]:
    """(`a` and `b` in the broadcast shape, flattened; an empty OFM of that shape)."""
    check_array("b", b, check_quantized("a", a))
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"inputs have shapes {a.shape} and {b.shape}; allowed are shapes that broadcast"
        ) from None
    flat_a, flat_b = (as_operand(np.broadcast_to(x, shape).reshape(-1)) for x in (a, b))
    return flat_a, flat_b, np.empty(shape, a.dtype)


def _output(zero_point: int, low: int, high: int, dtype: np.dtype[Any]) -> tuple[int, int, int]:
    zero_point = check_zero_point("ofm_zero_point", zero_point, dtype)
    return zero_point, *check_activation(low, high, dtype)


def _sum(
    a: NDArray[Value],
    b: NDArray[Value],
    sign: int,
    zero_points: tuple[int, int, int],
    parameters: AddParameters,
    activation: Pair,
    rounding: Rounding,
) -> NDArray[Value]:
    """`a + sign * b`; the zero points are those of `a`, of `b` and of the OFM."""
    flat_a, flat_b, ofm = _broadcast(a, b)
    mode = check_rounding(rounding)
    stage = _output(zero_points[2], *activation, ofm.dtype)
    rescale = *check_multiplier(parameters.multiplier, parameters.shift), mode
    if parameters.left_shift not in (ADD_LEFT_SHIFT, ADD_LEFT_SHIFT_INT16):
        raise ValueError(
            f"left_shift is {parameters.left_shift}; "
            f"allowed are {ADD_LEFT_SHIFT}, {ADD_LEFT_SHIFT_INT16}"
        )
    to_common = (
        (zero_points[0], *check_multiplier(parameters.multiplier_a, parameters.shift_a)),
        (zero_points[1], *check_multiplier(parameters.multiplier_b, parameters.shift_b)),
    )
    for name, (zero_point, _, _) in zip("ab", to_common, strict=True):
        check_zero_point(f"{name}_zero_point", zero_point, ofm.dtype)
    add_values(
        flat_a,
        flat_b,
        *to_common,
        parameters.left_shift,
        sign,
        *rescale,
        *stage,
        ofm.reshape(-1),
    )
    return ofm


@njit(cache=True, nogil=True)
def add_values(
    a: NDArray[Any],
    b: NDArray[Any],
    to_common_a: tuple[int, int, int],
    to_common_b: tuple[int, int, int],
    left_shift: int,
    sign: int,
    multiplier: int,
    shift: int,
    rounding: int,
    ofm_zero_point: int,
    low: int,
    high: int,
    ofm: NDArray[Any],
) -> None:
    """`a + sign * b`; `to_common_*` are (zero point, multiplier, shift) of the operands."""
    for i in range(ofm.size):
        wide_a = (np.int64(a[i]) - to_common_a[0]) << left_shift
        wide_b = (np.int64(b[i]) - to_common_b[0]) << left_shift
        total = multiply_by_quantized_multiplier(
            wide_a, to_common_a[1], to_common_a[2], rounding
        ) + sign * multiply_by_quantized_multiplier(
            wide_b, to_common_b[1], to_common_b[2], rounding
        )
        ofm[i] = requantize_and_clamp(total, multiplier, shift, ofm_zero_point, low, high, rounding)


@njit(cache=True, nogil=True)
def _mul(
    a: NDArray[Any],
    b: NDArray[Any],
    a_zero_point: int,
    b_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    ofm_zero_point: int,
    low: int,
    high: int,
    ofm: NDArray[Any],
) -> None:
    for i in range(ofm.size):
        product = (np.int64(a[i]) - a_zero_point) * (np.int64(b[i]) - b_zero_point)
        ofm[i] = requantize_and_clamp(
            product, multiplier, shift, ofm_zero_point, low, high, rounding
        )


@njit(cache=True, nogil=True)
def _prelu(
    ifm: NDArray[np.int8],
    alpha: NDArray[np.int8],
    ifm_zero_point: int,
    alpha_zero_point: int,
    multiplier: int,
    shift: int,
    multiplier_alpha: int,
    shift_alpha: int,
    rounding: int,
    ofm_zero_point: int,
    ofm: NDArray[np.int8],
) -> None:
    for i in range(ofm.size):
        value = np.int64(ifm[i]) - ifm_zero_point
        if value >= 0:
            ofm[i] = requantize_and_clamp(
                value, multiplier, shift, ofm_zero_point, INT8_MIN, INT8_MAX, rounding
            )
        else:
            product = value * (np.int64(alpha[i]) - alpha_zero_point)
            ofm[i] = requantize_and_clamp(
                product, multiplier_alpha, shift_alpha, ofm_zero_point, INT8_MIN, INT8_MAX, rounding
            )
