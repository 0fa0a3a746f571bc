"""Functions of int16 against TFLM: all 65,536 values, random scales."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.int16.functions import (
    logistic_int16,
    piecewise_int16,
    piecewise_parameters,
    relu6_int16,
    sigmoid_parameters,
    softmax_16x16,
    softmax_multiplier,
    tanh_int16,
)
from kernels.requantize import Rounding
from tests.kernels.layers import seeds
from tests.kernels.twins_rounding import rescale
from tests.support.operators import unary
from tests.support.random_layers import random_scale
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

EVERY_VALUE = np.arange(-(2**15), 2**15).astype(np.int16).reshape(1, 256, 256, 1)
UNIT: dict[str, Any] = {"scale": 2.0**-15, "zero_point": 0}
SIGMOIDS = {"LOGISTIC": logistic_int16, "TANH": tanh_int16}
# powers of two with a path of their own and around them, and what meets the limits of the shift
SCALES = [2.0**-e for e in (10, 11, 12, 13, 15, 24)] + [3e-4, 1e-8, 0.1, 1.0, 2.6]


def tflm(
    code: str, ifm: NDArray[Any], ifm_scale: float, ofm: dict[str, Any], **options: Any
) -> NDArray[Any]:
    m = ModelBuilder()
    x = m.input(ifm.shape, dtype=np.int16, scale=ifm_scale)
    unary(m, code, x, **ofm, **options)
    return run_tflm(m.build(), [ifm])[0]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("code", SIGMOIDS)
def test_sigmoids_of_every_value_match_tflm(code: str, scale: float) -> None:
    ofm = SIGMOIDS[code](EVERY_VALUE, parameters=sigmoid_parameters(code, scale))
    np.testing.assert_array_equal(ofm, tflm(code, EVERY_VALUE, scale, UNIT))


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("code", SIGMOIDS)
def test_sigmoids_at_random_scales_match_tflm(code: str, seed: int) -> None:
    scale = random_scale(np.random.default_rng(seed), 2.0**-20, 2.0)
    ofm = SIGMOIDS[code](EVERY_VALUE, parameters=sigmoid_parameters(code, scale))
    np.testing.assert_array_equal(ofm, tflm(code, EVERY_VALUE, scale, UNIT))


@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("code", ["RELU", "ABS", "LEAKY_RELU"])
def test_piecewise_functions_match_tflm(code: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ifm_scale = random_scale(rng, 2.0**-12, 2.0**-2)
    # one scale for both is a path of its own in ABS
    ofm_scale = ifm_scale if seed % 3 == 0 else random_scale(rng, 2.0**-12, 2.0**-2)
    slope = {"alpha": float(np.float32(rng.uniform(-2, 2)))} if code == "LEAKY_RELU" else {}
    parameters = piecewise_parameters(code, ifm_scale, ofm_scale, **slope)
    expected = tflm(code, EVERY_VALUE, ifm_scale, {"scale": ofm_scale, "zero_point": 0}, **slope)
    np.testing.assert_array_equal(piecewise_int16(EVERY_VALUE, parameters=parameters), expected)


@pytest.mark.quick
@pytest.mark.parametrize("scale", [1e-5, 1e-4, 3e-3, 2.0])
def test_relu6_matches_tflm(scale: float) -> None:
    scale = float(np.float32(scale))
    expected = tflm("RELU6", EVERY_VALUE, scale, {"scale": scale, "zero_point": 0})
    np.testing.assert_array_equal(relu6_int16(EVERY_VALUE, ifm_scale=scale), expected)


def softmax_in_tflm(ifm: NDArray[Any], scale: float, beta: float) -> NDArray[Any]:
    m = ModelBuilder()
    x = m.input(ifm.shape, dtype=np.int16, scale=scale)
    y = m.tensor(ifm.shape, np.int16, **UNIT)
    m.operator("SOFTMAX", [x], [y], {"beta": beta}, options_type="SoftmaxOptions", version=2)
    return run_tflm(m.build(), [ifm])[0]


@pytest.mark.parametrize("seed", seeds(12), ids="seed{}".format)
@pytest.mark.parametrize("length", [1, 2, 7, 100, 1000])
def test_softmax_matches_tflm(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, beta = random_scale(rng, 2.0**-16, 1.0), float(rng.choice([1.0, 0.5, 3.0]))
    spread = rng.uniform(10, 30000)
    ifm = rng.normal(0, spread, (1, 4, 5, length)).clip(-(2**15), 2**15 - 1).astype(np.int16)
    multiplier, shift = softmax_multiplier(beta, scale)
    ofm = softmax_16x16(ifm, multiplier=multiplier, shift=shift)
    np.testing.assert_array_equal(ofm, softmax_in_tflm(ifm, scale, beta))


def test_every_exponential_matches_tflm() -> None:
    """All differences from the largest, at a scale at which each is a step of the table."""
    ifm = np.full((1, 1, 2**14, 2), 2**15 - 1, np.int16)
    for start in (-(2**15), -(2**14)):
        ifm[0, 0, :, 1] = start + np.arange(2**14)
        scale = float(np.float32(10 / 2**16))
        multiplier, shift = softmax_multiplier(1.0, scale)
        ofm = softmax_16x16(ifm, multiplier=multiplier, shift=shift)
        np.testing.assert_array_equal(ofm, softmax_in_tflm(ifm, scale, 1.0))


@pytest.mark.parametrize("rounding", Rounding, ids=lambda mode: mode.name.lower())
def test_piecewise_functions_round_as_told(rounding: Rounding) -> None:
    ifm = np.arange(-99, 100).astype(np.int16)
    parameters = piecewise_parameters("LEAKY_RELU", 0.24999999, 1.0, alpha=1.0)
    ofm = piecewise_int16(ifm, parameters=parameters, rounding=rounding)
    expected = [rescale(x, *parameters.positive, rounding=rounding) for x in range(-99, 100)]
    assert ofm.tolist() == expected


def test_refusals() -> None:
    with pytest.raises(ValueError, match="kind is 'ELU'; allowed are RELU, ABS, LEAKY_RELU"):
        piecewise_parameters("ELU", 1.0, 1.0)
    with pytest.raises(ValueError, match="alpha is inf; allowed is a finite number"):
        piecewise_parameters("LEAKY_RELU", 1.0, 1.0, alpha=float("inf"))
    with pytest.raises(ValueError, match="kind is 'RELU'; allowed are LOGISTIC, TANH"):
        sigmoid_parameters("RELU", 1.0)
    with pytest.raises(ValueError, match=r"IFM scale is 3.0; allowed is less than 2\.66"):
        sigmoid_parameters("TANH", 3.0)
    with pytest.raises(ValueError, match="rows of 32769 values; allowed is at most 32768"):
        softmax_16x16(np.zeros((1, 2**15 + 1), np.int16), multiplier=2**30, shift=0)
    wrong: Any = np.zeros(3, np.int8)
    calls: tuple[Callable[[], NDArray[Any]], ...] = (
        lambda: piecewise_int16(wrong, parameters=piecewise_parameters("RELU", 1.0, 1.0)),
        lambda: relu6_int16(wrong, ifm_scale=1.0),
        lambda: logistic_int16(wrong, parameters=sigmoid_parameters("LOGISTIC", 1.0)),
        lambda: tanh_int16(wrong, parameters=sigmoid_parameters("TANH", 1.0)),
        lambda: softmax_16x16(wrong, multiplier=2**30, shift=0),
    )
    for call in calls:
        with pytest.raises(ValueError, match="ifm is int8; allowed is int16"):
            call()
