"""Steps called by address: in their order, with what each takes, and with the errors they raise."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from kernels.prepared.calls import execute, find_entries
from kernels.prepared.instruction_sets import available
from kernels.prepared.step import new_step

every_isa = pytest.mark.parametrize("isa", available(), ids=lambda isa: isa.name)


@njit
def plain(steps: Any, number: int, offsets: Any, channels: Any, arena: Any) -> None:
    """Adds the offsets to twice the arena, or raises an error where `low` is not 0."""
    if steps[number]["low"] != 0:
        raise ValueError("low is not 0")
    for i in range(arena.size):
        arena[i] = 2 * arena[i] + offsets[i]


@njit
def packed(
    steps: Any, number: int, offsets: Any, channels: Any, panels: Any, image: Any, arena: Any
) -> None:
    """Adds channels and image to twice the arena, and puts its own number into the image."""
    for i in range(arena.size):
        arena[i] = 2 * arena[i] + channels[i] + image[i]
        image[i] = number


def arguments(isa: Any) -> tuple[Any, ...]:
    """What `execute` takes between the steps and the arena."""
    offsets, channels = np.array([1, 3, 4], np.int32), np.arange(2, 5, dtype=np.int32)
    panels, image = np.zeros(0, isa.tag), np.full(3, 3, isa.element)
    return offsets, channels, panels, image


@every_isa
def test_steps_run_in_order(isa: Any) -> None:
    kernels, kinds = [plain, packed, packed, plain], [0, 1, 1, 0]
    steps = np.concatenate([new_step(packed=kind) for kind in kinds])
    arena = np.zeros(3, np.int8)
    execute(find_entries(kernels, [bool(k) for k in kinds], isa), steps, *arguments(isa), arena)
    first = np.array([1, 3, 4])
    second = 2 * first + [5, 6, 7]
    third = 2 * second + [3, 4, 5]
    np.testing.assert_array_equal(arena, 2 * third + [1, 3, 4])


@every_isa
def test_errors_reach_the_caller(isa: Any) -> None:
    steps = np.concatenate([new_step(), new_step(low=1), new_step()])
    arena = np.zeros(3, np.int8)
    with pytest.raises(ValueError, match="low is not 0"):
        execute(find_entries([plain] * 3, [False] * 3, isa), steps, *arguments(isa), arena)
    np.testing.assert_array_equal(arena, [1, 3, 4])
