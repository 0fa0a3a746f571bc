"""The roundings of the requantizer: the formula itself, and that every kernel uses it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from kernels import (
    batch_matmul,
    conv,
    depthwise,
    elementwise,
    fully_connected,
    lookup,
    quantize,
    reduce,
    svdf,
    transpose_conv,
)
from kernels.int16 import conv as int16
from kernels.output_stage import OutputStage
from kernels.quantization import AddParameters, PreluParameters, SvdfParameters
from kernels.requantize import Rounding, quantize_multiplier, requantize_and_clamp, requantize_array
from tests.kernels import test_svdf as svdf_twin
from tests.kernels import twins, twins_elementwise, twins_geometry
from tests.kernels.layers import seeds
from tests.kernels.twins_rounding import rescale
from tests.support.random_layers import random_int8

MODES = tuple(Rounding)
every_mode = pytest.mark.parametrize("rounding", MODES, ids=lambda mode: mode.name.lower())
# just below a power of two: whatever is a tie after the first rounding was none before
ALMOST_ONE = 2**31 - 1
ALMOST_QUARTER = float(np.nextafter(np.float32(0.25), np.float32(0)))


def check(acc: ArrayLike, multiplier: ArrayLike, shift: ArrayLike, rounding: Rounding) -> None:
    arrays = [np.asarray(a, np.int32) for a in (acc, multiplier, shift)]
    computed = requantize_array(*arrays, rounding=rounding)
    rows = zip(*(a.tolist() for a in np.broadcast_arrays(*arrays)), strict=True)
    for row, value in zip(rows, computed.tolist(), strict=True):
        assert value == rescale(*row, rounding=rounding), row


@pytest.mark.interpreted
@every_mode
@pytest.mark.parametrize("seed", seeds(5), ids="seed{}".format)
def test_random_values(seed: int, rounding: Rounding) -> None:
    rng = np.random.default_rng(seed)
    acc = rng.integers(-(2**31), 2**31, 2000) >> rng.integers(0, 31, 2000)
    check(acc, rng.integers(2**30, 2**31, 2000), rng.integers(-31, 31, 2000), rounding)


@every_mode
@pytest.mark.parametrize("right", [0, 1, 2, 5, 11, 20, 30, 31])
@pytest.mark.parametrize("multiplier", [2**30, 2**30 + 1, 3 << 29, ALMOST_ONE])
def test_ties_of_both_signs_and_their_neighbours(
    multiplier: int, right: int, rounding: Rounding
) -> None:
    halves = 2 * np.arange(-40, 41) + 1
    exact = halves * 2.0 ** (right - 1) * 2.0**31 / multiplier
    acc = np.concatenate([np.rint(exact) + d for d in (-2, -1, 0, 1, 2)])
    acc = acc[np.abs(acc) < 2**31].astype(np.int64)
    check(acc, np.full(acc.size, multiplier), np.full(acc.size, -right), rounding)


@every_mode
@pytest.mark.parametrize("shift", [-31, -1, 0, 1, 7, 30])
def test_extreme_accumulators_and_left_shifts(shift: int, rounding: Rounding) -> None:
    acc = np.array([-(2**31), -(2**31) + 1, -(2**30), -1, 0, 1, 2**30, 2**31 - 1])
    for multiplier in (0, 1, 2**30, ALMOST_ONE):
        check(acc, np.full(acc.size, multiplier), np.full(acc.size, shift), rounding)


@every_mode
def test_saturation(rounding: Rounding) -> None:
    for acc in (-(2**31), -600, -514, 0, 506, 600, 2**31 - 1):
        scaled = rescale(acc, ALMOST_ONE, -2, rounding=rounding) + 3
        value = requantize_and_clamp(acc, ALMOST_ONE, -2, 3, -128, 127, int(rounding))
        assert value == min(max(scaled, -128), 127)


def test_the_modes_by_example() -> None:
    """A positive tie, a negative one, and values just below them before the first rounding."""
    acc = np.array([6, -6, 6, -6], np.int32)
    multiplier = np.array([2**30, 2**30, ALMOST_ONE, ALMOST_ONE], np.int32)
    shift = np.array([-1, -1, -2, -2], np.int32)
    results = {mode: requantize_array(acc, multiplier, shift, rounding=mode) for mode in MODES}
    assert results[Rounding.DOUBLE].tolist() == [2, -2, 2, -2]
    assert results[Rounding.SINGLE].tolist() == [2, -1, 1, -1]
    assert results[Rounding.HALF_UP].tolist() == [2, -1, 2, -1]


def test_names() -> None:
    assert [Rounding.named(name) for name in ("double", "single", "half_up")] == list(MODES)
    with pytest.raises(ValueError, match="'DOUBLE'; allowed are double, single, half_up"):
        Rounding.named("DOUBLE")


def per_channel(channels: int) -> dict[str, Any]:
    multiplier, shift = (np.full(channels, n, np.int32) for n in (ALMOST_ONE, -3))
    return {"ifm_zero_point": 3, "stage": OutputStage(multiplier, shift, -2, -128, 127)}


def rounded(arguments: dict[str, Any], rounding: Rounding) -> dict[str, Any]:
    """Keyword arguments that make a kernel round as `rounding` says."""
    if "stage" not in arguments:
        return arguments | {"rounding": rounding}
    return arguments | {"stage": arguments["stage"]._replace(rounding=rounding)}


PLACED = {"stride": (1, 1), "padding": (1, 1), "ofm_hw": (6, 5)}
CLAMPED = {"activation_min": -128, "activation_max": 127}
TWO = {"a_zero_point": 3, "b_zero_point": -4, "ofm_zero_point": 5}
ONE = {"ifm_zero_point": 3, "ofm_zero_point": 5}
SCALED = {"multiplier": ALMOST_ONE, "shift": -2}
SUM = {"parameters": AddParameters(ALMOST_ONE, -18, ALMOST_ONE, -17, ALMOST_ONE, -3)}


Case = tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""(kernel, plain-Python twin, operands, keyword arguments)."""


