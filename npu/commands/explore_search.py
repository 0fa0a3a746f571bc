"""`npu explore` as a search."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from npu.commands.progress import Progress, progress_bar

if TYPE_CHECKING:
    from npu.explore.domain import Domain
    from npu.explore.finalists import Synthesized
    from npu.explore.outcome import Outcome, Request
    from npu.explore.search import Trial
    from npu.model.graph import Graph

DEFAULT_BUDGET = 500
DEFAULT_SAMPLER = "nsga2"
EXIT_NOTHING_FEASIBLE = 1


@dataclass(frozen=True)
class SearchOptions:
    """What the user asked for, as options say it."""

    models: Sequence[str]
    vary: Sequence[str]
    config: str
    latency: int
    objective: str | None
    constraints: Sequence[str]
    space: Path | None
    budget: int | None
    sampler: str | None
    seed: int
    variants: Path | None
    energy: Path | None

    @property
    def is_search(self) -> bool:
        """Whether it is more than a sweep over all combinations."""
        asked = (self.objective, self.space, self.budget, self.sampler, self.variants, self.energy)
        return bool(self.constraints) or any(option is not None for option in asked)


@dataclass(frozen=True)
class Outputs:
    """What is written beside the terminal, and how many points are synthesized."""

    html: Path | None = None
    toml: Path | None = None
    out: Sequence[Path] = ()
    synthesize: int = 0

    def check(self) -> None:
        """Refuse files that cannot be written, before hours of work."""
        from npu.explore.table import check_target
        from npu.report.record import check_output_path

        for path, option in ((self.html, "--html"), (self.toml, "--toml")):
            if path is not None:
                check_output_path(path, option)
        for path in self.out:
            check_output_path(path, "--out")
            check_target(path)


def search(
    asked: SearchOptions,
    outputs: Outputs,
    store: Path | None,
    jobs: int,
    scheduler: str | None,
    *,
    fresh: bool,
    quiet: bool,
) -> None:
    """Search, show the front, write what was asked for."""
    from npu.explore.outcome import run_search
    from npu.explore.store import Store
    from npu.explore.sweep import open_workers
    from npu.report.tables import make_console, print_line

    outputs.check()
    request = make_request(asked)
    files = [network.path for network in request.networks]
    with (
        progress_bar("searching", silent=quiet) as move,
        Store(store) as kept,
        open_workers(files, jobs, scheduler) as workers,
    ):
        foreign = kept.foreign()
        teller = _Teller(request, move)
        outcome = run_search(request, kept, workers, progress=teller, resume=not fresh)
    if foreign:
        print_line(
            make_console(quiet=quiet),
            f"store '{store}' has {foreign} searches of another version of the tool too, which are"
            " kept and not used",
        )
    show(outcome, outputs, quiet=quiet)


def report_search(store: Path, outputs: Outputs, energy: Path | None, *, quiet: bool) -> None:
    """Show a store's last search."""
    from npu.cost.energy import load_energy
    from npu.errors import ExploreError
    from npu.explore.outcome import load_outcome
    from npu.explore.store import Store

    outputs.check()
    if not store.is_file():
        raise ExploreError(f"no store '{store}'")
    with Store(store) as kept:
        outcome = load_outcome(kept, None if energy is None else load_energy(energy))
    show(outcome, outputs, quiet=quiet)


def make_request(asked: SearchOptions) -> "Request":
    """The request that options stand for.

    Raises
    ------
    ExploreError, ConfigError, ModelError : what is wrong with an option.
    """
    from npu.cost.energy import load_energy
    from npu.errors import ExploreError
    from npu.explore.metrics import DEFAULT_OBJECTIVES, parse_constraints, parse_objectives
    from npu.explore.outcome import Request, read_networks
    from npu.explore.samplers import SAMPLERS
    from npu.explore.search import Goal, Variant
    from npu.explore.variants import read_variants
    from npu.model.tflite_reader import read_model

    sampler = asked.sampler or DEFAULT_SAMPLER
    if sampler not in SAMPLERS:
        raise ExploreError(f"--sampler: unknown {sampler!r}; allowed: {', '.join(SAMPLERS)}")
    given = DEFAULT_OBJECTIVES
    objectives = parse_objectives(asked.objective) if asked.objective else given
    goal = Goal(objectives, parse_constraints(asked.constraints))
    load_energy(asked.energy)
    files = [_weighted(text) for text in asked.models]
    if len({path for path, _ in files}) < len(files):
        raise ExploreError("a network is named twice")
    variants = [Variant("as given", tuple(range(len(files))))]
    wants_accuracy = "accuracy" in (*objectives, *(one.metric for one in goal.constraints))
    if asked.variants is not None:
        if len(files) > 1:
            raise ExploreError(f"--variants needs one MODEL, got {len(files)}")
        found = read_variants(asked.variants)
        files = [(variant.path, files[0][1]) for variant in found]
        variants = [Variant(v.name, (at,), v.accuracy) for at, v in enumerate(found)]
    elif wants_accuracy:
        raise ExploreError("accuracy is only known of --variants")
    graphs = [read_model(path) for path, _ in files]
    domain = _domain(asked, graphs, len(variants))
    return Request(
        networks=read_networks(files),
        variants=variants,
        domain=domain,
        goal=goal,
        sampler=sampler,
        seed=asked.seed,
        budget=asked.budget or DEFAULT_BUDGET,
        energy=asked.energy,
    )


