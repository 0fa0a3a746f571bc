"""The steps of a segment, in an order that is right serially: what is loaded, computed, stored."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu.compiler.stream.commands import Prepared, View
from npu.compiler.stream.pieces import Piece, PieceKey
from npu.compiler.terms.geometry import Region
from npu.compiler.terms.tasks import GridTask


@dataclass(frozen=True, eq=False)
class GridStep:
    """One grid command whose weights and parameters have no address yet."""

    position: int
    key: PieceKey
    task: GridTask
    piece: Piece
    region: Region
    ifm: View
    ofm: View


@dataclass(frozen=True, eq=False)
class CommandStep:
    """A finished command of the operator at `position`: a LOAD or STORE of activations, or an
    ELEMENTWISE, which may need a `table` (uint8 `[256]`)."""

    position: int
    command: Prepared
    table: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class WeightStep:
    """Commands that use `words` words of the weight buffer for weights that are not constants.

    `commands` makes them, LOADs included, for the address that the words get.
    """

    position: int
    words: int
    commands: Callable[[int], Iterable[Prepared]]


Step = GridStep | CommandStep | WeightStep