def cases() -> dict[str, Case]:
    """Name: (kernel, plain-Python twin, operands, keyword arguments)."""
    rng = np.random.default_rng(0)

    def small(low: int, high: int, shape: tuple[int, ...]) -> NDArray[np.int8]:
        return rng.integers(low, high, shape, dtype=np.int8)

    ifm, weights = small(-9, 9, (1, 6, 5, 4)), small(-5, 5, (6, 3, 3, 4))
    bias = rng.integers(-99, 99, 6).astype(np.int32)
    deep, a, b = small(-5, 5, (1, 3, 3, 8)), random_int8(rng, (7, 9)), random_int8(rng, (7, 9))
    wide = small(-9, 9, (4, 5, 60))
    sums = TWO | CLAMPED | SUM
    return {
        "conv2d": (
            conv.conv2d,
            twins.conv2d,
            (ifm, weights, bias),
            per_channel(6) | PLACED | {"dilation": (1, 1)},
        ),
        "matrix product": (
            conv.conv2d,
            twins.conv2d,
            (small(-9, 9, (99, 3, 3, 4)), weights, bias),
            per_channel(6) | PLACED | {"dilation": (1, 1), "padding": (0, 0), "ofm_hw": (1, 1)},
        ),
        "depthwise_conv2d": (
            depthwise.depthwise_conv2d,
            twins.depthwise_conv2d,
            (ifm, deep, None),
            per_channel(8) | PLACED | {"dilation": (1, 1)},
        ),
        "fully_connected": (
            fully_connected.fully_connected,
            twins.fully_connected,
            (ifm.reshape(30, 4), weights[:, 0, 0], bias),
            per_channel(6),
        ),
        "transpose_conv": (
            transpose_conv.transpose_conv,
            twins_geometry.transpose_conv,
            (ifm, weights, bias),
            per_channel(6) | PLACED,
        ),
        "batch_matmul": (
            batch_matmul.batch_matmul,
            twins_geometry.batch_matmul,
            (ifm, ifm.swapaxes(2, 3)),
            TWO | {"multiplier": ALMOST_ONE, "shift": -4, "adj_a": False, "adj_b": False},
        ),
        "add": (elementwise.add, twins.add, (a, b), sums),
        "sub": (elementwise.sub, twins_elementwise.sub, (a, b), sums),
        "mul": (
            elementwise.mul,
            twins_elementwise.mul,
            (a, b),
            TWO | CLAMPED | {"multiplier": ALMOST_ONE, "shift": -5},
        ),
        "prelu": (
            elementwise.prelu,
            twins_elementwise.prelu,
            (a, b),
            ONE
            | {
                "alpha_zero_point": 1,
                "parameters": PreluParameters(ALMOST_ONE, -1, ALMOST_ONE, -6),
            },
        ),
        "requantize": (quantize.requantize, twins.requantize, (a,), ONE | SCALED),
        "mean": (reduce.mean, twins.mean, (wide, [1]), ONE | SCALED | {"keep_dims": True}),
        "reduce_sum": (
            reduce.reduce_sum,
            twins.mean,
            (wide, [1]),
            ONE | SCALED | {"keep_dims": True},
        ),
    }


@pytest.fixture
def twins_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Rounding], None]:
    """Makes the twins round as it is told."""

    def use(rounding: Rounding) -> None:
        for module in (twins, twins_elementwise, svdf_twin):
            formula = partial(rescale, rounding=rounding)
            monkeypatch.setattr(module, "multiply_by_quantized_multiplier", formula)

    return use


