"""The compiled inner loops against their NumPy form, at the edge of what float32 holds exactly."""

import numpy as np
import pytest
from numba import njit

from kernels import tiles
from tests.kernels.layers import INTERPRETED

pytestmark = pytest.mark.skipif(INTERPRETED, reason="compares with what Numba compiles")


@njit
def call_matrix(wide, x, origins, base, panel, start, count, acc):
    if wide:
        tiles.wide_tile(x, origins, base, panel, start, count, acc)
    else:
        tiles.narrow_tile(x, origins, base, panel, start, count, acc)


@njit
def call_depthwise(x, origins, base, offsets, panel, start, count, acc):
    tiles.depthwise_tile(x, origins, base, offsets, panel, start, count, acc)


@pytest.mark.parametrize("count", [1, 2, 31, tiles.EXACT_TAPS])
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("extreme", [True, False])
def test_matrix_tiles(wide, count, extreme):
    pixels, vectors = tiles.WIDE if wide else tiles.NARROW
    rng = np.random.default_rng(count)
    x = rng.integers(-128, 128, 2000).astype(np.float32)
    panel = rng.integers(-128, 128, (count + 3, vectors * tiles.LANES)).astype(np.float32)
    if extreme:
        x[:], panel[:] = -128, -128
        x[::7] = -127
    origins = rng.integers(0, 900, pixels)
    expected = rng.integers(-(2**30), 2**30, (pixels, panel.shape[1])).astype(np.int32)
    computed = expected.copy()
    call_matrix(wide, x, origins, 5, panel.reshape(-1), 3, count, computed)
    exact = x.astype(np.int64), panel[3:].astype(np.int64)
    for p in range(pixels):
        first = 5 + origins[p]
        expected[p] += (exact[0][first : first + count] @ exact[1]).astype(np.int32)
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("count", [1, 9, tiles.EXACT_TAPS])
def test_depthwise_tile(count):
    rng = np.random.default_rng(count)
    x = rng.integers(-128, 128, 3000).astype(np.float32)
    panel = rng.integers(-128, 128, (count + 2, tiles.LANES)).astype(np.float32)
    offsets = rng.integers(0, 1500, count + 2)
    origins = rng.integers(0, 1000, tiles.DEPTHWISE_PIXELS)
    expected = np.zeros((tiles.DEPTHWISE_PIXELS, tiles.LANES), np.int32)
    computed = expected.copy()
    call_depthwise(x, origins, 4, offsets, panel.reshape(-1), 2, count, computed)
    tiles._interpreted_depthwise_tile(x, origins, 4, offsets, panel, 2, count, expected)
    np.testing.assert_array_equal(computed, expected)
