"""float32 (and plain int32) arithmetic against TFLM, over every kind of number."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.float32 import BINARY, FUSED, UNARY, add_n, binary, cumsum, unary
from tests.kernels.layers import INTERPRETED
from tests.kernels.one_operator import Given, Made, in_tflm, indices
from tests.support.random_layers import Rng

OPTIONS = {
    **{kind: f"{kind.title()}Options" for kind in ("ADD", "SUB", "MUL", "DIV")},
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "LEAKY_RELU": "LeakyReluOptions",
}
ACTIVATIONS = ["NONE", "RELU", "RELU_N1_TO_1", "RELU6"]
FLOAT_ONLY = ("FLOOR_DIV", "FLOOR_MOD", "PRELU")


def every_float(rng: Rng, count: int = 3000) -> NDArray[np.float32]:
    bits = rng.integers(0, 1 << 32, count, dtype=np.uint64).astype(np.uint32).view(np.float32)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4e38, -3.4e38])
    usual = [rng.normal(0, 3, count), rng.uniform(-100, 100, count), np.arange(-40, 40) / 4]
    return np.concatenate([bits, *(part.astype(np.float32) for part in (*usual, special))])


def assert_same_bits(computed: NDArray[Any], expected: NDArray[Any]) -> None:
    assert computed.dtype == expected.dtype
    assert computed.shape == expected.shape
    alike = computed.view(np.uint32) == expected.view(np.uint32)
    if computed.dtype == np.float32:
        alike |= np.isnan(computed) & np.isnan(expected)
    assert alike.all(), f"{np.count_nonzero(~alike)} differ"


# without Numba these are Python's, which are of double
OF_THE_C_LIBRARY = ("COS", "EXP", "LOG", "LOGISTIC", "SIN", "TANH")


@pytest.mark.parametrize("kind", UNARY)
def test_functions_of_one_number(kind: str) -> None:
    if INTERPRETED and kind in OF_THE_C_LIBRARY:
        pytest.skip("compiled code calls the C library, Python computes in double")
    x = every_float(np.random.default_rng(0))
    options = {"alpha": 0.3} if kind == "LEAKY_RELU" else {}
    made = Made(x.shape, np.float32)
    expected = in_tflm(kind, [Given(x)], made, options, OPTIONS.get(kind))
    assert_same_bits(unary(kind, x, alpha=0.3), expected)


@pytest.mark.parametrize(
    ("kind", "activation"),
    [(kind, name) for kind in BINARY for name in (ACTIVATIONS if kind in FUSED else ["NONE"])],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_functions_of_two_numbers(kind: str, activation: str, dtype: Any) -> None:
    if dtype == np.int32 and kind in FLOAT_ONLY:
        pytest.skip("TFLM has it in float32 only")
    rng = np.random.default_rng(1)
    a: NDArray[Any]
    b: NDArray[Any]
    if dtype == np.int32:
        a = rng.integers(-(1 << 31), 1 << 31, 2000).astype(np.int32)
        b = rng.integers(-99, 99, 2000).astype(np.int32)
    else:
        a = every_float(rng)
        b = rng.permutation(every_float(rng))
        b[::7] = a[::7]
    if kind == "FLOOR_DIV" or dtype == np.int32:
        b[b == 0] = 3
    options = {"fusedActivationFunction": ACTIVATIONS.index(activation)} if kind in FUSED else {}
    made = Made(a.shape, dtype)
    expected = in_tflm(kind, [Given(a), Given(b)], made, options, OPTIONS.get(kind))
    assert_same_bits(binary(kind, a, b, activation=activation), expected)


@pytest.mark.parametrize("kind", BINARY)
def test_operands_are_broadcast(kind: str) -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 3, 4)).astype(np.float32), rng.normal(size=(3, 1))
    b = b.astype(np.float32)
    expected = in_tflm(kind, [Given(a), Given(b)], Made(a.shape, np.float32), {}, OPTIONS.get(kind))
    assert_same_bits(binary(kind, a, b), expected)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("exclusive", [False, True], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumsum(axis: int, exclusive: bool, reverse: bool) -> None:
    x = np.random.default_rng(3).normal(size=(2, 9, 4)).astype(np.float32)
    x[0, 0] = -0.0
    options = {"exclusive": exclusive, "reverse": reverse}
    made = Made(x.shape, np.float32)
    expected = in_tflm("CUMSUM", [Given(x), indices(axis)], made, options, "CumsumOptions")
    assert_same_bits(cumsum(x, axis, exclusive=exclusive, reverse=reverse), expected)


def test_add_n() -> None:
    rng = np.random.default_rng(4)
    parts = [rng.normal(size=(3, 5)).astype(np.float32) for _ in range(4)]
    made = Made((3, 5), np.float32)
    expected = in_tflm("ADD_N", [Given(part) for part in parts], made, {}, "AddNOptions")
    assert_same_bits(add_n(parts), expected)


def test_what_no_kernel_takes() -> None:
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="kind is 'TAN'; allowed are ABS, CEIL"):
        unary("TAN", x)
    with pytest.raises(ValueError, match="ifm is float64; allowed is float32"):
        unary("SIN", x.astype(np.float64))
    with pytest.raises(ValueError, match="kind is 'POW'; allowed are ADD, DIV"):
        binary("POW", x, x)
    with pytest.raises(ValueError, match="activation is 'TANH'; allowed are NONE"):
        binary("ADD", x, x, activation="TANH")
    with pytest.raises(ValueError, match="a divisor is 0; allowed is any other number"):
        binary("FLOOR_DIV", x, x)
    integers = np.array([-(1 << 31), 5], np.int32)
    for divisor in (0, -1):
        with pytest.raises(ValueError, match="a quotient is no int32"):
            binary("DIV", integers, np.array(divisor, np.int32))
    with pytest.raises(ValueError, match="axis is 1; allowed is -1 to 0"):
        cumsum(x, 1, exclusive=False, reverse=False)
    with pytest.raises(ValueError, match=r"parts have shapes \[\(2,\), \(3,\)\]; allowed is one"):
        add_n([x, x[:2]])
