"""The compiled inner loops against their NumPy form, on every instruction set of this machine."""

from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from kernels.prepared import tiles
from kernels.prepared.instruction_sets import SINGLE, InstructionSet, available
from kernels.prepared.panels import OUTPUT_ROWS, OutputRow
from tests.kernels.layers import INTERPRETED
from tests.support.random_layers import Rng

pytestmark = pytest.mark.skipif(INTERPRETED, reason="compares with what Numba compiles")

INSTRUCTION_SETS = [pytest.param(isa, id=isa.name) for isa in available()]


@njit
def call_matrix(
    form: int,
    x: NDArray[Any],
    offsets: NDArray[Any],
    panels: NDArray[Any],
    channels: NDArray[Any],
    ofm: NDArray[Any],
    tile: tiles.Tile,
    first: int,
) -> None:
    if form == 0:
        tiles.matrix_tile(0, x, offsets, panels, channels, ofm, tile, first)
    elif form == 1:
        tiles.matrix_tile(1, x, offsets, panels, channels, ofm, tile, first)
    elif form == 2:
        tiles.matrix_tile(2, x, offsets, panels, channels, ofm, tile, first)
    else:
        tiles.matrix_tile(SINGLE, x, offsets, panels, channels, ofm, tile, first)


@njit
def call_depthwise(
    x: NDArray[Any],
    offsets: NDArray[Any],
    panels: NDArray[Any],
    channels: NDArray[Any],
    ofm: NDArray[Any],
    tile: tiles.Tile,
    first: int,
) -> None:
    tiles.depthwise_tile(x, offsets, panels, channels, ofm, tile, first)


def output_stage(rng: Rng, width: int) -> NDArray[np.int32]:
    """Every kind of output stage, legal or not: rows as the tiles take them, flat."""
    rows = np.zeros((OUTPUT_ROWS, width), np.int32)
    rows[OutputRow.BIAS] = rng.integers(-(2**31), 2**31, width)
    rows[OutputRow.LEFT] = rng.integers(0, 3, width)
    rows[OutputRow.MULTIPLIER] = rng.integers(2**30, 2**31, width)
    rows[OutputRow.NUDGE] = rng.choice([0, 1 << 30], width)
    rows[OutputRow.SIGN] = rng.choice([0, -1], width)
    rows[OutputRow.RIGHT] = rng.integers(0, 31, width)
    rows[OutputRow.HALF] = rng.integers(0, 2, width)
    return rows.reshape(-1)


def weights(rng: Rng, isa: InstructionSet, steps: int, width: int) -> NDArray[Any]:
    """Random packed weights, -128 included."""
    return rng.integers(-128, 128, steps * width * isa.taps).astype(isa.element).view(isa.tag)


@pytest.mark.parametrize("seed", range(8), ids="seed{}".format)
@pytest.mark.parametrize("form", [0, 1, 2, SINGLE])
@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_matrix_tiles(isa: InstructionSet, form: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels, vectors = isa.tile(form)
    width, steps = vectors * isa.lanes, int(rng.integers(1, 40))
    count = int(rng.integers(1, 2 * pixels))
    first = int(rng.integers(0, count))
    valid = int(rng.integers(1, width + 3))
    x = rng.integers(-128, 128, 900).astype(isa.element)
    offsets = rng.integers(0, 440, steps + count).astype(np.int32)
    panels, channels = weights(rng, isa, steps, width), output_stage(rng, width)
    pitch = width + 5
    expected = np.full(count * pitch + width, 55, np.int8)
    computed = expected.copy()
    zero_point = int(rng.integers(-128, 128))
    tile = tiles.Tile(2, 0, steps, steps, 0, 0, 1, count, pitch, valid, zero_point, -100, 90)
    call_matrix(form, x, offsets, panels, channels, computed, tile, first)
    tiles._interpreted_matrix_tile(form, x, offsets, panels, channels, expected, tile, first)
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize("seed", range(8), ids="seed{}".format)
@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_depthwise_tile(isa: InstructionSet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, count = int(rng.integers(1, 10)), int(rng.integers(1, 9))
    taps = steps * isa.taps
    first = int(rng.integers(0, count))
    valid = int(rng.integers(1, isa.block + 3))
    x = rng.integers(-128, 128, 900).astype(isa.element)
    offsets = rng.integers(0, 430, taps + count).astype(np.int32)
    panels, channels = weights(rng, isa, steps, isa.block), output_stage(rng, isa.block)
    pitch = isa.block + 5
    expected = np.full(count * pitch + isa.block, 55, np.int8)
    computed = expected.copy()
    zero_point = int(rng.integers(-128, 128))
    tile = tiles.Tile(2, 0, steps, taps, 0, 0, 1, count, pitch, valid, zero_point, -100, 90)
    call_depthwise(x, offsets, panels, channels, computed, tile, first)
    tiles._interpreted_depthwise_tile(x, offsets, panels, channels, expected, tile, first)
    np.testing.assert_array_equal(computed, expected)
