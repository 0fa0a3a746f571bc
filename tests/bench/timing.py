"""How times are taken: process CPU time of repeated runs, best and median.

CPU time, because the machine may be shared; all that is measured here runs on one thread, and a
second thread would count too.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Timing:
    """CPU milliseconds of one call: the best and the median of `runs`."""

    best_ms: float
    median_ms: float
    runs: int

    def record(self) -> dict[str, float]:
        """As JSON has it."""
        return asdict(self)


def repeat(*functions: Callable[[], object], runs: int, seconds: float = 4.0) -> list[Timing]:
    """Time functions, alternating, so that what disturbs one disturbs the others too.

    Each is called once to warm up, then `runs` times, or fewer when `seconds` of CPU time are
    spent (at least three times).
    """
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    begin = time.process_time()
    for number in range(runs):
        if number >= 3 and time.process_time() - begin > seconds:
            break
        for function, taken in zip(functions, times, strict=True):
            before = time.process_time()
            function()
            taken.append(1000 * (time.process_time() - before))
    return [Timing(min(taken), statistics.median(taken), len(taken)) for taken in times]
