"""A search from request to outcome, and an outcome again from its store."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npu.cost.energy import EnergyTable, load_energy
from npu.cost.model import load_model
from npu.errors import ExploreError
from npu.explore.domain import Domain
from npu.explore.metrics import METRICS, Constraint, Measure
from npu.explore.search import Goal, Progress, Search, Trial, Variant, front, judge, knee
from npu.explore.space import Point
from npu.explore.store import Store, network_key, source_key
from npu.explore.sweep import Evaluation
from npu.explore.workers import Workers
from rtl.config import NpuConfig


@dataclass(frozen=True)
class Network:
    """A file, how much its metrics weigh, and the key of its content."""

    path: Path
    weight: float
    key: str


@dataclass(frozen=True)
class Request:
    """All that a search is told; the same request is the same search.

    Parameters
    ----------
    networks : files, those of all variants one after the other.
    variants : which of `networks` belong to each. weights : of the networks of a variant.
    sampler, seed, budget : how it searches. energy : file of a table, None for the default.
    """

    networks: Sequence[Network]
    variants: Sequence[Variant]
    domain: Domain
    goal: Goal
    sampler: str = "nsga2"
    seed: int = 0
    budget: int = 500
    energy: Path | None = None

    @property
    def weights(self) -> list[float]:
        """Of the networks of any variant."""
        return [self.networks[model].weight for model in self.variants[0].models]

    def to_dict(self) -> dict[str, Any]:
        """As JSON; `from_dict` reads it back."""
        return {
            "networks": [[str(n.path), n.weight, n.key] for n in self.networks],
            "variants": [[v.name, list(v.models), v.accuracy] for v in self.variants],
            "objectives": list(self.goal.objectives),
            "constraints": [[c.metric, c.limit, c.at_least] for c in self.goal.constraints],
            "sampler": self.sampler,
            "seed": self.seed,
            "budget": self.budget,
            "energy": None if self.energy is None else str(self.energy),
            "domain": {
                "base": self.domain.base.to_dict(),
                "latency": self.domain.latency_cycles,
                "choices": {name: list(values) for name, values in self.domain.choices.items()},
                "variants": self.domain.variants,
                "max_macs": self.domain.max_macs,
            },
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Request":
        """The request of a record that `to_dict` made."""
        domain = record["domain"]
        return cls(
            networks=[Network(Path(path), weight, key) for path, weight, key in record["networks"]],
            variants=[
                Variant(name, tuple(m), accuracy) for name, m, accuracy in record["variants"]
            ],
            domain=Domain(
                NpuConfig.from_dict(domain["base"]),
                domain["latency"],
                {name: tuple(values) for name, values in domain["choices"].items()},
                domain["variants"],
                max_macs=domain["max_macs"],
            ),
            goal=Goal(
                tuple(record["objectives"]), tuple(Constraint(*c) for c in record["constraints"])
            ),
            sampler=record["sampler"],
            seed=record["seed"],
            budget=record["budget"],
            energy=None if record["energy"] is None else Path(record["energy"]),
        )


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes
    ----------
    request : what was asked. trials : all points that were looked at.
    measure : what turned them into metrics. computed : how many results are new.
    left_out : why points were not run, with how often.
    """

    request: Request
    trials: Sequence[Trial]
    measure: Measure
    computed: int = 0
    left_out: Mapping[str, int] | None = None

    @property
    def front(self) -> list[Trial]:
        """The trials that no other one beats."""
        return front(self.trials, self.request.goal)

    @property
    def chosen(self) -> Trial | None:
        """The one of the front that gives up least, None where nothing is feasible."""
        return knee(self.front, self.request.goal)

    def toml(self, trial: Trial) -> str:
        """The hardware of a trial as `npu run --config` takes it, with what is known of it."""
        told = ", ".join(
            f"{name} {trial.metrics[name]:,.4g} {METRICS[name].unit}".rstrip()
            for name in self.request.goal.objectives
        )
        said = "".join(f"# {note}\n" for note in self.measure.model.notes())
        return f"# {told}\n{said}{trial.config.to_toml()}"

    def notes(self) -> list[str]:
        """What is to be said beside the numbers."""
        said = self.measure.model.notes()
        lacks = self.measure.energy.lacks
        said.append(
            f"energy: an estimate from activity counts, {self.measure.energy.source}"
            + (f"; {' and '.join(lacks)} count as 0" if lacks else "")
        )
        return said

    def reasons(self) -> list[str]:
        """Why points failed or were not feasible, the most frequent first, one line each."""
        found = Counter(trial.reason for trial in self.trials if trial.reason)
        found.update(self.left_out or {})
        said = [f"{count} points: {why}" for why, count in found.most_common(8)]
        if not self.front:
            said += self._unreachable()
        return said

    def _unreachable(self) -> list[str]:
        """Constraints that not one point holds, with the best there is."""
        said = []
        for one in self.request.goal.constraints:
            known = [t.metrics[one.metric] for t in self.trials if one.metric in t.metrics]
            if known and all(one.violation({one.metric: value}) > 0 for value in known):
                best = max(known) if one.at_least else min(known)
                said.append(f"no point has {one}: the best of {len(known)} has {best:,.4g}")
        return said


