"""Layouts, and what becomes of blocks of elements that move."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.compiler.direct.copies import Block, command_count, find_loops, find_runs
from npu.compiler.direct.transpose import find_turn
from npu.compiler.lowering.placing import place_map
from npu.compiler.terms.geometry import Extent
from npu.compiler.terms.strided import Loop, Strided

pytestmark = pytest.mark.quick


def positions(layout: Strided) -> np.ndarray:
    """The byte of every element."""
    found = np.full(layout.shape, layout.offset)
    for axis, (count, stride) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        steps = np.arange(count) * stride
        found = found + steps.reshape(-1, *(1,) * (len(layout.shape) - 1 - axis))
    return found


CHANGES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "slice": lambda a: a[:, 1:3, ::2],
    "backwards": lambda a: a[::-1, :, ::-3],
    "permuted": lambda a: a.transpose(2, 0, 1),
    "regrouped": lambda a: a.reshape(6, 20, copy=False),
    "repeated": lambda a: np.broadcast_to(a[:, None], (4, 2, 3, 10)),
    "indexed": lambda a: a[2, :, 4:],
}


@pytest.mark.parametrize("name", CHANGES)
def test_layouts_follow_numpy(name: str) -> None:
    dense = Strided.dense((4, 3, 10))
    expected = CHANGES[name](np.arange(120).reshape(4, 3, 10))
    np.testing.assert_array_equal(positions(dense.apply(CHANGES[name])), expected)


def test_layout_that_takes_a_copy_is_no_view() -> None:
    turned = Strided.dense((4, 3)).apply(np.transpose)
    assert not turned.is_dense
    with pytest.raises(ValueError, match="copy"):
        turned.reshape(12)


def block(shape: tuple[int, ...], order: tuple[int, ...]) -> Block:
    reads = Strided.dense(shape).apply(lambda a: a.transpose(order))
    return Block(0, 1, reads, Strided.dense(reads.shape))


def test_neighbouring_loops_are_joined() -> None:
    assert find_loops(block((3, 4, 5, 6), (0, 1, 2, 3))) == [Loop(360, 1, 1)]
    loops = find_loops(block((3, 4, 5, 6), (1, 0, 2, 3)))
    assert loops == [Loop(4, 30, 90), Loop(3, 120, 30), Loop(30, 1, 1)]
    runs = find_runs(loops)
    assert (runs.length, runs.rows, runs.outer) == (30, loops[0], (loops[1],))
    assert runs.commands == 6
    assert find_turn(loops) is None


def test_repeated_elements_are_loaded_once() -> None:
    reads = Strided.dense((8, 16)).apply(lambda a: np.broadcast_to(a[:, None], (8, 3, 16)))
    runs = find_runs(find_loops(Block(0, 1, reads, Strided.dense(reads.shape))))
    assert runs.repeats == (Loop(3, 0, 16),)
    assert runs.commands == 4


def test_rows_that_become_columns_are_turned() -> None:
    turn = find_turn(find_loops(block((5, 30, 70), (0, 2, 1))))
    assert turn is not None
    assert (turn.rows, turn.columns) == (Loop(30, 70, 1), Loop(70, 1, 30))
    assert turn.matrices == 5
    assert command_count(block((5, 30, 70), (0, 2, 1))) == 50


WHOLE = Extent(6, 10, 32)
PLACES = {
    "all": (lambda a: a, Extent(6, 10, 32), True),
    "rows": (lambda a: a[2:5], Extent(3, 10, 32), True),
    "columns": (lambda a: a[:, 3:7], Extent(6, 4, 32), True),
    "words of channels": (lambda a: a[..., 8:20], Extent(6, 10, 12), True),
    "bytes of channels": (lambda a: a[..., 4:12], Extent(6, 10, 8), False),
    "every second row": (lambda a: a[::2], Extent(3, 10, 32), True),
    "every second column": (lambda a: a[:, ::2], Extent(6, 5, 32), False),
    "other rows": (lambda a: a, Extent(10, 6, 32), True),
    "other channels": (lambda a: a, Extent(6, 20, 16), False),
}


@pytest.mark.parametrize("name", PLACES)
def test_places_of_maps(name: str) -> None:
    change, extent, on_chip = PLACES[name]
    layout = Strided.dense((6, 10, 32)).apply(change)
    place = place_map(layout, extent, WHOLE, 8, joined_rows=False)
    assert place is not None
    assert place.on_chip == on_chip
    starts = positions(layout.reshape(extent.height, extent.width, extent.channels))[..., 0]
    rows, columns = np.ogrid[: extent.height, : extent.width]
    found = place.offset + rows * place.row_stride + columns * place.pixel_stride
    np.testing.assert_array_equal(found, starts)
    if on_chip:
        words = (place.pixel + rows * place.row_pitch + columns) * WHOLE.channels + place.channel
        np.testing.assert_array_equal(words, starts)


def test_places_that_commands_cannot_reach() -> None:
    dense = Strided.dense((6, 10, 32))
    for change, extent in (
        (lambda a: a.transpose(0, 2, 1), Extent(6, 32, 10)),
        (lambda a: a[:, ::-1], WHOLE),
        (lambda a: a[:, 3:7], Extent(1, 24, 32)),
    ):
        assert place_map(dense.apply(change), extent, WHOLE, 8, joined_rows=False) is None
    long = Extent(1, 60_000, 1000)
    assert place_map(Strided.dense((60_000, 1000)), long, long, 8, joined_rows=False) is not None
    apart = place_map(dense.apply(lambda a: a[:, 3:7]), Extent(6, 4, 32), WHOLE, 8, True)
    assert apart is not None
    assert not apart.on_chip
