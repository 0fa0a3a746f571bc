"""Which points a search looks at next: a grid, at random, or as Optuna's samplers learn."""

import itertools
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from npu.explore.domain import NETWORK

Choice = dict[str, int]
"""Positions by dimension of `npu.explore.domain.Domain`."""

SAMPLERS = ("nsga2", "tpe", "random", "grid")
POPULATION = 50
"""Of NSGA-II: what a generation has, and so what is evaluated at once."""

TPE_BATCH = 10
"""Points that TPE proposes before it learns what came of them; the same on any machine, so that a
search that goes on proposes what it proposed before."""

PLAIN_BATCH = 500
_HOPELESS = 1e30


@dataclass(frozen=True)
class Told:
    """What came of a choice: objectives to be minimized, None where the point failed, and how far
    it is beyond each constraint."""

    objectives: Sequence[float | None] | None
    violations: Sequence[float]


class Sampler(Protocol):
    """Proposes choices, and is told what came of them, in the same order."""

    def ask(self) -> list[Choice]:
        """The next choices, none when there are no more."""

    def tell(self, outcomes: Sequence[Told]) -> None:
        """What came of the choices asked last."""


class Listed:
    """Choices that do not depend on what came of others."""

    def __init__(self, choices: Iterator[Choice]) -> None:
        self._choices = choices

    def ask(self) -> list[Choice]:
        return list(itertools.islice(self._choices, PLAIN_BATCH))

    def tell(self, outcomes: Sequence[Told]) -> None:
        pass


def grid_choices(dimensions: Mapping[str, int], budget: int) -> Iterator[Choice]:
    """All combinations, or `budget` of them at equal distances in the order in which the last
    dimension is the fastest."""
    size = 1
    for count in dimensions.values():
        size *= count
    for number in range(min(size, budget)):
        position = number * size // min(size, budget)
        chosen = {}
        for name, count in reversed(list(dimensions.items())):
            position, chosen[name] = divmod(position, count)
        yield chosen


def random_choices(dimensions: Mapping[str, int], seed: int) -> Iterator[Choice]:
    """Choices at random, without end."""
    draw = random.Random(seed)
    while True:
        yield {name: draw.randrange(count) for name, count in dimensions.items()}


class Learning:
    """NSGA-II or TPE of Optuna.

    Parameters
    ----------
    name : `nsga2` or `tpe`. dimensions : how many choices each has; those of hardware are ordered.
    objectives, constraints : how many. seed : of all its choices.
    first : choices that it looks at before its own.
    """

    def __init__(
        self,
        name: str,
        dimensions: Mapping[str, int],
        objectives: int,
        constraints: int,
        seed: int,
        first: Sequence[Choice] = (),
    ) -> None:
        import optuna
        from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space: dict[str, BaseDistribution] = {
            dimension: CategoricalDistribution(list(range(count)))
            if dimension == NETWORK
            else IntDistribution(0, count - 1)
            for dimension, count in dimensions.items()
        }
        limits = _violations if constraints else None
        with warnings.catch_warnings():
            # what it calls experimental has been there for years
            warnings.simplefilter("ignore")
            sampler: Any = (
                optuna.samplers.NSGAIISampler(
                    population_size=POPULATION, seed=seed, constraints_func=limits
                )
                if name == "nsga2"
                else optuna.samplers.TPESampler(
                    seed=seed, multivariate=True, constant_liar=True, constraints_func=limits
                )
            )
        self._batch = POPULATION if name == "nsga2" else TPE_BATCH
        self._study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
        for choice in first:
            self._study.enqueue_trial(dict(choice))
        self._asked: list[Any] = []

    def ask(self) -> list[Choice]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._asked = [self._study.ask(self._space) for _ in range(self._batch)]
        return [dict(trial.params) for trial in self._asked]

    def tell(self, outcomes: Sequence[Told]) -> None:
        from optuna.trial import TrialState

        for trial, told in zip(self._asked, outcomes, strict=True):
            trial.set_user_attr(_LIMITS, list(told.violations))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if told.objectives is None:
                    self._study.tell(trial, state=TrialState.FAIL)
                else:
                    known = [_HOPELESS if v is None else v for v in told.objectives]
                    self._study.tell(trial, known)
        self._asked = []


_LIMITS = "violations"


def _violations(trial: Any) -> Sequence[float]:
    found: Sequence[float] = trial.user_attrs[_LIMITS]
    return found