def _domain(asked: SearchOptions, graphs: "Sequence[Graph]", variants: int) -> "Domain":
    from npu.errors import ExploreError
    from npu.explore.domain import Domain, default_domain, read_space
    from npu.explore.space import PRESET, parse_vary
    from rtl.config import load_config
    from sim.memory import MemoryConfig

    MemoryConfig(latency_cycles=asked.latency)
    base = load_config(asked.config)
    if asked.space is not None and asked.vary:
        raise ExploreError("--space and --vary are given, one expected")
    if asked.space is not None:
        return read_space(asked.space, base, asked.latency, variants)
    if asked.vary:
        choices = parse_vary(asked.vary)
        if PRESET in choices:
            raise ExploreError("--vary preset=... is no dimension of a search: vary parameters")
        return Domain(base, asked.latency, choices, variants)
    return default_domain(graphs, base, asked.latency, variants)


def _weighted(text: str) -> tuple[Path, float]:
    """A file, and its weight where one is said."""
    from npu.errors import ExploreError

    path, separator, weight = text.rpartition(":")
    if not separator or Path(text).is_file():
        return Path(text), 1.0
    try:
        value = float(weight)
    except ValueError:
        return Path(text), 1.0
    if not 0 < value < 1e9:
        raise ExploreError(f"the weight of {path} must be above 0, got {weight}")
    return Path(path), value


class _Teller:
    """Moves the bar, and says what the best is so far."""

    def __init__(self, request: "Request", move: Progress) -> None:
        self._request = request
        self._move = move

    def __call__(self, done: int, budget: int, trials: "Sequence[Trial]") -> None:
        from npu.explore.metrics import METRICS
        from npu.explore.search import front

        goal = self._request.goal
        best = front(trials, goal)
        said = f"searching, front {len(best)}"
        if best:
            metric = METRICS[goal.objectives[0]]
            said += f", best {metric.name} {best[0].metrics[metric.name]:,.4g} {metric.unit}"
        self._move(done, budget, said)


def show(outcome: "Outcome", outputs: Outputs, *, quiet: bool) -> None:
    """The front as a table, notes, and the files that were asked for."""
    from npu.explore.front_table import COLUMN_TYPES, front_table, outcome_rows
    from npu.explore.table import save_rows
    from npu.report.tables import make_console, print_line

    console = make_console(quiet=quiet)
    found = outcome.front
    synthesized = _synthesize(outcome, outputs.synthesize, quiet=quiet)
    if found:
        console.print(front_table(outcome, synthesized))
    for line in (*outcome.reasons(), *outcome.notes()):
        print_line(console, line)
    print_line(
        console,
        f"{len(outcome.trials)} points, {sum(t.feasible for t in outcome.trials)} hold what was"
        f" asked, {len(found)} on the front of {', '.join(outcome.request.goal.objectives)};"
        f" {outcome.computed} results are new",
    )
    for path in outputs.out:
        save_rows(outcome_rows(outcome), path, COLUMN_TYPES)
    chosen = outcome.chosen
    if chosen is not None and outputs.toml is not None:
        from npu.report.record import write_bytes

        write_bytes(outcome.toml(chosen).encode(), outputs.toml)
    if outputs.html is not None:
        from npu.explore.page import write_search_page

        write_search_page(outcome, outputs.html, synthesized)
    if not found:
        raise typer.Exit(EXIT_NOTHING_FEASIBLE)


def _synthesize(outcome: "Outcome", count: int, *, quiet: bool) -> "Synthesized":
    """Figures of synthesized points of the front, by their configuration."""
    if not count:
        return {}
    from npu.commands.progress import tool_steps
    from npu.explore.finalists import finalists, synthesize_finalists

    with tool_steps("npu explore", silent=quiet) as (log, phase):
        return synthesize_finalists(finalists(outcome, count), log, phase)
