"""SOFTMAX against TFLM and against the plain-Python twin."""

import numpy as np
import pytest

from kernels.quantization import softmax_parameters
from kernels.softmax import MAX_ROW, exponential_table, softmax, softmax_int16
from tests.kernels import twins
from tests.kernels.layers import seeds
from tests.kernels.reference import run_softmax
from tests.support.random_layers import random_int8, random_scale
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm


def model_of(shape: tuple[int, ...], scale: float, beta: float = 1.0) -> bytes:
    m = ModelBuilder()
    m.softmax(m.input(shape, scale=scale, zero_point=0), beta=beta)
    return m.build()


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(60), ids="seed{}".format)
def test_random_rows_match_tflm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 5)), int(rng.integers(1, 60)))
    beta = float(np.float32(rng.choice([1.0, 1.0, 0.5, 3.7])))
    model = model_of(shape, random_scale(rng, 2.0**-12, 4.0), beta)
    # narrow rows as well, where many outputs are far from 0
    low = int(rng.choice([-128, 60, 120]))
    ifm = random_int8(rng, shape, low=low)
    np.testing.assert_array_equal(run_softmax(model, ifm), run_tflm(model, [ifm])[0])


def int16_model(shape: tuple[int, ...], scale: float) -> bytes:
    m = ModelBuilder()
    x = m.input(shape, scale=scale, zero_point=0)
    y = m.tensor(shape, np.int16, scale=2.0**-16, zero_point=-(2**15))
    m.operator("SOFTMAX", [x], [y], {"beta": 1.0}, options_type="SoftmaxOptions", version=3)
    return m.build()


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(30), ids="seed{}".format)
def test_random_rows_to_int16_match_tflm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 5)), int(rng.integers(1, 60)))
    scale = random_scale(rng, 2.0**-12, 4.0)
    ifm = random_int8(rng, shape, low=int(rng.choice([-128, 60, 120])))
    ofm = softmax_int16(ifm, parameters=softmax_parameters(1.0, scale))
    assert ofm.dtype == np.int16
    np.testing.assert_array_equal(ofm, run_tflm(int16_model(shape, scale), [ifm])[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(5), ids="seed{}".format)
def test_random_rows_to_int16_match_the_twin(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    parameters = softmax_parameters(1.0, random_scale(rng, 2.0**-9, 1.0))
    ifm = random_int8(rng, (2, int(rng.integers(1, 30))))
    np.testing.assert_array_equal(
        softmax_int16(ifm, parameters=parameters),
        twins.softmax(ifm, parameters=parameters, bits=16),
    )


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 0.02, 0.1, 0.25, 1.0, 31.0, 32.0, 1e3])
def test_every_difference_matches_tflm(scale: float) -> None:
    """Pairs at every distance, in one row each."""
    ifm = np.stack([np.full(256, 127), 127 - np.arange(256)], 1).astype(np.int8)
    model = model_of(ifm.shape, scale)
    np.testing.assert_array_equal(run_softmax(model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.quick
@pytest.mark.parametrize("length", [1, 2, 3, 255, 511])
def test_equal_values_match_tflm(length: int) -> None:
    ifm = np.full((1, length), -7, np.int8)
    model = model_of(ifm.shape, 0.1)
    np.testing.assert_array_equal(run_softmax(model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (1, 2, 3, 4)], ids=str)
def test_other_ranks_match_tflm(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    model, ifm = model_of(shape, 0.05), random_int8(rng, shape)
    np.testing.assert_array_equal(run_softmax(model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_random_rows_match_the_twin(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    parameters = softmax_parameters(1.0, random_scale(rng, 2.0**-9, 1.0))
    ifm = random_int8(rng, (3, int(rng.integers(1, 30))))
    np.testing.assert_array_equal(
        softmax(ifm, parameters=parameters), twins.softmax(ifm, parameters=parameters)
    )


@pytest.mark.parametrize("length", [512, 1000, MAX_ROW])
def test_long_equal_rows_match_the_twin_where_tflm_stops(length: int) -> None:
    parameters = softmax_parameters(1.0, 0.1)
    ifm = np.full((1, length), 3, np.int8)
    ifm[0, ::2] = 127
    np.testing.assert_array_equal(
        softmax(ifm, parameters=parameters), twins.softmax(ifm, parameters=parameters)
    )


@pytest.mark.interpreted
@pytest.mark.parametrize("scale", [0.01, 0.07, 0.11])
def test_exponentials_match_the_twin_to_the_last_bit(scale: float) -> None:
    """The int8 output shows 8 of their 31 bits."""
    p = softmax_parameters(1.0, scale)
    table = exponential_table(p.multiplier, p.shift, p.diff_min)
    for difference in range(min(255, -p.diff_min) + 1):
        scaled = twins.doubling_high_product(-difference * 2**p.shift, p.multiplier)
        assert table[difference] == twins.exp_on_negative_values(scaled), difference


def test_bad_arguments_are_refused() -> None:
    parameters = softmax_parameters(1.0, 0.1)
    with pytest.raises(ValueError, match="ifm is float32; allowed is int8"):
        softmax(np.zeros((1, 3), np.float32), parameters=parameters)
    with pytest.raises(ValueError, match="allowed are dimensions of 1 or more"):
        softmax(np.zeros((0, 3), np.int8), parameters=parameters)
    with pytest.raises(ValueError, match="ifm has rows of 8192 values; allowed is at most 8191"):
        softmax(np.zeros((1, MAX_ROW + 1), np.int8), parameters=parameters)