def run_search(
    request: Request,
    store: Store,
    workers: Workers,
    *,
    progress: Progress | None = None,
    resume: bool = True,
) -> Outcome:
    """Search, or go on with a search; every result is kept as it comes.

    Raises
    ------
    ExploreError : constraints that leave nothing, a worker that died, or a store that fails.
    """
    table = load_energy(request.energy)
    measure = Measure(load_model(), table, request.weights)
    models = [network.path for network in request.networks]
    evaluation = Evaluation(models, workers, store, resume=resume)
    search = Search(request.domain, request.goal, request.variants, measure, evaluation)
    search.check(request.seed)
    number = store.begin(request.to_dict())
    noted = 0

    def note(done: int, budget: int, trials: Sequence[Trial]) -> None:
        nonlocal noted
        store.note(number, [candidate(trial) for trial in trials[noted:]])
        noted = len(trials)
        if progress:
            progress(done, budget, trials)

    sampler = search.sampler(request.sampler, request.budget, request.seed)
    trials = search.run(sampler, request.budget, note)
    left_out = Counter(trial.reason for trial in search.skipped.values())
    return Outcome(request, trials, measure, evaluation.computed, left_out)


def candidate(trial: Trial) -> dict[str, Any]:
    """What a store says of a trial."""
    return {"values": dict(trial.values), "variant": trial.variant}


def load_outcome(store: Store, energy: EnergyTable | None = None) -> Outcome:
    """The outcome of the last search of a store, as far as it came.

    Raises
    ------
    ExploreError : there is none, or it is of another version of the tool.
    """
    found = store.last_search()
    if found is None:
        raise ExploreError(f"store '{store.path}' has no search; npu explore --store writes one")
    if found.sources != source_key():
        raise ExploreError(
            f"the search in '{store.path}' is of another version of the tool: run it again,"
            " earlier points stay in the store"
        )
    request = Request.from_dict(json.loads(json.dumps(found.settings)))
    table = energy or load_energy(request.energy)
    measure = Measure(load_model(), table, request.weights)
    trials = []
    points: dict[int, list[Point]] = {}
    for record in found.candidates:
        for model in request.variants[record["variant"]].models:
            points.setdefault(model, []).append(Point(model, record["values"]))
    results = {
        model: dict(zip(map(_key, own), store.get(request.networks[model].key, own), strict=True))
        for model, own in points.items()
    }
    for record in found.candidates:
        variant = request.variants[record["variant"]]
        mine = [results[m][_key(Point(m, record["values"]))] for m in variant.models]
        known = [result for result in mine if result is not None]
        if len(known) == len(mine):
            trial = Trial(record["values"], record["variant"])
            trials.append(judge(trial, known, variant.accuracy, measure, request.goal))
    return Outcome(request, trials, measure)


def _key(point: Point) -> str:
    return json.dumps(point.values, sort_keys=True)


def read_networks(paths: Sequence[tuple[Path, float]]) -> list[Network]:
    """Networks by file and weight."""
    return [Network(path, weight, network_key(path.read_bytes())) for path, weight in paths]
