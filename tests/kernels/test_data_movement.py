"""TRANSPOSE and CONCATENATION against plain indexing; TFLM is the judge in tests/npu."""

from itertools import permutations, product

import numpy as np
import pytest

from kernels.data_movement import concatenate, transpose


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_transpose(order: tuple[int, int, int]) -> None:
    x = np.random.default_rng(1).integers(-128, 128, (2, 3, 4), np.int8)
    y = transpose(x, order)
    assert y.flags.c_contiguous
    for index in product(*map(range, x.shape)):
        assert y[tuple(index[i] for i in order)] == x[index]


@pytest.mark.parametrize("order", [(0, 1), (0, 1, 3), (0, 1, 1), (0, 1, -1)])
def test_transpose_refuses_what_is_no_permutation(order: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="allowed is a permutation of 0 to 2"):
        transpose(np.zeros((2, 3, 4), np.int8), order)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concatenate(axis: int) -> None:
    parts = [np.full((2, 3), value, np.int8) for value in (1, 2, 3)]
    y = concatenate(parts, axis)
    assert y.flags.c_contiguous
    assert y.shape == ((6, 3) if axis == 0 else (2, 9))
    pieces = np.split(y, 3, axis)
    assert [np.unique(piece).tolist() for piece in pieces] == [[1], [2], [3]]


def test_concatenate_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="parts are of int16, int8 type; allowed is one dtype"):
        concatenate([np.zeros(2, np.int8), np.zeros(2, np.int16)], 0)
    with pytest.raises(ValueError, match="must match exactly"):
        concatenate([np.zeros((2, 3), np.int8), np.zeros((2, 4), np.int8)], 0)
    with pytest.raises(ValueError, match="parts are of no type"):
        concatenate([], 0)
