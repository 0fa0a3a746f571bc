"""Where buffers lie: by lifetime, largest first, each in the tightest gap that fits."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.jit import entry


class Request(NamedTuple):
    """`size` units needed from step `first` to step `last`, both included."""

    key: Hashable
    size: int
    first: int
    last: int


def allocate(requests: Sequence[Request], alignment: int = 1) -> tuple[dict[Hashable, int], int]:
    """An address for every request, and the units used in all.

    Requests whose lifetimes overlap get disjoint addresses. Deterministic: ties go to the
    earlier, then to the one listed first.
    """
    if not requests:
        return {}, 0
    order = sorted(range(len(requests)), key=lambda i: (-requests[i].size, requests[i].first, i))
    table = np.array([requests[i][1:] for i in order], np.int64)
    table[:, 0] = -(-table[:, 0] // alignment) * alignment
    addresses, placed = np.zeros((2, len(table)), np.int64)
    _place(table, addresses, placed)
    used = int((addresses + table[:, 0]).max())
    return {requests[i].key: int(at) for i, at in zip(order, addresses, strict=True)}, used


@entry
def _place(
    table: NDArray[np.int64], addresses: NDArray[np.int64], placed: NDArray[np.int64]
) -> None:
    """An address for each row of `table`, size, first and last step, in this order.

    `placed` is room for the rows placed so far, by address and then by end.
    """
    for number in range(table.shape[0]):
        size, first, last = table[number, 0], table[number, 1], table[number, 2]
        best, best_slack, end_before = -1, -1, 0
        for position in range(number):
            other = placed[position]
            if table[other, 1] > last or first > table[other, 2]:
                continue
            slack = addresses[other] - end_before - size
            if slack >= 0 and (best < 0 or slack < best_slack):
                best, best_slack = end_before, slack
            end_before = max(end_before, addresses[other] + table[other, 0])
        address = best if best >= 0 else end_before
        addresses[number] = address
        position = number
        while position > 0:
            other = placed[position - 1]
            ahead = addresses[other] - address
            if ahead < 0 or (ahead == 0 and table[other, 0] <= size):
                break
            placed[position] = other
            position -= 1
        placed[position] = number
