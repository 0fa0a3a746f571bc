"""How much is pruned at which step."""

from collections.abc import Callable

Schedule = Callable[[int], float]
"""From the number of the step, from 1, to the share that is pruned behind it."""

RAMP = 0.6
"""Share of the training in which sparsity grows; in the rest the survivors settle."""


def cubic(ratio: float, steps: int) -> Schedule:
    """Sparsity that grows fast first and slowly in the end (Zhu and Gupta 2017).

    `ratio * (1 - (1 - t)^3)`, with t from 0 to 1 over the first `RAMP` of `steps`.
    """
    end = max(1, round(RAMP * steps))

    def at(step: int) -> float:
        left = 1 - min(step, end) / end
        return float(ratio * (1 - left**3))

    return at


def stages(ratio: float, steps: int, count: int) -> Schedule:
    """Sparsity in `count` equal parts of what is left, each followed by training.

    Behind stage i of n, the share `1 - (1 - ratio)^(i / n)` is pruned.
    """
    length = max(1, steps // count)

    def at(step: int) -> float:
        stage = min(count, (step - 1) // length + 1)
        return float(1 - (1 - ratio) ** (stage / count))

    return at
