"""Operators that pick or put values by position, and blocks of pixels, against TFLM."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.indexing import dynamic_update_slice, embedding_lookup, gather_nd, reverse
from kernels.space_to_batch import batch_to_space, space_to_batch
from tests.kernels.layers import seeds
from tests.kernels.one_operator import Given, Made, every_value, in_tflm, indices

QUANTIZATION = 0.1, -5


def given(values: NDArray[Any]) -> Given:
    return Given(values, *QUANTIZATION)


def made(values: NDArray[Any]) -> Made:
    return Made(values.shape, values.dtype, *QUANTIZATION)


@pytest.mark.parametrize("axes", [[0], [1], [2], [-1], [0, 1], [2, 1], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_reverse(axes: list[int], dtype: Any) -> None:
    ifm = every_value(np.random.default_rng(0), (2, 3, 4), dtype)
    computed = reverse(ifm, axes)
    expected = in_tflm("REVERSE_V2", [given(ifm), indices(*axes)], made(computed))
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("shape", [(4,), (2, 3)], ids=str)
def test_gather_nd(depth: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(depth)
    ifm = every_value(rng, (2, 3, 4))
    where = rng.integers(0, ifm.shape[:depth], (*shape, depth)).astype(np.int32)
    computed = gather_nd(ifm, where)
    expected = in_tflm("GATHER_ND", [given(ifm), Given(where)], made(computed))
    np.testing.assert_array_equal(computed, expected, strict=True)


def test_embedding_lookup() -> None:
    rng = np.random.default_rng(0)
    table, rows = every_value(rng, (9, 2, 5)), np.array([8, 0, 3, 3], np.int32)
    computed = embedding_lookup(rows, table)
    operands = [Given(rows), given(table)._replace(constant=True)]
    expected = in_tflm("EMBEDDING_LOOKUP", operands, made(computed))
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("seed", seeds(8), ids="seed{}".format)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_dynamic_update_slice(seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    ifm = every_value(rng, (3, 4, 5))
    update = every_value(rng, tuple(rng.integers(1, (4, 5, 6))))
    # partly outside, where the update is moved back
    start = rng.integers(-2, 6, 3).astype(dtype)
    computed = dynamic_update_slice(ifm, update, start.tolist())
    operands = [given(ifm), given(update), Given(start)]
    options_type = "DynamicUpdateSliceOptions"
    expected = in_tflm("DYNAMIC_UPDATE_SLICE", operands, made(computed), {}, options_type)
    np.testing.assert_array_equal(computed, expected, strict=True)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("seed", seeds(12), ids="seed{}".format)
def test_blocks_of_pixels(seed: int, rank: int) -> None:
    rng = np.random.default_rng(seed)
    block = rng.integers(1, 4, rank)
    before = rng.integers(0, 3, rank)
    sizes = block * rng.integers(2, 4, rank)
    after = -before % block + block * rng.integers(0, 2, rank)
    pairs = np.stack([before, after], -1).tolist()
    ifm = every_value(rng, (2, *sizes, 3))
    apart = space_to_batch(ifm, block.tolist(), pairs, value=0)
    operands = [given(ifm), indices(*block), indices(*pairs)]
    expected = in_tflm("SPACE_TO_BATCH_ND", operands, made(apart))
    np.testing.assert_array_equal(apart, expected, strict=True)
    together = batch_to_space(apart, block.tolist(), pairs)
    operands = [given(apart), indices(*block), indices(*pairs)]
    expected = in_tflm("BATCH_TO_SPACE_ND", operands, made(together))
    np.testing.assert_array_equal(together, expected, strict=True)
    np.testing.assert_array_equal(together, ifm)


def test_what_no_kernel_takes() -> None:
    x = np.zeros((2, 3, 4), np.int8)
    with pytest.raises(ValueError, match=r"axes are \[3\]; allowed is -3 to 2"):
        reverse(x, [3])
    for axes in ([0, 2], [], [1, -2]):
        with pytest.raises(ValueError, match="allowed are axes that follow each other"):
            reverse(x, axes)
    with pytest.raises(ValueError, match="positions have 4 numbers; allowed is 1 to 3"):
        gather_nd(x, np.zeros((1, 4), np.int32))
    with pytest.raises(ValueError, match="indices span 0 to 3; allowed is 0 to 2"):
        gather_nd(x, np.array([[0, 0], [1, 3]], np.int32))
    with pytest.raises(ValueError, match="have 2 and 3 dimensions; allowed are 1, and 2 or more"):
        embedding_lookup(np.zeros((1, 1), np.int32), x)
    with pytest.raises(ValueError, match="indices span -1 to -1; allowed is 0 to 1"):
        embedding_lookup(np.array([-1], np.int32), x)
    with pytest.raises(ValueError, match=r"2 dimensions and starts at \[0\]; allowed are 3 each"):
        dynamic_update_slice(x, x[0], [0])
    with pytest.raises(ValueError, match=r"shape \(2, 3, 5\); allowed is up to \(2, 3, 4\)"):
        dynamic_update_slice(x, np.zeros((2, 3, 5), np.int8), [0, 0, 0])


@pytest.mark.parametrize("function", [space_to_batch, batch_to_space])
def test_blocks_that_no_kernel_takes(function: Any) -> None:
    x = np.zeros((2, 3, 4), np.int8)
    more = {"value": 0} if function is space_to_batch else {}
    with pytest.raises(ValueError, match=r"block \[2, 2\] and 1 .*; allowed are 3 or 4 dimensions"):
        function(x, [2, 2], [(0, 0)], **more)
    with pytest.raises(ValueError, match=r"block is \[0\] and .*; allowed is 1 and 0 up"):
        function(x, [0], [(0, 0)], **more)
    with pytest.raises(ValueError, match=r"block is \[4\]; allowed for \d.* is a divisor"):
        function(x, [4], [(0, 0)], **more)


def test_crops_that_leave_nothing() -> None:
    with pytest.raises(ValueError, match=r"crops are \(3, 3\); allowed for 6 is less"):
        batch_to_space(np.zeros((2, 3, 4), np.int8), [2], [(3, 3)])
