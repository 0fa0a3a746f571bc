"""PAD and RESHAPE against TFLM."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.shape import pad, reshape
from tests.kernels import twins
from tests.kernels.layers import seeds, single
from tests.kernels.reference import run_pad, run_reshape
from tests.support.tflite_builder import Pair
from tests.support.tflm import run_tflm


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
def test_pad_matches_tflm_and_the_twin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 5))
    m, x, ifm = single(rng, tuple(int(n) for n in rng.integers(1, 6, rank)))
    pairs = [(int(a), int(b)) for a, b in rng.integers(0, 4, (rank, 2))]
    m.pad(x, pairs)
    model = m.build()
    computed = run_pad(model, ifm)
    np.testing.assert_array_equal(computed, run_tflm(model, [ifm])[0])
    np.testing.assert_array_equal(computed, twins.pad(ifm, pairs, value=x.zero_point))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3, np.int32), [(0, 0)], 0), "ifm is int32; allowed are int8, int16"),
        ((np.zeros(3, np.int8), [(0, 0)] * 2, 0), "paddings are 2 pairs; allowed is one per dim"),
        ((np.zeros(3, np.int8), [(0, -1)], 0), r"padding is \(0, -1\); allowed are two numbers"),
        ((np.zeros(3, np.int8), [(0, 0)], 128), "pad value is 128; allowed is -128 to 127"),
    ],
)
def test_pad_refuses(arguments: tuple[NDArray[Any], list[Pair], int], message: str) -> None:
    ifm, pairs, value = arguments
    with pytest.raises(ValueError, match=message):
        pad(ifm, pairs, value=value)


@pytest.mark.quick
@pytest.mark.parametrize("shape", [(24,), (2, 12), (-1, 4), (1, 2, 3, 4)], ids=str)
def test_reshape_matches_tflm(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    m, x, ifm = single(rng, (2, 3, 4))
    m.reshape(x, shape)
    model = m.build()
    np.testing.assert_array_equal(run_reshape(model, ifm), run_tflm(model, [ifm])[0])


def test_reshape_refuses() -> None:
    refused: Any = np.zeros(24)
    with pytest.raises(ValueError, match=r"shape is \(5, 5\); allowed are shapes of 24 values"):
        reshape(np.zeros(24, np.int8), (5, 5))
    with pytest.raises(ValueError, match="ifm is float64; allowed are int8, int16"):
        reshape(refused, (24,))
