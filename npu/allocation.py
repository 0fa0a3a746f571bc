"""Where buffers lie: by lifetime, largest first, each in the tightest gap that fits."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """`size` units needed from step `first` to step `last`, both included."""

    key: Hashable
    size: int
    first: int
    last: int

    def overlaps(self, other: "Request") -> bool:
        """Whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


def allocate(requests: Sequence[Request], alignment: int = 1) -> tuple[dict[Hashable, int], int]:
    """An address for every request, and the units used in all.

    Requests whose lifetimes overlap get disjoint addresses. Deterministic: ties go to the
    earlier, then to the one listed first.
    """
    order = sorted(range(len(requests)), key=lambda i: (-requests[i].size, requests[i].first, i))
    placed: list[tuple[int, int, Request]] = []
    addresses: dict[Hashable, int] = {}
    for index in order:
        request = requests[index]
        size = -(-request.size // alignment) * alignment
        address = _tightest_gap(placed, request, size)
        placed.append((address, address + size, request))
        placed.sort(key=lambda item: item[:2])
        addresses[request.key] = address
    return addresses, max((end for _, end, _ in placed), default=0)


def _tightest_gap(placed: list[tuple[int, int, Request]], request: Request, size: int) -> int:
    best, best_slack = -1, -1
    end_before = 0
    for start, end, other in placed:
        if not request.overlaps(other):
            continue
        slack = start - end_before - size
        if slack >= 0 and (best < 0 or slack < best_slack):
            best, best_slack = end_before, slack
        end_before = max(end_before, end)
    return best if best >= 0 else end_before
