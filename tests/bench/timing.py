"""How times are taken: process CPU time of repeated runs, best and median.

CPU time, because the machine may be shared; all that is measured here runs on one thread, and a
second thread would count too.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial


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
    return alternate(*(partial(cpu_ms, f) for f in functions), runs=runs, seconds=seconds)


def cpu_ms(function: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    before = time.process_time()
    function()
    return 1000 * (time.process_time() - before)


def alternate(*samplers: Callable[[], float], runs: int, seconds: float = 4.0) -> list[Timing]:
    """As `repeat`, of functions that measure themselves and return CPU milliseconds."""
    for sampler in samplers:
        sampler()
    times: list[list[float]] = [[] for _ in samplers]
    spent = 0.0
    for number in range(runs):
        if number >= 3 and spent > 1000 * seconds:
            break
        for sampler, taken in zip(samplers, times, strict=True):
            taken.append(sampler())
            spent += taken[-1]
    return [Timing(min(taken), statistics.median(taken), len(taken)) for taken in times]
