"""ADD against TFLM and against the plain-Python twin."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.elementwise import add
from kernels.quantization import AddParameters, add_parameters
from tests.kernels import twins
from tests.kernels.layers import random_activation, seeds, single
from tests.kernels.reference import add_arguments, run_add
from tests.support.random_layers import (
    random_add,
    random_input,
    random_int8,
    random_scale,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

SHAPES = [
    ((1, 3, 5, 7), (1, 3, 5, 7)),
    ((2, 3, 4, 5), (1, 1, 1, 5)),
    ((1, 1, 1, 1), (2, 3, 4, 5)),
    ((2, 1, 4, 1), (1, 3, 1, 5)),
    ((3, 4, 5), (5,)),
    ((4,), (2, 3, 4)),
    ((7,), (7,)),
]


def random_layer(
    seed: int, a_shape: tuple[int, ...], b_shape: tuple[int, ...]
) -> tuple[bytes, tuple[NDArray[np.int8], NDArray[np.int8]]]:
    """(model, inputs)."""
    rng = np.random.default_rng(seed)
    m, a, a_data = single(rng, a_shape)
    b = random_input(m, rng, b_shape)
    random_add(m, rng, a, b, activation=random_activation(rng))
    return m.build(), (a_data, random_int8(rng, b_shape))


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_random_layers_match_tflm(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    model, inputs = random_layer(seed, *shapes)
    np.testing.assert_array_equal(run_add(model, *inputs), run_tflm(model, inputs)[0])


@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_every_pair_of_values_matches_tflm(seed: int) -> None:
    """All 65,536 pairs, with scales up to 2**12 apart, and an OFM scale from tiny to huge."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    a = m.input((256, 1), scale=random_scale(rng), zero_point=random_zero_point(rng))
    b = m.input(
        (1, 256),
        scale=random_scale(rng, a.scale * 2**-12, a.scale * 2**12),
        zero_point=random_zero_point(rng),
    )
    scale = random_scale(rng, max(a.scale, b.scale) / 64, max(a.scale, b.scale) * 64)
    m.add(a, b, scale=scale, zero_point=random_zero_point(rng), activation=random_activation(rng))
    model = m.build()
    values = np.arange(-128, 128).astype(np.int8)
    inputs = (values.reshape(256, 1), values.reshape(1, 256))
    np.testing.assert_array_equal(run_add(model, *inputs), run_tflm(model, inputs)[0])


@pytest.mark.parametrize("scale", [2.0**-6, 2.0**-5, 2.0**-4])
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
def test_ties_match_tflm(scale: float, zero_point: int) -> None:
    m = ModelBuilder()
    a = m.input((256, 1), scale=2.0**-6, zero_point=zero_point)
    b = m.input((1, 256), scale=2.0**-5, zero_point=-1 - zero_point)
    m.add(a, b, scale=scale, zero_point=zero_point)
    model = m.build()
    values = np.arange(-128, 128).astype(np.int8)
    inputs = (values.reshape(256, 1), values.reshape(1, 256))
    np.testing.assert_array_equal(run_add(model, *inputs), run_tflm(model, inputs)[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("shapes", SHAPES[:4], ids=str)
def test_random_layers_match_the_twin(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    model, inputs = random_layer(1000 + seed, *shapes)
    arguments = add_arguments(model)
    np.testing.assert_array_equal(add(*inputs, **arguments), twins.add(*inputs, **arguments))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": np.zeros(3, np.uint8)}, "a is uint8; allowed are int8, int16"),
        ({"b": np.zeros(3, np.uint8)}, "b is uint8; allowed is int8"),
        ({"b": np.zeros(4, np.int8)}, r"inputs have shapes \(3,\) and \(4,\); allowed are shapes"),
        ({"a_zero_point": 128}, "a_zero_point is 128; allowed is -128 to 127"),
        ({"b_zero_point": 128}, "b_zero_point is 128; allowed is -128 to 127"),
        ({"ofm_zero_point": 128}, "ofm_zero_point is 128; allowed is -128 to 127"),
        ({"activation_min": 1, "activation_max": 0}, "activation range is 1 to 0; allowed is"),
        (
            {"parameters": AddParameters(2**31, 0, 2**30, 0, 2**30, 0)},
            r"multiplier is 2147483648; allowed is 0 to 2\*\*31 - 1",
        ),
        (
            {"parameters": AddParameters(2**30, 0, 2**30, 31, 2**30, 0)},
            "shift is 31; allowed is -31 to 30",
        ),
        (
            {"parameters": AddParameters(2**30, 0, 2**30, 0, 2**30, -32)},
            "shift is -32; allowed is -31 to 30",
        ),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "a": np.zeros(3, np.int8),
        "b": np.zeros(3, np.int8),
        "a_zero_point": 0,
        "b_zero_point": 0,
        "ofm_zero_point": 0,
        "parameters": add_parameters(1.0, 1.0, 1.0),
        "activation_min": -128,
        "activation_max": 127,
    }
    assert add(**good).shape == (3,)
    with pytest.raises(ValueError, match=message):
        add(**(good | change))
