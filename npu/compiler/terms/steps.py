"""The steps of a segment, in an order that is right serially: what is loaded, computed, stored."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu.compiler.terms.command import CommandDraft
from npu.compiler.terms.geometry import Area
from npu.compiler.terms.piece import Piece, PieceKey
from npu.compiler.terms.tasks import GridTask
from npu.compiler.terms.view import View


@dataclass(frozen=True, eq=False)
class GridStep:
    """One grid command whose weights and parameters have no address yet."""

    position: int
    key: PieceKey
    task: GridTask
    piece: Piece
    area: Area
    ifm: View
    ofm: View


@dataclass(frozen=True, eq=False)
class CommandStep:
    """A finished command of the operator at `position`: a LOAD or STORE of activations, or an
    ELEMENTWISE, which may need a `table` (uint8 `[256]`)."""

    position: int
    command: CommandDraft
    table: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class WeightStep:
    """Commands that use `words` words of the weight buffer for weights that are not constants.

    `commands` makes them, LOADs included, for the address that the words get.
    """

    position: int
    words: int
    commands: Callable[[int], Iterable[CommandDraft]]


Step = GridStep | CommandStep | WeightStep
