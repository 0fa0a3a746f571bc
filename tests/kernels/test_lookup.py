"""Tables of int8 functions against TFLM and against the plain-Python twins."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.lookup import UNARY_KINDS, apply_table, unary_table
from kernels.requantize import quantize_multiplier, split_multiplier
from tests.kernels import twins_lookup as twins
from tests.kernels.layers import seeds
from tests.kernels.twins import multiply_by_quantized_multiplier as twin_multiply
from tests.support.operators import unary
from tests.support.random_layers import Rng, random_scale, random_zero_point
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

VALUES = np.arange(-128, 128).astype(np.int8)
UNIT = {"ifm_scale": 1.0, "ifm_zero_point": 0, "ofm_scale": 1.0, "ofm_zero_point": -128}


Quantization = dict[str, Any]
"""Scales and zero points, as keyword arguments of `unary_table`."""


def tflm_table(kind: str, alpha: float | None = None, **quantization: Any) -> NDArray[np.int8]:
    """What TFLM computes for every int8."""
    m = ModelBuilder()
    q = quantization
    x = m.input((256,), scale=q["ifm_scale"], zero_point=q["ifm_zero_point"])
    options = {} if alpha is None else {"alpha": alpha}
    unary(m, kind, x, scale=q["ofm_scale"], zero_point=q["ofm_zero_point"], **options)
    return run_tflm(m.build(), [VALUES])[0]


def random_quantization(rng: Rng, kind: str, ratio: float) -> Quantization:
    """Scales up to `ratio` apart."""
    ifm = random_scale(rng, 1e-4, 2.0)
    return {
        "ifm_scale": ifm,
        "ifm_zero_point": random_zero_point(rng),
        "ofm_scale": random_scale(rng, ifm / ratio, ifm * ratio),
        "ofm_zero_point": -128 if kind == "LOGISTIC" else random_zero_point(rng),
    }


def assert_matches_tflm(kind: str, quantization: Quantization, **alpha: float) -> None:
    table = unary_table(kind, **quantization, **alpha)
    np.testing.assert_array_equal(table, tflm_table(kind, **quantization, **alpha))


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
@pytest.mark.parametrize("kind", UNARY_KINDS)
def test_random_quantizations_match_tflm(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # HARD_SWISH refuses OFM scales that are too small
    quantization = random_quantization(rng, kind, 100.0)
    alpha = {"alpha": float(np.float32(rng.normal()))} if kind == "LEAKY_RELU" else {}
    assert_matches_tflm(kind, quantization, **alpha)


@pytest.mark.parametrize("ofm_exponent", [-6, -5, -1, 0, 3, 8, 9, 10, 20])
@pytest.mark.parametrize("kind", UNARY_KINDS)
def test_powers_of_two_match_tflm(kind: str, ofm_exponent: int) -> None:
    """Ties, equal scales, and results that vanish or saturate."""
    quantization = {
        "ifm_scale": 2.0**-3,
        "ifm_zero_point": 3,
        "ofm_scale": 2.0 ** (ofm_exponent - 3),
        "ofm_zero_point": -128,
    }
    alpha = {"alpha": 0.5} if kind == "LEAKY_RELU" else {}
    assert_matches_tflm(kind, quantization, **alpha)


@pytest.mark.parametrize("scale", [2.0**-28, 1e-6, 1e-3, 0.1, 0.5, 1.0, 7.9, 8.0, 16.0, 100.0])
@pytest.mark.parametrize("zero_point", [-128, 0, 127])
@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_every_range_of_arguments_matches_tflm(kind: str, zero_point: int, scale: float) -> None:
    """From nearly linear to a step."""
    quantization = {"ifm_scale": scale, "ifm_zero_point": zero_point, "ofm_scale": 2.0**-8}
    assert_matches_tflm(kind, quantization | {"ofm_zero_point": -128})


@pytest.mark.quick
@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.2, 1.0, 1.5, -0.3, -1.0])
def test_slopes_match_tflm(alpha: float) -> None:
    quantization = {"ifm_scale": 0.1, "ifm_zero_point": 10, "ofm_scale": 0.1, "ofm_zero_point": -20}
    assert_matches_tflm("LEAKY_RELU", quantization, alpha=float(np.float32(alpha)))


@pytest.mark.parametrize("seed", [642, 932, 1603, 3581])
def test_slopes_stay_double(seed: int) -> None:
    """As they do not in some versions of TFLM; scales for which that makes other results."""
    rng = np.random.default_rng(seed)
    ifm = np.float32(rng.uniform(0.01, 0.1))
    ofm = np.float32(ifm * rng.uniform(0.3, 1))
    alpha = np.float32(rng.uniform(0.1, 0.9))
    quantization = {
        "ifm_scale": float(ifm),
        "ifm_zero_point": 0,
        "ofm_scale": float(ofm),
        "ofm_zero_point": 0,
    }
    assert_matches_tflm("LEAKY_RELU", quantization, alpha=float(alpha))
    identity = quantize_multiplier(float(ifm / ofm))
    negative = quantize_multiplier(float(ifm * alpha / ofm))
    rounded = [
        twin_multiply(value, *(identity if value >= 0 else negative)) for value in range(-128, 128)
    ]
    table = unary_table("LEAKY_RELU", **quantization, alpha=float(alpha))
    assert np.any(np.clip(rounded, -128, 127) != table), f"seed {seed} shows nothing"


@pytest.mark.parametrize("seed", [1313, 2021, 5362, 6003, 7334, 8273])
def test_multipliers_of_hard_swish_stay_double(seed: int) -> None:
    """As they do not in some versions of TFLM; scales whose 16-bit multipliers would differ."""
    rng = np.random.default_rng(seed)
    ifm = np.float32(rng.uniform(0.01, 0.1))
    ofm = np.float32(ifm * rng.uniform(0.1, 1))
    multipliers = [
        quantize_multiplier(q) for q in (float(ifm) / 128 / float(ofm), float(ifm / 128 / ofm))
    ]
    assert len({twins.to_int16(multiplier) for multiplier, _ in multipliers}) == 2
    scales = {"ifm_scale": float(ifm), "ofm_scale": float(ofm)}
    for zero_point in (-128, 3, 127):
        assert_matches_tflm(
            "HARD_SWISH", scales | {"ifm_zero_point": zero_point, "ofm_zero_point": -7}
        )


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(6), ids="seed{}".format)
@pytest.mark.parametrize("kind", ["LOGISTIC", "TANH"])
def test_fixed_point_matches_the_twin(kind: str, seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    quantization = random_quantization(rng, kind, 1.0)
    real = quantization["ifm_scale"] * 2.0**27
    multiplier, shift = split_multiplier(real)
    radius = math.floor(15 * 2.0**27 / 2.0**shift)
    low = (8, -128) if kind == "LOGISTIC" else (7, 0)
    differences = range(-128 - quantization["ifm_zero_point"], 128 - quantization["ifm_zero_point"])
    expected = [twins.saturating(d, multiplier, shift, radius, *low) for d in differences]
    np.testing.assert_array_equal(
        unary_table(kind, **quantization), np.clip(expected, -128, 127), strict=False
    )


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(6), ids="seed{}".format)
def test_hard_swish_matches_the_twin(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    quantization = random_quantization(rng, "HARD_SWISH", 20.0)
    ifm = quantization["ifm_scale"] / 128
    parameters = (
        *quantize_multiplier(ifm / quantization["ofm_scale"]),
        *quantize_multiplier(ifm / (3 / 32768)),
    )
    expected = [
        twins.hard_swish(value - quantization["ifm_zero_point"], *parameters)
        + quantization["ofm_zero_point"]
        for value in range(-128, 128)
    ]
    np.testing.assert_array_equal(
        unary_table("HARD_SWISH", **quantization), np.clip(expected, -128, 127)
    )


@pytest.mark.parametrize("shape", [(1,), (2, 3, 4, 5), ()], ids=str)
def test_apply_table(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    table = rng.integers(-128, 128, 256).astype(np.int8)
    ifm = np.array(rng.integers(-128, 128, shape), np.int8)
    ofm = apply_table(ifm, table)
    assert ofm.shape == shape
    assert [int(y) for y in ofm.flat] == [int(table[int(x) + 128]) for x in ifm.flat]


def test_tables_are_read_only_and_made_once() -> None:
    table = unary_table("TANH", **UNIT)
    assert unary_table("TANH", **UNIT) is table
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("SIN", {}, "kind is 'SIN'; allowed are ABS, ELU, HARD_SWISH,"),
        ("TANH", {"ifm_scale": 0.0}, "IFM scale is 0.0; allowed is a positive finite float32"),
        ("TANH", {"ofm_scale": math.inf}, "OFM scale is inf; allowed is a positive finite"),
        ("TANH", {"ifm_zero_point": 128}, "ifm_zero_point is 128; allowed is -128 to 127"),
        ("TANH", {"ofm_zero_point": -129}, "ofm_zero_point is -129; allowed is -128 to 127"),
        ("TANH", {"ifm_scale": 2.0**-29}, "IFM scale is 1.8.*; allowed is 3.7.* or more"),
        ("LOGISTIC", {"ofm_zero_point": 0}, "ofm_zero_point is 0; allowed is -128"),
        ("HARD_SWISH", {"ofm_scale": 2.0**-8}, "OFM scale is 0.0039.*; allowed for IFM scale 1.0"),
        ("LEAKY_RELU", {"alpha": math.nan}, "alpha is nan; allowed is a finite number"),
        ("LEAKY_RELU", {"alpha": 1e30}, r"multiplier is .*; allowed is less than 2\*\*30"),
        ("ELU", {"ofm_scale": 1e-9}, "IFM scale over OFM scale is .*; too large"),
    ],
)
def test_bad_arguments_are_refused(kind: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unary_table(kind, **(UNIT | change))


@pytest.mark.parametrize(
    ("ifm", "table", "message"),
    [
        (VALUES.astype(np.int16), VALUES, "ifm is int16; allowed is int8"),
        (VALUES, VALUES.astype(np.uint8), "table is uint8; allowed is int8"),
        (VALUES, VALUES[:255], "table has 255 entries; allowed is 256"),
    ],
)
def test_bad_operands_are_refused(ifm: NDArray[Any], table: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        apply_table(ifm, table)
