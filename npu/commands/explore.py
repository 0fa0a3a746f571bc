"""`npu explore`: many configurations through the compiler and the cycle model."""

import os
from pathlib import Path
from typing import Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, QuietOption
from npu.commands.progress import progress_bar

EXIT_NOTHING_WORKED = 1


def explore(
    models: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Fully int8 .tflite files.")
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V1,V2,...",
            help="Values of a hardware parameter (those of `npu configs --json`), of "
            "latency_cycles or of preset; once for each that varies. All combinations are run; "
            "parameters that are not varied follow where hardware would be illegal. Default: all "
            "presets.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    latency: Annotated[
        int, typer.Option(metavar="CYCLES", help="Latency of the external memory.")
    ] = 20,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.csv|FILE.parquet", help="Save all rows there; may be given twice."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Parallel processes; default: one per processor."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not take finished points from earlier sweeps.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Time networks on many hardware configurations.

    Prints cycles, what is left to the CPU, utilization and bandwidth of each, and marks the Pareto
    front of cycles, MACs per cycle, memory on chip, and MACs and operators on the CPU, whose time
    is not in the cycles. A combination that is illegal, or leaves a whole network to the CPU, is a
    row with its reason. An interrupted sweep goes on where it stopped.
    """
    from npu.errors import ExploreError
    from npu.explore.space import choose_space
    from npu.explore.sweep import sweep
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

    for path in out or []:
        check_output_path(path, "--out")
        check_target(path)
    # a latency that no point could have is bad usage, not a sweep that failed
    MemoryConfig(latency_cycles=latency)
    space = choose_space(config, load_config(config), latency, vary or [])
    names = [str(path) for path in models]
    if len(set(names)) < len(names):
        raise ExploreError("a network is named twice")
    # a file that is not a network is the user's mistake, found before anything runs
    for path in models:
        read_model(path)
    points = list(space.points(len(models)))
    with progress_bar("exploring", silent=quiet) as progress:
        results = sweep(
            models,
            points,
            jobs=jobs or os.cpu_count() or 1,
            progress=progress,
            resume=not fresh,
        )
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
    for path in out or []:
        save_rows(rows, path)
    if not worked:
        raise typer.Exit(EXIT_NOTHING_WORKED)
