"""SUB, MUL, MAXIMUM, MINIMUM and PRELU against TFLM and against the plain-Python twins."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels import elementwise as kernels
from kernels.quantization import (
    AddParameters,
    PreluParameters,
    add_parameters,
    mul_multiplier,
    prelu_parameters,
)
from kernels.requantize import quantize_multiplier
from tests.kernels import twins_elementwise as twins
from tests.kernels.layers import random_activation, seeds, single
from tests.kernels.reference_elementwise import arguments, run
from tests.support.operators import elementwise
from tests.support.random_layers import (
    Rng,
    random_input,
    random_int8,
    random_scale,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor
from tests.support.tflm import run_tflm

CODES = ["SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"]
SHAPES = [
    ((1, 3, 5, 7), (1, 3, 5, 7)),
    ((2, 3, 4, 5), (1, 1, 1, 5)),
    ((2, 3, 4, 5), (1,)),
    ((1, 1, 1, 1), (2, 3, 4, 5)),
    ((2, 1, 4, 1), (1, 3, 1, 5)),
    ((3, 4, 5), (4, 1)),
]
VALUES = np.arange(-128, 128).astype(np.int8)
EVERY_PAIR = (VALUES.reshape(256, 1), VALUES.reshape(1, 256))


def ofm_scale(rng: Rng, code: str, a: Tensor, b: Tensor) -> float:
    """A scale that spreads the results over int8 and somewhat beyond."""
    if code == "MUL":
        return random_scale(rng, a.scale * b.scale * 16, a.scale * b.scale * 256)
    return random_scale(rng, max(a.scale, b.scale) / 4, max(a.scale, b.scale) * 4)


def random_layer(
    seed: int, code: str, a_shape: tuple[int, ...], b_shape: tuple[int, ...]
) -> tuple[bytes, tuple[NDArray[np.int8], NDArray[np.int8]]]:
    """(model, inputs)."""
    rng = np.random.default_rng(seed)
    m, a, a_data = single(rng, a_shape)
    b = random_input(m, rng, b_shape)
    fused = {"activation": random_activation(rng)} if code in ("SUB", "MUL") else {}
    scale, zero_point = ofm_scale(rng, code, a, b), random_zero_point(rng)
    elementwise(m, code, a, b, scale=scale, zero_point=zero_point, **fused)
    return m.build(), (a_data, random_int8(rng, b_shape))


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(3), ids="seed{}".format)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("code", CODES)
def test_random_layers_match_tflm(
    code: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    model, inputs = random_layer(seed, code, *shapes)
    np.testing.assert_array_equal(run(code, model, *inputs), run_tflm(model, inputs)[0])


@pytest.mark.parametrize("seed", seeds(10), ids="seed{}".format)
@pytest.mark.parametrize("code", CODES)
def test_every_pair_of_values_matches_tflm(code: str, seed: int) -> None:
    """All 65,536 pairs; with scales up to 2**8 apart, and an OFM scale from tiny to huge."""
    rng = np.random.default_rng(100 + seed)
    m = ModelBuilder()
    a = m.input((256, 1), scale=random_scale(rng), zero_point=random_zero_point(rng))
    b_scale = random_scale(rng, a.scale / 256, a.scale * 256)
    b = m.input((1, 256), scale=b_scale, zero_point=random_zero_point(rng))
    reference = a.scale * b.scale if code == "MUL" else max(a.scale, b.scale)
    scale = random_scale(rng, reference / 64, reference * 1024)
    elementwise(m, code, a, b, scale=scale, zero_point=random_zero_point(rng))
    model = m.build()
    np.testing.assert_array_equal(run(code, model, *EVERY_PAIR), run_tflm(model, EVERY_PAIR)[0])


@pytest.mark.parametrize("zero_point", [-128, 0, 127])
@pytest.mark.parametrize("scale", [2.0**-13, 2.0**-9, 2.0**-6, 2.0**-4])
@pytest.mark.parametrize("code", ["SUB", "MUL", "PRELU"])
def test_ties_match_tflm(code: str, scale: float, zero_point: int) -> None:
    m = ModelBuilder()
    a = m.input((256, 1), scale=2.0**-6, zero_point=zero_point)
    b = m.input((1, 256), scale=2.0**-5, zero_point=-1 - zero_point)
    elementwise(m, code, a, b, scale=scale, zero_point=zero_point)
    model = m.build()
    np.testing.assert_array_equal(run(code, model, *EVERY_PAIR), run_tflm(model, EVERY_PAIR)[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(3), ids="seed{}".format)
@pytest.mark.parametrize("shapes", SHAPES[:3], ids=str)
@pytest.mark.parametrize("code", CODES)
def test_random_layers_match_the_twin(
    code: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    model, inputs = random_layer(1000 + seed, code, *shapes)
    twin = getattr(twins, code.lower())
    np.testing.assert_array_equal(
        run(code, model, *inputs), twin(*inputs, **arguments(code, model))
    )


@pytest.mark.quick
@pytest.mark.parametrize("seed", [10, 20, 24, 33])
def test_sub_keeps_its_quotients_double(seed: int) -> None:
    """As some versions of TFLM do not; with scales for which that makes other results."""
    a_scale, b_scale, ofm_scale = near_tie_scales(seed)
    m = ModelBuilder()
    a, b = m.input((256, 1), scale=a_scale), m.input((1, 256), scale=b_scale)
    elementwise(m, "SUB", a, b, scale=ofm_scale, zero_point=0)
    model = m.build()
    ofm = run("SUB", model, *EVERY_PAIR)
    np.testing.assert_array_equal(ofm, run_tflm(model, EVERY_PAIR)[0])
    twice_max = np.float32(2 * max(a_scale, b_scale))
    rounded = AddParameters(
        *quantize_multiplier(float(np.float32(a_scale) / twice_max)),
        *quantize_multiplier(float(np.float32(b_scale) / twice_max)),
        *quantize_multiplier(float(twice_max / np.float32(2**20 * ofm_scale))),
    )
    changed = arguments("SUB", model) | {"parameters": rounded}
    assert np.any(kernels.sub(*EVERY_PAIR, **changed) != ofm), f"seed {seed} shows nothing"


def near_tie_scales(seed: int) -> list[float]:
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(0.01, 0.1, 2)
    return [float(np.float32(scale)) for scale in (a, b, max(a, b) * rng.uniform(0.5, 2))]


@pytest.mark.parametrize(
    ("function", "scales", "message"),
    [
        (add_parameters, (1.0, 1.0, 1e-6), "OFM scale is 1e-06; allowed for input scales 1.0 and"),
        (add_parameters, (0.0, 1.0, 1.0), "scale of input 0 is 0.0; allowed is a positive finite"),
        (mul_multiplier, (1.0, -1.0, 1.0), "scale of input 1 is -1.0; allowed is a positive"),
        (mul_multiplier, (1e9, 1e9, 1.0), "allowed is less than 2"),
        (prelu_parameters, (1.0, 1.0, 0.0), "OFM scale is 0.0; allowed is a positive finite"),
    ],
)
def test_bad_scales_are_refused(
    function: Callable[..., Any], scales: tuple[float, float, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        function(*scales)


ZEROS = np.zeros(3, np.int8)
POINTS = {"a_zero_point": 0, "b_zero_point": 0, "ofm_zero_point": 0}
RANGE = {"activation_min": -128, "activation_max": 127}
GOOD: dict[str, dict[str, Any]] = {
    "sub": {**POINTS, **RANGE, "parameters": add_parameters(1.0, 1.0, 1.0)},
    "mul": {**POINTS, **RANGE, "multiplier": 2**30, "shift": 0},
    "maximum": {},
    "minimum": {},
    "prelu": {
        "ifm_zero_point": 0,
        "alpha_zero_point": 0,
        "ofm_zero_point": 0,
        "parameters": prelu_parameters(1.0, 1.0, 1.0),
    },
}


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize(
    ("operands", "message"),
    [
        ((np.zeros(3, np.uint8), ZEROS), "(a|ifm) is uint8; allowed (are|is) int8"),
        ((ZEROS, np.zeros(3, np.uint8)), "b is uint8; allowed is int8"),
        ((ZEROS, np.zeros(4, np.int8)), r"inputs have shapes \(3,\) and \(4,\); allowed are"),
    ],
)
def test_bad_operands_are_refused(name: str, operands: Any, message: str) -> None:
    kernel = getattr(kernels, name)
    assert kernel(ZEROS, ZEROS, **GOOD[name]).shape == (3,)
    with pytest.raises(ValueError, match=message):
        kernel(*operands, **GOOD[name])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sub", {"a_zero_point": 128}, "a_zero_point is 128; allowed is -128 to 127"),
        ("sub", {"activation_min": 1, "activation_max": 0}, "activation range is 1 to 0"),
        ("sub", {"parameters": AddParameters(-1, 0, 0, 0, 0, 0)}, "multiplier is -1; allowed"),
        ("mul", {"b_zero_point": -129}, "b_zero_point is -129; allowed is -128 to 127"),
        ("mul", {"shift": 31}, "shift is 31; allowed is -31 to 30"),
        ("prelu", {"alpha_zero_point": 128}, "alpha_zero_point is 128; allowed is -128 to 127"),
        ("prelu", {"parameters": PreluParameters(0, 0, 0, -32)}, "shift is -32; allowed is -31"),
    ],
)
def test_bad_arguments_are_refused(name: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(kernels, name)(ZEROS, ZEROS, **(GOOD[name] | change))
