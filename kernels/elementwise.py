"""ADD, SUB, MUL, MAXIMUM, MINIMUM and PRELU, int8, with broadcasting."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.checks import (
    as_operand,
    check_activation,
    check_array,
    check_multiplier,
    check_rounding,
    check_zero_point,
)
from kernels.quantization import (
    ADD_LEFT_SHIFT,
    INT8_MAX,
    INT8_MIN,
    AddParameters,
    PreluParameters,
)
from kernels.requantize import Rounding, multiply_by_quantized_multiplier, requantize_to_int8


def add(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """ADD of `a` and `b`, int8 of shapes that broadcast together, to the broadcast shape.

    `parameters` come from `kernels.quantization.add_parameters`. Bit-exact with TFLM's
    `reference_integer_ops::Add`.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    rescaled = _rescaled(a_zero_point, b_zero_point, parameters, rounding)
    stage = _output(ofm_zero_point, activation_min, activation_max)
    rescale = *check_multiplier(parameters.multiplier, parameters.shift), check_rounding(rounding)
    flat_a, flat_b, ofm = _broadcast(a, b)
    _add(flat_a, flat_b, *rescaled, *rescale, *stage, ofm.reshape(-1))
    return ofm


def sub(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """SUB: `a - b`, int8 of shapes that broadcast together, to the broadcast shape.

    `parameters` come from `kernels.quantization.add_parameters`. Bit-exact with TFLM's
    `reference_ops::SubWithActivation` behind int8 operands.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    table_a, table_b = _rescaled(a_zero_point, b_zero_point, parameters, rounding)
    stage = _output(ofm_zero_point, activation_min, activation_max)
    rescale = *check_multiplier(parameters.multiplier, parameters.shift), check_rounding(rounding)
    flat_a, flat_b, ofm = _broadcast(a, b)
    _add(flat_a, flat_b, table_a, -table_b, *rescale, *stage, ofm.reshape(-1))
    return ofm


def mul(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
    activation_min: int,
    activation_max: int,
    rounding: Rounding = Rounding.DOUBLE,
) -> NDArray[np.int8]:
    """MUL of `a` and `b`, int8 of shapes that broadcast together, to the broadcast shape.

    `multiplier` and `shift` come from `kernels.quantization.mul_multiplier`. Bit-exact with TFLM's
    `reference_integer_ops::Mul`.
    Raises ValueError for a wrong dtype, shapes that do not broadcast, or a value out of range.
    """
    a_zero_point = check_zero_point("a_zero_point", a_zero_point)
    b_zero_point = check_zero_point("b_zero_point", b_zero_point)
    stage = _output(ofm_zero_point, activation_min, activation_max)
    rescale = *check_multiplier(multiplier, shift), check_rounding(rounding)
    flat_a, flat_b, ofm = _broadcast(a, b)
    _mul(flat_a, flat_b, a_zero_point, b_zero_point, *rescale, *stage, ofm.reshape(-1))
    return ofm


def maximum(a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
    """MAXIMUM of `a` and `b`, int8 of shapes that broadcast together, to the broadcast shape.

    As in TFLM, nothing is rescaled: inputs and output have to share one quantization.
    Raises ValueError for a wrong dtype, or shapes that do not broadcast.
    """
    flat_a, flat_b, ofm = _broadcast(a, b)
    np.maximum(flat_a, flat_b, out=ofm.reshape(-1))
    return ofm


def minimum(a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
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
    a: NDArray[np.int8], b: NDArray[np.int8]
) -> tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int8]]:
    """(`a` and `b` in the broadcast shape, flattened; an empty OFM of that shape)."""
    check_array("a", a, np.int8)
    check_array("b", b, np.int8)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"inputs have shapes {a.shape} and {b.shape}; allowed are shapes that broadcast"
        ) from None
    flat_a, flat_b = (as_operand(np.broadcast_to(x, shape).reshape(-1)) for x in (a, b))
    return flat_a, flat_b, np.empty(shape, np.int8)


def _output(zero_point: int, low: int, high: int) -> tuple[int, int, int]:
    return check_zero_point("ofm_zero_point", zero_point), *check_activation(low, high)


def _rescaled(
    a_zero_point: int, b_zero_point: int, parameters: AddParameters, rounding: Rounding
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The rescaling tables of both inputs of ADD or SUB."""
    a_zero_point = check_zero_point("a_zero_point", a_zero_point)
    b_zero_point = check_zero_point("b_zero_point", b_zero_point)
    mode = check_rounding(rounding)
    rescale_a = *check_multiplier(parameters.multiplier_a, parameters.shift_a), mode
    rescale_b = *check_multiplier(parameters.multiplier_b, parameters.shift_b), mode
    return _rescale_table(a_zero_point, *rescale_a), _rescale_table(b_zero_point, *rescale_b)


@njit(cache=True, nogil=True)
def _rescale_table(
    zero_point: int, multiplier: int, shift: int, rounding: int
) -> NDArray[np.int32]:
    """Every int8 (index + 128) on the common scale."""
    table = np.empty(256, np.int32)
    for index in range(256):
        value = np.int64(index - 128 - zero_point) << ADD_LEFT_SHIFT
        table[index] = np.int32(
            multiply_by_quantized_multiplier(value, multiplier, shift, rounding)
        )
    return table


@njit(cache=True, nogil=True)
def _add(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    table_a: NDArray[np.int32],
    table_b: NDArray[np.int32],
    multiplier: int,
    shift: int,
    rounding: int,
    ofm_zero_point: int,
    low: int,
    high: int,
    ofm: NDArray[np.int8],
) -> None:
    for i in range(ofm.size):
        total = table_a[np.int64(a[i]) + 128] + table_b[np.int64(b[i]) + 128]
        ofm[i] = requantize_to_int8(total, multiplier, shift, ofm_zero_point, low, high, rounding)


@njit(cache=True, nogil=True)
def _mul(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    a_zero_point: int,
    b_zero_point: int,
    multiplier: int,
    shift: int,
    rounding: int,
    ofm_zero_point: int,
    low: int,
    high: int,
    ofm: NDArray[np.int8],
) -> None:
    for i in range(ofm.size):
        product = (np.int64(a[i]) - a_zero_point) * (np.int64(b[i]) - b_zero_point)
        ofm[i] = requantize_to_int8(product, multiplier, shift, ofm_zero_point, low, high, rounding)


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
            ofm[i] = requantize_to_int8(
                value, multiplier, shift, ofm_zero_point, INT8_MIN, INT8_MAX, rounding
            )
        else:
            product = value * (np.int64(alpha[i]) - alpha_zero_point)
            ofm[i] = requantize_to_int8(
                product, multiplier_alpha, shift_alpha, ofm_zero_point, INT8_MIN, INT8_MAX, rounding
            )
