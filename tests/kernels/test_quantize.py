"""QUANTIZE and DEQUANTIZE against TFLM."""

import math
from typing import Any

import numpy as np
import pytest

from kernels.quantization import rescale_multiplier
from kernels.quantize import dequantize, quantize_float, requantize
from tests.kernels import twins
from tests.kernels.layers import seeds
from tests.kernels.one_operator import Given, Made, every_value, in_tflm
from tests.kernels.reference import (
    requantize_arguments,
    run_dequantize,
    run_quantize_float,
    run_requantize,
)
from tests.support.random_layers import random_scale, random_zero_point
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

EVERY_INT8 = np.arange(-128, 128).astype(np.int8)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(40), ids="seed{}".format)
def test_every_value_requantized_matches_tflm_and_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = m.input((256,), scale=random_scale(rng), zero_point=random_zero_point(rng))
    # powers of two give ties, and left shifts when above one
    ratio = 2.0 ** rng.integers(-4, 5) if seed % 2 else rng.uniform(0.05, 20)
    scale = float(np.float32(x.scale * ratio))
    m.quantize(x, scale=scale, zero_point=random_zero_point(rng))
    model = m.build()
    computed = run_requantize(model, EVERY_INT8)
    np.testing.assert_array_equal(computed, run_tflm(model, [EVERY_INT8])[0])
    expected = twins.requantize(EVERY_INT8, **requantize_arguments(model))
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1 / 255, 0.0078125, 3e-5])
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_floats_and_their_ties_match_tflm(scale: float, zero_point: int) -> None:
    rng = np.random.default_rng(0)
    scale = float(np.float32(scale))
    ties = ((np.arange(-300, 300) + 0.5) * scale).astype(np.float32)
    values = [rng.normal(0, 80 * scale, 5000).astype(np.float32), ties]
    values += [np.nextafter(ties, np.float32(v)) for v in (-np.inf, np.inf)]
    values += [np.array([1e9, -1e9, 1e-30, -0.0], np.float32) * np.float32(scale)]
    ifm = np.concatenate(values)
    m = ModelBuilder()
    m.quantize(m.input(ifm.shape, dtype=np.float32), scale=scale, zero_point=zero_point)
    model = m.build()
    np.testing.assert_array_equal(run_quantize_float(model, ifm), run_tflm(model, [ifm])[0])


TYPES = {
    np.int8: (np.int8, np.uint8, np.int16, np.int32),
    np.uint8: (np.int8,),
    np.int16: (np.int8, np.int16, np.int32),
    np.int32: (np.int8, np.int16),
}


@pytest.mark.parametrize(
    ("given", "made"),
    [(given, made) for given in TYPES for made in TYPES[given]],
    ids=lambda dtype: np.dtype(dtype).name,
)
@pytest.mark.parametrize("seed", seeds(6), ids="seed{}".format)
def test_every_pair_of_types_that_tflm_takes(given: Any, made: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ifm = every_value(rng, (500,), given)
    if given == np.int32:
        ifm[::2] //= 1 << 20
    scale = random_scale(rng)
    # equal scales and a difference of 128 are a case of their own in TFLM
    ofm_scale = scale if seed == 0 else float(np.float32(scale * 2.0 ** rng.uniform(-6, 6)))
    zero_points = [
        int({np.int8: 0, np.uint8: 128}.get(dtype, 0) if seed < 2 else every_value(rng, (), dtype))
        if dtype != np.int32
        else int(rng.integers(-99, 99))
        for dtype in (given, made)
    ]
    multiplier, shift = rescale_multiplier(scale, ofm_scale)
    computed = requantize(
        ifm,
        ifm_zero_point=zero_points[0],
        ofm_zero_point=zero_points[1],
        multiplier=multiplier,
        shift=shift,
        dtype=made,
    )
    expected = in_tflm(
        "QUANTIZE",
        [Given(ifm, scale, zero_points[0])],
        Made(ifm.shape, made, ofm_scale, zero_points[1]),
        {},
        "QuantizeOptions",
    )
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("zero_point", [-128, -5, 0, 5, 127])
def test_floats_that_are_no_int32_wrap_as_in_tflm(zero_point: int) -> None:
    ifm = np.array([np.inf, -np.inf, np.nan, 3e9, -3e9, 1.9e9, 100], np.float32)
    computed = quantize_float(ifm, scale=0.5, zero_point=zero_point, strict=False)
    made = Made(ifm.shape, np.int8, 0.5, zero_point)
    expected = in_tflm("QUANTIZE", [Given(ifm)], made, {}, "QuantizeOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


def test_uint8_dequantized_matches_tflm() -> None:
    ifm = np.arange(256).astype(np.uint8)
    computed = dequantize(ifm, scale=0.1, zero_point=100)
    operands = [Given(ifm, 0.1, 100)]
    expected = in_tflm("DEQUANTIZE", operands, Made((256,), np.float32), {}, "DequantizeOptions")
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_every_value_dequantized_matches_tflm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    m.dequantize(m.input((256,), scale=random_scale(rng), zero_point=random_zero_point(rng)))
    model = m.build()
    computed, expected = run_dequantize(model, EVERY_INT8), run_tflm(model, [EVERY_INT8])[0]
    assert computed.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros(3, np.uint16)}, "ifm is uint16; allowed are int8, int16, uint8, int32"),
        ({"ifm_zero_point": -129}, "ifm_zero_point is -129; allowed is -128 to 127"),
        ({"ofm_zero_point": -129}, "ofm_zero_point is -129; allowed is -128 to 127"),
        ({"multiplier": 2**31}, "multiplier is 2147483648; allowed is 0 to"),
        ({"shift": -32}, "shift is -32; allowed is -31 to 30"),
    ],
)
def test_requantize_refuses(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "ifm": np.zeros(3, np.int8),
        "ifm_zero_point": 0,
        "ofm_zero_point": 0,
        "multiplier": 2**30,
        "shift": 0,
    }
    assert requantize(**good).shape == (3,)
    with pytest.raises(ValueError, match=message):
        requantize(**(good | change))


def test_quantize_float_refuses() -> None:
    good = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="ifm is float64; allowed is float32"):
        quantize_float(good.astype(np.float64), scale=1.0, zero_point=0)
    with pytest.raises(ValueError, match="zero_point is 128; allowed is -128 to 127"):
        quantize_float(good, scale=1.0, zero_point=128)
    with pytest.raises(ValueError, match=r"scale is 0\.0; allowed is a positive finite float32"):
        quantize_float(good, scale=0.0, zero_point=0)
    with pytest.raises(ValueError, match="dtype is int32; allowed are int8, int16"):
        quantize_float(good, scale=1.0, zero_point=0, dtype=np.int32)
    for value in (math.nan, math.inf, -math.inf, 2.0**31, 3e38):
        with pytest.raises(ValueError, match=r"divided by scale 0\.5 has a value that is no int32"):
            quantize_float(np.array([0, value], np.float32), scale=0.5, zero_point=0)


def test_dequantize_refuses() -> None:
    with pytest.raises(ValueError, match="ifm is int32; allowed are int8, int16, uint8"):
        dequantize(np.zeros(3, np.int32), scale=1.0, zero_point=0)
    with pytest.raises(ValueError, match="zero_point is 128; allowed is -128 to 127"):
        dequantize(np.zeros(3, np.int8), scale=1.0, zero_point=128)
