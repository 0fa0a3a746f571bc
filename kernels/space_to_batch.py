"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: pixels that lie `block` apart form a map of their own.

Maps have shape (batch, height, width, channels) or (batch, height, channels), and `block` one
number for each of height and width. Exact for any dtype.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.checks import Pair


def space_to_batch(
    ifm: NDArray[Any], block: Sequence[int], paddings: Sequence[Pair], *, value: int
) -> NDArray[Any]:
    """SPACE_TO_BATCH_ND: `ifm` with (before, after) pixels of `value` around it, taken apart.

    Map `b` of phase `p` of the result is at `p * batches + b`.
    Raises ValueError for another rank, or a padded size that is no multiple of the block.
    """
    _check(ifm, block, paddings, "paddings")
    rank = len(block)
    around = [(0, 0), *paddings, (0, 0)]
    padded = np.pad(ifm, around, constant_values=value)
    for size, step in zip(padded.shape[1:-1], block, strict=True):
        if size % step:
            raise ValueError(f"block is {list(block)}; allowed for {size} is a divisor of it")
    split = [padded.shape[0]]
    for size, step in zip(padded.shape[1:-1], block, strict=True):
        split += [size // step, step]
    phases = padded.reshape(*split, padded.shape[-1])
    order = [2 * (i + 1) for i in range(rank)] + [0] + [2 * i + 1 for i in range(rank)]
    moved = phases.transpose(*order, 2 * rank + 1)
    sizes = [size // step for size, step in zip(padded.shape[1:-1], block, strict=True)]
    return np.ascontiguousarray(moved).reshape(-1, *sizes, padded.shape[-1])


def batch_to_space(ifm: NDArray[Any], block: Sequence[int], crops: Sequence[Pair]) -> NDArray[Any]:
    """BATCH_TO_SPACE_ND: the inverse, without the (before, after) pixels of `crops`.

    Raises ValueError for another rank, a batch that is no multiple of the block's pixels, or crops
    that leave nothing.
    """
    _check(ifm, block, crops, "crops")
    rank = len(block)
    pixels = int(np.prod(block))
    if ifm.shape[0] % pixels:
        raise ValueError(f"block is {list(block)}; allowed for {ifm.shape[0]} maps is a divisor")
    phases = ifm.reshape(*block, ifm.shape[0] // pixels, *ifm.shape[1:])
    order = [rank]
    for i in range(rank):
        order += [rank + 1 + i, i]
    moved = phases.transpose(*order, 2 * rank + 1)
    sizes = [size * step for size, step in zip(ifm.shape[1:-1], block, strict=True)]
    whole = np.ascontiguousarray(moved).reshape(-1, *sizes, ifm.shape[-1])
    for size, pair in zip(sizes, crops, strict=True):
        if sum(pair) >= size:
            raise ValueError(f"crops are {tuple(pair)}; allowed for {size} is less")
    inside = tuple(
        slice(before, size - after) for size, (before, after) in zip(sizes, crops, strict=True)
    )
    return np.ascontiguousarray(whole[(slice(None), *inside)])


def _check(ifm: NDArray[Any], block: Sequence[int], pairs: Sequence[Pair], name: str) -> None:
    rank = ifm.ndim - 2
    if rank not in (1, 2) or len(block) != rank or len(pairs) != rank:
        raise ValueError(
            f"ifm has shape {ifm.shape}, block {list(block)} and {len(pairs)} {name}; allowed are "
            "3 or 4 dimensions, with one number and one pair for each inner one"
        )
    if min(block) < 1 or min(min(pair) for pair in pairs) < 0:
        raise ValueError(f"block is {list(block)} and {name} {list(pairs)}; allowed is 1 and 0 up")
