"""Data movement against plain indexing; TFLM is the judge in tests/npu."""

from collections.abc import Callable
from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.data_movement import (
    axis_slices,
    broadcast_to,
    concatenate,
    depth_to_space,
    gather,
    mirror_pad,
    pack,
    space_to_depth,
    split,
    strided_slice,
    transpose,
    unpack,
)

Axes = tuple[int, ...]


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


@pytest.mark.quick
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


X = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize("axis", [1, -2])
def test_split_and_concatenate_are_inverse(axis: int) -> None:
    parts = split(X, [1, 2], axis)
    assert [part.shape for part in parts] == [(2, 1, 4), (2, 2, 4)]
    assert all(part.flags.c_contiguous and not np.shares_memory(part, X) for part in parts)
    np.testing.assert_array_equal(concatenate(parts, axis), X)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_unpack_and_pack_are_inverse(axis: int) -> None:
    parts = unpack(X, axis)
    assert len(parts) == X.shape[axis]
    assert all(part.flags.c_contiguous for part in parts)
    np.testing.assert_array_equal(pack(parts, axis), X)


@pytest.mark.parametrize("block", [1, 2, 3])
def test_depth_and_space_are_inverse(block: int) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (2, 6, 12, 5), np.int8)
    y = space_to_depth(x, block)
    assert y.shape == (2, 6 // block, 12 // block, 5 * block * block)
    for n, oy, ox, c in product(range(2), range(6), range(12), range(5)):
        channel = (oy % block * block + ox % block) * 5 + c
        assert y[n, oy // block, ox // block, channel] == x[n, oy, ox, c]
    np.testing.assert_array_equal(depth_to_space(y, block), x)


@pytest.mark.parametrize(
    ("begin", "end", "strides", "masks", "expected"),
    [
        ((0, 1, 0), (2, 3, 4), (1, 1, 2), (0, 0, 0), X[:, 1:3, ::2]),
        ((-1, -1, -1), (-9, -3, -9), (-1, -1, -3), (0, 0, 0), X[::-1, 2:0:-1, ::-3]),
        ((9, 9, 9), (9, 0, 1), (1, 1, -1), (3, 3, 0), X[:, :, :1:-1]),
        ((1, 0, 2), (0, 3, 0), (1, 1, 1), (0, 0, 5), X[1, :, 2]),
        ((-2, 0, -1), (0, 3, 0), (1, 1, 1), (0, 0, 5), X[0, :, 3]),
        ((1, 1, 0), (2, 2, 4), (1, 1, 1), (1, 0, 1), X[0, 1:2]),
    ],
    ids=str,
)
def test_strided_slice(
    begin: Axes, end: Axes, strides: Axes, masks: Axes, expected: NDArray[np.int16]
) -> None:
    names = ("begin_mask", "end_mask", "shrink_axis_mask")
    slices = axis_slices(X.shape, begin, end, strides, **dict(zip(names, masks, strict=True)))
    y = strided_slice(X, slices)
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(y, expected)
    assert y.shape == tuple(s.size for s in slices if not s.dropped)


def test_broadcast_gather_and_mirror() -> None:
    np.testing.assert_array_equal(broadcast_to(X[:, :1], (5, 2, 3, 4))[3, 1, 2], X[1, 0])
    np.testing.assert_array_equal(gather(X, np.array([[2, 0]]), -2), X[:, [[2, 0]]])
    row = np.array([1, 2, 3], np.int8)
    assert mirror_pad(row, [(2, 1)], symmetric=False).tolist() == [3, 2, 1, 2, 3, 2]
    assert mirror_pad(row, [(2, 3)], symmetric=True).tolist() == [2, 1, 1, 2, 3, 3, 2, 1]


NO_MASKS = {"begin_mask": 0, "end_mask": 0, "shrink_axis_mask": 0}
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "split_sizes": (lambda: split(X, [1, 1], 1), r"sizes are \[1, 1\]; allowed .* add up to 3"),
    "split_nothing": (lambda: split(X, [3, 0], 1), r"sizes are \[3, 0\]; allowed are sizes of 1"),
    "split_axis": (lambda: split(X, [3], 3), "axis is 3; allowed is -3 to 2"),
    "pack_shapes": (lambda: pack([X, X[:1]], 0), r"parts have shapes \[\(1, 3, 4\), \(2, 3, 4\)\]"),
    "pack_types": (lambda: pack([X, X.astype(np.int8)], 0), "parts are of int16, int8 type"),
    "pack_axis": (lambda: pack([X, X], 4), "axis is 4; allowed is -4 to 3"),
    "unpack_axis": (lambda: unpack(X, -4), "axis is -4; allowed is -3 to 2"),
    "slice_rank": (
        lambda: axis_slices((2,), (0, 0), (1,), (1,), **NO_MASKS),
        "begin has 2 values; allowed is 1",
    ),
    "slice_stride": (
        lambda: axis_slices((2,), (0,), (1,), (0,), **NO_MASKS),
        "stride of dimension 0 is 0; allowed is any other",
    ),
    "slice_empty": (
        lambda: axis_slices((2,), (1,), (1,), (1,), **NO_MASKS),
        "nothing of dimension 0 is taken",
    ),
    "slice_index": (
        lambda: axis_slices((2,), (2,), (3,), (1,), **(NO_MASKS | {"shrink_axis_mask": 1})),
        "index into dimension 0 is 2 with stride 1; allowed is -2 to 1",
    ),
    "space_rank": (lambda: space_to_depth(X, 2), r"ifm has shape \(2, 3, 4\); allowed are 4"),
    "space_block": (
        lambda: space_to_depth(X[None], 2),
        "block is 2; allowed for 2 x 3 pixels is a divisor of both",
    ),
    "depth_block": (
        lambda: depth_to_space(X[None], 3),
        "block is 3; allowed for 4 channels is one whose square divides them",
    ),
    "broadcast": (lambda: broadcast_to(X, (2, 3, 5)), r"shape is \(2, 3, 5\); allowed are shapes"),
    "gather_low": (lambda: gather(X, np.array([-1]), 0), "indices span -1 to -1; allowed is 0 to"),
    "gather_high": (lambda: gather(X, np.array([0, 2]), 0), "indices span 0 to 2; allowed is 0 to"),
    "mirror_rank": (lambda: mirror_pad(X, [(0, 0)], symmetric=True), "paddings are 1 pairs"),
    "mirror_size": (
        lambda: mirror_pad(X, [(0, 2), (0, 0), (0, 0)], symmetric=False),
        r"padding is \(0, 2\); allowed is 0 to 1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()
