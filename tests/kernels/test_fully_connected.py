"""FULLY_CONNECTED, readable and prepared, against TFLM and the plain-Python twin."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.fully_connected import fully_connected
from kernels.prepared.fully_connected import prepare_fully_connected
from tests.kernels import twins
from tests.kernels.layers import (
    INTERPRETED,
    REQUANTIZATIONS,
    random_activation,
    seeds,
    single,
    staged,
)
from tests.kernels.reference import fully_connected_arguments, run_fully_connected
from tests.support.random_layers import random_fully_connected, random_int8
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm


def check(model: bytes, ifm: NDArray[Any]) -> None:
    """Both kernels against TFLM."""
    expected = run_tflm(model, [ifm])[0]
    np.testing.assert_array_equal(run_fully_connected(model, ifm), expected)
    operands, arguments = fully_connected_arguments(model)
    prepared = prepare_fully_connected(ifm.shape, *operands, **arguments)
    np.testing.assert_array_equal(prepared.run(ifm), expected)


def random_layer(seed: int, limit: int) -> tuple[bytes, NDArray[np.int8]]:
    """A random layer of up to `limit` inputs and outputs: (model, IFM)."""
    rng = np.random.default_rng(seed)
    rows, inputs, outputs = (int(n) for n in rng.integers(1, [5, limit, limit]))
    m, x, ifm = single(rng, (rows, inputs))
    random_fully_connected(
        m,
        rng,
        x,
        outputs,
        bias=bool(rng.integers(4)),
        per_channel=bool(rng.integers(2)),
        activation=random_activation(rng),
    )
    return m.build(), ifm


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(100), ids="seed{}".format)
def test_random_layers_match_tflm(seed: int) -> None:
    model, ifm = random_layer(seed, 30 if INTERPRETED else 300)
    check(model, ifm)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_random_layers_match_the_twin(seed: int) -> None:
    model, ifm = random_layer(1000 + seed, 20)
    operands, arguments = fully_connected_arguments(model)
    np.testing.assert_array_equal(
        fully_connected(ifm, *operands, **arguments),
        twins.fully_connected(ifm, *operands, **arguments),
    )


@pytest.mark.quick
@pytest.mark.parametrize("keep_num_dims", [False, True])
def test_other_ranks_match_tflm(keep_num_dims: bool) -> None:
    rng = np.random.default_rng(0)
    m, x, ifm = single(rng, (2, 3, 4, 5))
    random_fully_connected(m, rng, x, 7, keep_num_dims=keep_num_dims)
    model = m.build()
    expected = run_tflm(model, [ifm])[0]
    assert expected.shape == ((2, 3, 4, 7) if keep_num_dims else (24, 7))
    computed = run_fully_connected(model, ifm)
    np.testing.assert_array_equal(computed, expected.reshape(24, 7))


@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("case", REQUANTIZATIONS)
def test_adversarial_requantization_matches_tflm(case: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    requantization = REQUANTIZATIONS[case](rng, 500)
    m = ModelBuilder()
    x = m.input((2, 3), scale=1.0, zero_point=int(rng.integers(-128, 128)))
    m.fully_connected(
        x,
        rng.integers(-1, 2, (500, 3)).astype(np.int8),
        requantization.bias,
        weight_scales=requantization.scales,
        scale=1.0,
        zero_point=int(rng.integers(-128, 128)),
        activation=random_activation(rng),
    )
    model, ifm = m.build(), random_int8(rng, x.shape)
    check(model, ifm)


@pytest.mark.parametrize("seed", seeds(30), ids="seed{}".format)
def test_the_last_bits_of_one_multiplier_match_tflm(seed: int) -> None:
    """The bias walks along one multiplier's ties, so that a float32 product of scales shows."""
    rng = np.random.default_rng(seed)
    scales = [float(np.float32(2.0 ** rng.uniform(-8, -3))) for _ in range(2)]
    scale = float(np.float32(scales[0] * scales[1] * 2.0 ** rng.uniform(18, 23)))
    ratio = scales[0] * scales[1] / scale
    bias = np.rint((np.arange(-120, 120) + 0.5) / ratio).astype(np.int32)
    m = ModelBuilder()
    x = m.input((1, 1), scale=scales[0], zero_point=0)
    m.fully_connected(
        x, np.ones((240, 1), np.int8), bias, weight_scales=scales[1], scale=scale, zero_point=0
    )
    model = m.build()
    for value in range(-4, 4):
        ifm = np.full((1, 1), value, np.int8)
        check(model, ifm)


@pytest.mark.skipif(INTERPRETED, reason="too slow without Numba")
def test_largest_sums_match_tflm() -> None:
    m = ModelBuilder()
    x = m.input((1, 6000), scale=1.0, zero_point=127)
    weights = np.full((2, 6000), -128, np.int8)
    weights[1] = 127
    bias = (255 * weights.astype(np.int64).sum(1) + 3).astype(np.int32)
    m.fully_connected(x, weights, bias, weight_scales=0.5, scale=1.0, zero_point=0)
    model, ifm = m.build(), np.full(x.shape, -128, np.int8)
    check(model, ifm)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((1, 5), np.float32)}, "ifm is float32; allowed is int8"),
        ({"ifm": np.zeros((1, 5), np.int8)}, "ifm has 5 values; allowed are multiples of 4"),
        ({"weights": np.zeros((3, 2, 4), np.int8)}, r"weights has shape .*; allowed are 2 dim"),
        ({"bias": np.zeros(4, np.int32)}, "bias has 4 values; allowed is one per channel: 3"),
        ({"multiplier": np.zeros(3, np.int64)}, "multiplier is int64; allowed is int32"),
        ({"ifm_zero_point": 200}, "ifm_zero_point is 200; allowed is -128 to 127"),
        ({"ofm_zero_point": 200}, "ofm_zero_point is 200; allowed is -128 to 127"),
        ({"activation_min": -129}, "activation range is -129 to 127; allowed is"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    good = {
        "ifm": np.zeros((2, 4), np.int8),
        "weights": np.zeros((3, 4), np.int8),
        "bias": None,
        "ifm_zero_point": 0,
        "ofm_zero_point": 0,
        "multiplier": np.full(3, 2**30, np.int32),
        "shift": np.zeros(3, np.int32),
        "activation_min": -128,
        "activation_max": 127,
    }
    assert fully_connected(**staged(good)).shape == (2, 3)
    arguments = staged(good | change)
    with pytest.raises(ValueError, match=message):
        fully_connected(**arguments)
    if arguments["ifm"].dtype == np.int8:
        shape = arguments.pop("ifm").shape
        with pytest.raises(ValueError, match=message):
            prepare_fully_connected(shape, **arguments)