@pytest.mark.interpreted
@pytest.mark.parametrize("name", cases())
def test_every_kernel_rounds_as_its_twin(name: str, twins_of: Callable[[Rounding], None]) -> None:
    kernel, twin, operands, arguments = cases()[name]
    results = set()
    for rounding in MODES:
        twins_of(rounding)
        ofm = kernel(*operands, **rounded(arguments, rounding))
        np.testing.assert_array_equal(ofm, twin(*operands, **arguments))
        results.add(ofm.tobytes())
    assert len(results) == len(MODES), "these operands do not tell the modes apart"
    np.testing.assert_array_equal(
        kernel(*operands, **arguments), kernel(*operands, **rounded(arguments, Rounding.DOUBLE))
    )


def test_svdf_rounds_as_its_twin(twins_of: Callable[[Rounding], None]) -> None:
    rng = np.random.default_rng(0)
    feature, time = random_int8(rng, (8, 6)), rng.integers(-3, 4, (8, 5)).astype(np.int16)
    state, bias = rng.integers(-99, 99, (20, 40)).astype(np.int16), np.zeros(4, np.int32)
    arguments: dict[str, Any] = {
        "ifm_zero_point": 3,
        "state_zero_point": 0,
        "ofm_zero_point": -4,
        "parameters": SvdfParameters(2, ALMOST_ONE, -9, ALMOST_ONE, -2),
    }
    results = set()
    for rounding in MODES:
        twins_of(rounding)
        operands = random_int8(np.random.default_rng(1), (20, 6)), state, feature, time, bias
        found = svdf.svdf(*operands, **arguments, rounding=rounding)
        expected = svdf_twin.twin(*operands, arguments=arguments)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        results.add(found[0].tobytes())
    assert len(results) == len(MODES)


@every_mode
def test_convolution_16x8_with_an_int32_bias(rounding: Rounding) -> None:
    bias = np.arange(-60, 60, dtype=np.int32)
    ofm = int16.conv2d_16x8(
        np.zeros((1, 1, 1, 1), np.int16),
        np.ones((120, 1, 1, 1), np.int8),
        bias,
        stride=(1, 1),
        dilation=(1, 1),
        padding=(0, 0),
        ofm_hw=(1, 1),
        stage=OutputStage(
            np.full(120, ALMOST_ONE, np.int32),
            np.full(120, -2, np.int32),
            zero_point=0,
            low=-128,
            high=127,
            rounding=rounding,
        ),
    )
    assert ofm.reshape(-1).tolist() == [
        rescale(b, ALMOST_ONE, -2, rounding=rounding) for b in range(-60, 60)
    ]


QUANTIZATION = {
    "ifm_scale": ALMOST_QUARTER,
    "ifm_zero_point": 1,
    "ofm_scale": 1.0,
    "ofm_zero_point": -3,
}
IDENTITY = quantize_multiplier(ALMOST_QUARTER)
FUNCTIONS = {
    "QUANTIZE": lambda x, f: f(x),
    "RELU": lambda x, f: max(f(x), 0),
    "ABS": lambda x, f: f(abs(x)),
    "LEAKY_RELU": lambda x, f: f(x),
}


@every_mode
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_tables(kind: str, rounding: Rounding) -> None:
    def multiply(value: int) -> int:
        return rescale(value, *IDENTITY, rounding=rounding)

    table = lookup.unary_table(kind, **QUANTIZATION, alpha=1.0, rounding=rounding)
    expected = [FUNCTIONS[kind](x - 1, multiply) - 3 for x in range(-128, 128)]
    assert table.tolist() == expected


@pytest.mark.parametrize("kind", sorted({*lookup.UNARY_KINDS} - {*FUNCTIONS}))
def test_tables_of_other_functions_do_not_depend_on_the_rounding(kind: str) -> None:
    arguments: dict[str, Any] = QUANTIZATION | {"ofm_zero_point": -128}
    tables = [lookup.unary_table(kind, **arguments, rounding=mode).tolist() for mode in MODES]
    assert tables[0] == tables[1] == tables[2]


def test_another_rounding_is_refused() -> None:
    unknown: Any = 3
    message = "rounding is 3; allowed are 0, 1, 2"
    kernel, _, operands, arguments = cases()["conv2d"]
    with pytest.raises(ValueError, match=message):
        kernel(*operands, **rounded(arguments, unknown))
    with pytest.raises(ValueError, match=message):
        lookup.unary_table("RELU", **QUANTIZATION, rounding=unknown)
    with pytest.raises(ValueError, match="3 is not a valid Rounding"):
        requantize_array(*[np.zeros(1, np.int32)] * 3, rounding=unknown)
