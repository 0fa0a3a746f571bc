"""Searches hardware, and variants of networks, for what is best in several metrics."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from npu.errors import ExploreError
from npu.explore.domain import NETWORK, Domain
from npu.explore.metrics import METRICS, Constraint, Measure, Values
from npu.explore.samplers import (
    Choice,
    Learning,
    Listed,
    Sampler,
    Told,
    grid_choices,
    random_choices,
)
from npu.explore.settle import Value
from npu.explore.space import Point
from npu.explore.sweep import Evaluation
from rtl.config import PRESETS, NpuConfig
from rtl.errors import ConfigError

ASKED_PER_POINT = 30
"""A sampler that proposes so many choices per point of the budget has nothing new to propose."""

_CHECKED = 3000


@dataclass(frozen=True)
class Variant:
    """One form of the networks.

    Attributes
    ----------
    name : what it is called. models : positions of its files in the evaluation.
    accuracy : None where nobody said.
    """

    name: str
    models: tuple[int, ...]
    accuracy: float | None = None


@dataclass(frozen=True)
class Trial:
    """A point that was looked at.

    Attributes
    ----------
    values : parameters of the hardware and the memory's latency. variant : of the networks.
    results : of `npu.explore.evaluate.evaluate`, one for each network.
    metrics : all of `METRICS`; empty when it failed. reason : why it failed or is not feasible.
    """

    values: Mapping[str, Value]
    variant: int
    results: Sequence[Mapping[str, Any]] = ()
    metrics: Values = field(default_factory=dict)
    reason: str = ""

    @property
    def feasible(self) -> bool:
        """Whether it ran and holds all constraints."""
        return bool(self.metrics) and not self.reason

    @cached_property
    def config(self) -> NpuConfig:
        """Its hardware."""
        return Point(0, dict(self.values)).config()


@dataclass(frozen=True)
class Goal:
    """What is wanted of a search."""

    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()

    def costs(self, metrics: Mapping[str, float]) -> list[float | None]:
        """Objectives, all to be minimized; None where a metric is not known."""
        return [
            None
            if name not in metrics
            else (-1 if METRICS[name].larger_is_better else 1) * metrics[name]
            for name in self.objectives
        ]

    def broken(self, metrics: Mapping[str, float]) -> list[Constraint]:
        """Constraints on known metrics that do not hold."""
        known = [one for one in self.constraints if one.metric in metrics]
        return [one for one in known if one.violation(metrics) > 0]

    def violations(self, metrics: Mapping[str, float]) -> list[float]:
        """Of each constraint, 0 for metrics that are not known."""
        return [
            one.violation(metrics) if one.metric in metrics else 0.0 for one in self.constraints
        ]


Progress = Callable[[int, int, Sequence[Trial]], None]
"""Called with points done, the budget, and all trials so far."""


class Search:
    """Runs a search; the same one again proposes the same points, and takes them from the store.

    Parameters
    ----------
    domain, goal : where, and for what. variants : of the networks, the first as given.
    measure, evaluation : turn points into metrics.
    """

    def __init__(
        self,
        domain: Domain,
        goal: Goal,
        variants: Sequence[Variant],
        measure: Measure,
        evaluation: Evaluation,
    ) -> None:
        self.domain = domain
        self.goal = goal
        self.variants = variants
        self._measure = measure
        self._evaluation = evaluation
        self.trials: dict[tuple[Any, ...], Trial] = {}
        """By what tells points apart."""
        self.skipped: dict[tuple[Any, ...], Trial] = {}
        """Those whose area alone is beyond a constraint, and illegal ones: nothing ran for them."""

    def check(self, seed: int = 0) -> None:
        """Refuse constraints on area that leave nothing, before anything runs.

        Raises
        ------
        ExploreError : names the constraint, or that they do not hold together.
        """
        limits = [one for one in self.goal.constraints if METRICS[one.metric].from_area]
        if not limits:
            return
        dimensions, size = self.domain.dimensions, len(self.domain)
        choices = (
            grid_choices(dimensions, size)
            if size <= _CHECKED
            else itertools.islice(random_choices(dimensions, seed), _CHECKED)
        )
        seen: dict[NpuConfig, Values] = {}
        for choice in (*choices, *self.first_choices(), *self._extremes()):
            try:
                config = Point(0, self.domain.values(choice)).config()
            except ConfigError:
                continue
            if config not in seen:
                seen[config] = self._measure.hardware(config)
        for one in limits:
            found = [values[one.metric] for values in seen.values()]
            if found and all(one.violation(values) > 0 for values in seen.values()):
                best = max(found) if one.at_least else min(found)
                raise ExploreError(
                    f"--constraint {one} leaves nothing: {one.metric} of {len(seen)} points of the"
                    f" space is {'at most' if one.at_least else 'at least'} {best:,.0f}"
                )
        if seen and all(self.goal.broken(values) for values in seen.values()):
            told = " and ".join(map(str, limits))
            raise ExploreError(
                f"--constraint {told} hold one by one, but none of {len(seen)} points of the space"
                " has all of them"
            )

    def first_choices(self) -> list[Choice]:
        """The choices nearest to the presets."""
        found = []
        for config in PRESETS.values():
            known = config.to_dict()
            found.append(
                {
                    name: 0
                    if name == NETWORK
                    else _nearest(self.domain.choices[name], known.get(name))
                    for name in self.domain.dimensions
                }
            )
        return [choice for at, choice in enumerate(found) if choice not in found[:at]]

    def _extremes(self) -> list[Choice]:
        sizes = self.domain.dimensions
        return [dict.fromkeys(sizes, 0), {name: count - 1 for name, count in sizes.items()}]

    def sampler(self, name: str, budget: int, seed: int, *, presets: bool = True) -> Sampler:
        """A sampler of that name; with `presets`, one that learns begins with these."""
        dimensions = self.domain.dimensions
        if name == "grid" or len(self.domain) <= budget:
            return Listed(grid_choices(dimensions, budget))
        if name == "random":
            return Listed(random_choices(dimensions, seed))
        return Learning(
            name,
            dimensions,
            len(self.goal.objectives),
            len(self.goal.constraints),
            seed,
            self.first_choices() if presets else (),
        )

    def run(self, sampler: Sampler, budget: int, progress: Progress | None = None) -> list[Trial]:
        """Look at up to `budget` different points; returns all that were looked at, in order.

        Raises
        ------
        ExploreError : a worker died, or the store failed; what was computed is kept.
        """
        asked = 0
        while len(self.trials) < budget and asked < ASKED_PER_POINT * budget:
            choices = sampler.ask()
            if not choices:
                break
            asked += len(choices)
            room = budget - len(self.trials)
            found = self._look(choices, room)
            sampler.tell(
                [
                    Told(None, [0.0] * len(self.goal.constraints))
                    if not trial.metrics
                    else Told(self.goal.costs(trial.metrics), self.goal.violations(trial.metrics))
                    for trial in found
                ]
            )
            if progress:
                progress(len(self.trials), budget, list(self.trials.values()))
        return list(self.trials.values())

    def _look(self, choices: Sequence[Choice], room: int) -> list[Trial]:
        """Trials of choices; beyond `room` new ones, what the area says of them."""
        keys: list[tuple[Any, ...]] = []
        new: dict[tuple[Any, ...], Trial] = {}
        passed: dict[tuple[Any, ...], Trial] = {}
        for choice in choices:
            trial = self._propose(choice)
            key = (trial.variant, *trial.values.values(), trial.reason if not trial.metrics else "")
            keys.append(key)
            if key in self.trials or key in self.skipped or key in new:
                continue
            if trial.reason:
                self.skipped[key] = trial
            elif len(new) < room:
                new[key] = trial
            else:
                passed[key] = trial
        self.trials.update(self._evaluate(new))
        known = {**passed, **self.skipped, **self.trials}
        return [known[key] for key in keys]

    def _propose(self, choice: Choice) -> Trial:
        variant = choice.get(NETWORK, 0)
        try:
            values = self.domain.values(choice)
        except ConfigError as error:
            raw = {name: choice[name] for name in choice if name != NETWORK}
            return Trial(raw, variant, reason=str(error))
        metrics = self._measure.hardware(Trial(values, variant).config)
        accuracy = self.variants[variant].accuracy
        if accuracy is not None:
            metrics["accuracy"] = accuracy
        broken = self.goal.broken(metrics)
        reason = ", ".join(f"not {one}" for one in broken)
        return Trial(values, variant, metrics=metrics, reason=reason)

    def _evaluate(self, proposed: Mapping[tuple[Any, ...], Trial]) -> dict[tuple[Any, ...], Trial]:
        points = [
            Point(model, dict(trial.values))
            for trial in proposed.values()
            for model in self.variants[trial.variant].models
        ]
        results = iter(self._evaluation.results(points))
        found = {}
        for key, trial in proposed.items():
            variant = self.variants[trial.variant]
            own = [next(results) for _ in variant.models]
            found[key] = judge(trial, own, variant.accuracy, self._measure, self.goal)
        return found


def judge(
    trial: Trial,
    results: Sequence[Mapping[str, Any]],
    accuracy: float | None,
    measure: Measure,
    goal: Goal,
) -> Trial:
    """A trial with what came of it."""
    failed = [str(result["reason"]) for result in results if result["status"] == "failed"]
    if failed:
        return Trial(trial.values, trial.variant, results, {}, failed[0])
    metrics = measure.all(trial.config, results, accuracy)
    broken = goal.broken(metrics)
    reason = ", ".join(f"not {one}" for one in broken)
    return Trial(trial.values, trial.variant, results, metrics, reason)


def front(trials: Sequence[Trial], goal: Goal) -> list[Trial]:
    """The feasible trials that no other one beats, by the first objective; of equals the first."""
    import numpy as np

    able = [trial for trial in trials if trial.feasible]
    if not able:
        return []
    costs = np.array([goal.costs(trial.metrics) for trial in able], dtype=float)
    order = np.lexsort(costs.T[::-1])
    kept: list[int] = []
    for index in order:
        # in this order only an earlier one can beat a later one, or be its equal
        if not any((costs[other] <= costs[index]).all() for other in kept):
            kept.append(int(index))
    return [able[index] for index in kept]


def knee(trials: Sequence[Trial], goal: Goal) -> Trial | None:
    """Of a front, the point that gives up least: nearest to the best of each objective, when each
    is scaled to the front's range."""
    import numpy as np

    if not trials:
        return None
    costs = np.array([goal.costs(trial.metrics) for trial in trials], dtype=float)
    span = np.where(np.ptp(costs, axis=0) > 0, np.ptp(costs, axis=0), 1.0)
    distance = np.linalg.norm((costs - costs.min(axis=0)) / span, axis=1)
    return trials[int(distance.argmin())]


def _nearest(values: Sequence[Value], wanted: Value | None) -> int:
    if wanted in values:
        return values.index(wanted)
    if wanted is None or isinstance(wanted, str | bool):
        return 0
    numbers = [abs(int(value) - int(wanted)) for value in values if not isinstance(value, str)]
    return numbers.index(min(numbers)) if len(numbers) == len(values) else 0
