"""Whether the weights of a piece are worth a list of steps: words that are zero are left out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npu.compiler.stream.estimate import TRANSFER_OVERHEAD, group_count
from npu.compiler.stream.pieces import weight_words
from npu.compiler.terms.piece import Piece
from npu.compiler.terms.tasks import GridTask
from rtl.config import LIST_ROWS, NpuConfig
from rtl.isa import Opcode
from sim.step_list import MASKS, forced, kept_words, packed_rows, rows_of

MOST_ROWS = LIST_ROWS // 2
"""Rows of the list that a piece may take: those of the next one arrive while it is computed."""


class Listed(NamedTuple):
    """Packed weights without zero words, flat bytes; the rows of the list, flat bytes; how many
    words there are; and about how many cycles a group of pixels takes, of as many as without it."""

    weights: NDArray[np.uint8]
    rows: NDArray[np.uint8]
    words: int
    share: float


def listed(
    weights: NDArray[np.uint8], task: GridTask, piece: Piece, config: NpuConfig
) -> Listed | None:
    """What is left of packed weights, flat bytes, where leaving out zero words pays."""
    if not config.pruned_weights or task.opcode != Opcode.CONV:
        return None
    steps = weight_words(task, piece, config) // (piece.blocks * piece.depth)
    if steps < 2 or piece.blocks * rows_of(steps) > MOST_ROWS:
        return None
    words = weights.reshape(piece.blocks, steps, piece.depth, -1)
    bits = words.any(axis=3) @ (1 << np.arange(piece.depth))
    masks = forced(bits.astype(np.uint8), piece.depth)
    kept = kept_words(masks, piece.depth)
    before, after = kept.size, _group_cycles(kept)
    rows = packed_rows(masks)
    loaded = len(rows) - (kept.size - int(kept.sum())) * words.shape[3]
    saved = group_count(task, config) * (before - after) - loaded // config.bus_bytes
    if after > before or saved <= TRANSFER_OVERHEAD + len(rows) // MASKS:
        return None
    return Listed(words[kept].reshape(-1), rows, int(kept.sum()), after / before)


def _group_cycles(kept: NDArray[np.bool_]) -> int:
    """Cycles of a group of pixels of each block: a step takes one for each word, and the sequencer
    one for each step that is left out before the next. `kept` : `[blocks, steps, depth]`."""
    counts = kept.sum(axis=2).reshape(-1)
    present = np.flatnonzero(counts)
    gaps = np.diff(present, append=len(counts))
    return int(np.maximum(counts[present], gaps).sum())
