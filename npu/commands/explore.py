"""`npu explore`: many configurations through the compiler and the cycle model."""

import os
from collections.abc import Sequence
from pathlib import Path

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, QuietOption
from npu.commands.explore_options import (
    BudgetOption,
    ConstraintOption,
    EnergyOption,
    FreshOption,
    JobsOption,
    LatencyOption,
    ModelsArgument,
    ObjectiveOption,
    OutOption,
    PageOption,
    ReportOption,
    SamplerOption,
    SchedulerOption,
    SeedOption,
    SpaceOption,
    StoreOption,
    SynthesizeOption,
    TomlOption,
    VariantsOption,
    VaryOption,
)
from npu.commands.progress import progress_bar

EXIT_NOTHING_WORKED = 1


def explore(
    models: ModelsArgument = None,
    vary: VaryOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    latency: LatencyOption = 20,
    objective: ObjectiveOption = None,
    constraint: ConstraintOption = None,
    space: SpaceOption = None,
    budget: BudgetOption = None,
    sampler: SamplerOption = None,
    seed: SeedOption = 0,
    variants: VariantsOption = None,
    energy: EnergyOption = None,
    html: PageOption = None,
    toml: TomlOption = None,
    synthesize: SynthesizeOption = 0,
    store: StoreOption = None,
    report: ReportOption = None,
    scheduler: SchedulerOption = None,
    out: OutOption = None,
    jobs: JobsOption = None,
    fresh: FreshOption = False,
    quiet: QuietOption = False,
) -> None:
    """Time networks on many configurations, or search.

    Without an objective, a constraint, a space, a budget or a sampler: all combinations of what
    varies. Prints cycles, what is left to the CPU, utilization and bandwidth of each, and marks the
    Pareto front of cycles, MACs per cycle, memory on chip, and MACs and operators on the CPU, whose
    time is not in the cycles. A combination that is illegal, or leaves a whole network to the CPU,
    is a row with its reason.

    With one of them: a search for the Pareto front of the objectives, by estimated area and clock
    and by exact cycles. What was interrupted goes on where it stopped.
    """
    from npu.commands.explore_search import Outputs, SearchOptions, report_search, search
    from npu.errors import ExploreError

    outputs = Outputs(html=html, toml=toml, out=tuple(out or ()), synthesize=synthesize)
    if report is not None:
        if models:
            raise ExploreError("--report shows a store: it takes no MODEL")
        report_search(report, outputs, energy, quiet=quiet)
        return
    if not models:
        raise ExploreError("no MODEL given, at least one expected (or --report STORE)")
    processes = jobs or os.cpu_count() or 1
    asked = SearchOptions(
        models=models,
        vary=tuple(vary or ()),
        config=config,
        latency=latency,
        objective=objective,
        constraints=tuple(constraint or ()),
        space=space,
        budget=budget,
        sampler=sampler,
        seed=seed,
        variants=variants,
        energy=energy,
    )
    if asked.is_search or html is not None or toml is not None or synthesize:
        search(asked, outputs, store, processes, scheduler, fresh=fresh, quiet=quiet)
        return
    paths = [Path(model) for model in models]
    sweep_all(
        paths, vary or [], config, latency, out or [], store, processes, scheduler, fresh, quiet
    )


def sweep_all(
    models: Sequence[Path],
    vary: Sequence[str],
    config: str,
    latency: int,
    out: Sequence[Path],
    store: Path | None,
    jobs: int,
    scheduler: str | None,
    fresh: bool,
    quiet: bool,
) -> None:
    """All combinations of what varies, as rows."""
    from npu.errors import ExploreError
    from npu.explore.space import choose_space
    from npu.explore.store import Store
    from npu.explore.sweep import Evaluation, open_workers
    from npu.explore.table import (
        SHOWN_ROWS,
        check_target,
        make_rows,
        make_table,
        notes,
        save_rows,
        settled_lines,
    )
    from npu.model.tflite_reader import read_model
    from npu.report.record import check_output_path
    from npu.report.tables import NARROW_COLUMNS, make_console, print_line
    from rtl.config import load_config
    from sim.memory import MemoryConfig

    for path in out:
        check_output_path(path, "--out")
        check_target(path)
    # a latency that no point could have is bad usage, not a sweep that failed
    MemoryConfig(latency_cycles=latency)
    space = choose_space(config, load_config(config), latency, vary)
    names = [str(path) for path in models]
    if len(set(names)) < len(names):
        raise ExploreError("a network is named twice")
    # a file that is not a network is the user's mistake, found before anything runs
    for path in models:
        read_model(path)
    points = list(space.points(len(models)))
    with (
        progress_bar("exploring", silent=quiet) as progress,
        Store(store) as kept,
        open_workers(models, jobs, scheduler) as workers,
    ):
        results = Evaluation(models, workers, kept, resume=not fresh).results(points, progress)
    rows = make_rows(names, points, results)
    shown = rows if len(rows) <= SHOWN_ROWS else [row for row in rows if row["pareto"]]
    console = make_console(quiet=quiet)
    console.print(make_table(shown, list(space.varied), narrow=console.width < NARROW_COLUMNS))
    for line in (*notes(rows), *settled_lines(points)):
        print_line(console, line)
    worked = sum(row["status"] != "failed" for row in rows)
    summary = (
        f"{len(rows)} points, {worked} worked, * = Pareto front of cycles, MACs per cycle, memory "
        "and what the CPU is left with"
    )
    if len(shown) < len(rows):
        summary += f"; only the front is shown, {'see --out' if not out else '--out has all'}"
    print_line(console, summary)
    for path in out:
        save_rows(rows, path)
    if not worked:
        raise typer.Exit(EXIT_NOTHING_WORKED)
