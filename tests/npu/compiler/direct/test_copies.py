"""What becomes of blocks of elements that move."""

import numpy as np
import pytest

from npu.compiler.direct.copies import Block, command_count, find_loops, find_runs
from npu.compiler.direct.transpose import find_turn
from npu.compiler.terms.strided import Loop, Strided

pytestmark = pytest.mark.quick


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
