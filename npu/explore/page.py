"""A search's outcome as one HTML file: the front, what parameters do, and each point of it."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npu.errors import OutputError
from npu.explore.figures import (
    describe,
    front_figure,
    parallel_figure,
    sensitivity,
    sensitivity_figure,
)
from npu.explore.front_table import metric_text, shown_metrics, varied
from npu.explore.metrics import METRICS
from npu.explore.outcome import Outcome
from npu.explore.search import Trial
from npu.explore.space import Point
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model
from npu.offload.network import CompiledNetwork
from npu.report.page.layer_figures import cycles_figure
from npu.report.page.tables import Cell, PageTable, Tile, make_table, number
from npu.report.page.write import Section, render_page
from npu.version import tool_version
from rtl.config import NpuConfig
from rtl.errors import NpuError
from sim.cycle import account_layers, simulate

SCRIPT = Path(__file__).with_name("points.js")

MOST_POINTS = 60
"""Of the front that can be chosen on the page, at equal distances."""


def write_search_page(
    outcome: Outcome,
    path: Path,
    synthesized: Mapping[NpuConfig, Mapping[str, float]] | None = None,
) -> None:
    """Write the page of an outcome to a file.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    try:
        path.write_text(search_page_text(outcome, synthesized or {}), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def search_page_text(outcome: Outcome, synthesized: Mapping[NpuConfig, Mapping[str, float]]) -> str:
    """The page; the points of the front are in it as JSON, in the element `record`."""
    request = outcome.request
    names = ", ".join(network.path.stem for network in request.networks)
    best = outcome.front
    points = _points(outcome, best)
    objectives = ", ".join(request.goal.objectives)
    constraints = ", ".join(map(str, request.goal.constraints)) or "no constraints"
    sections = [
        Section(
            "front",
            "Front",
            f"Points that no other one beats in {objectives}. A click chooses one.",
            front_figure(outcome),
        ),
        Section(
            "parallel",
            "Parameters",
            "A line for each point, those of the front in colour; drag along an axis to keep some.",
            parallel_figure(outcome),
        ),
        Section(
            "sensitivity",
            "What matters",
            f"How much of the variance of {request.goal.objectives[0]} goes with each parameter"
            " alone, over all points that were looked at; together they may do more.",
            sensitivity_figure(outcome),
        ),
    ]
    kept = [section for section in sections if section.figure]
    if points:
        kept.append(
            Section(
                "point",
                "One point",
                "Cycles of each layer; the hardware as `npu run --config` takes it.",
                next((point["figure"] for point in points if point["chosen"]), None),
                choices=tuple(point["name"] for point in points),
                codes={"toml": "npu.toml", "commands": "Commands"},
            )
        )
        kept.append(
            Section(
                "numbers",
                "Front in numbers",
                "A click on a heading sorts.",
                None,
                (_front_table(outcome, best, synthesized),),
            )
        )
    why = outcome.reasons()
    rows = [[Cell(line, sentence=True)] for line in (*outcome.notes(), *why)]
    kept.append(
        Section("notes", "What is estimated", "", None, (make_table("said", ("note",), rows),))
    )
    return render_page(
        title=f"Hardware for {names}",
        lines=[f"{request.sampler}, budget {request.budget}, seed {request.seed}; {constraints}"],
        tiles=_tiles(outcome, best),
        sections=kept,
        footer=f"{tool_version()}",
        record={
            "schema": "npu-explore",
            "request": request.to_dict(),
            "sensitivity": sensitivity(outcome),
            "points": points,
        },
        script=SCRIPT.read_text(encoding="utf-8") if points else "",
    )


def _tiles(outcome: Outcome, best: list[Trial]) -> list[Tile]:
    tiles = [
        Tile("points looked at", f"{len(outcome.trials):,}"),
        Tile("on the front", f"{len(best):,}"),
    ]
    for name in outcome.request.goal.objectives if best else ():
        values = [trial.metrics[name] for trial in best]
        metric = METRICS[name]
        value = max(values) if metric.larger_is_better else min(values)
        tiles.append(Tile(f"best {name}", f"{metric_text(name, value)} {metric.unit}".strip()))
    return tiles


def _front_table(
    outcome: Outcome, best: list[Trial], synthesized: Mapping[NpuConfig, Mapping[str, float]]
) -> PageTable:
    names, metrics = varied(outcome), shown_metrics(outcome)
    several = len(outcome.request.variants) > 1
    headings = [*(["network"] if several else []), *names, *map(_heading, metrics)]
    rows = []
    for trial in best:
        row = [Cell(outcome.request.variants[trial.variant].name)] if several else []
        for name in names:
            value = trial.values[name]
            row.append(number(value) if type(value) is int else Cell(str(value), number=True))
        row += [Cell(metric_text(n, trial.metrics[n]), trial.metrics[n], True) for n in metrics]
        if synthesized:
            real = synthesized.get(trial.config)
            row.append(number(None if real is None else real["LUTeq"]))
        rows.append(row)
    if synthesized:
        headings.append("LUTeq synthesized")
    return make_table("front-points", headings, rows)


def _heading(name: str) -> str:
    metric = METRICS[name]
    return f"{name}, {metric.unit}" if metric.unit else name


def _points(outcome: Outcome, best: list[Trial]) -> list[dict[str, Any]]:
    """What is shown of each point of the front."""
    chosen = outcome.chosen
    step = max(1, -(-len(best) // MOST_POINTS))
    graphs: dict[Path, Graph | None] = {}
    found = []
    for at, trial in enumerate(best):
        shown = at % step == 0 or trial is chosen
        found.append(
            {
                "name": f"{at + 1}: " + describe(outcome, trial).replace("<br>", "; "),
                "chosen": trial is chosen,
                "toml": outcome.toml(trial),
                "commands": _commands(outcome, trial),
                "figure": _layers(outcome, trial, graphs) if shown else None,
            }
        )
    return found


def _commands(outcome: Outcome, trial: Trial) -> str:
    variant = outcome.request.variants[trial.variant]
    models = [outcome.request.networks[model].path for model in variant.models]
    latency = trial.values["latency_cycles"]
    runs = [
        f"npu run {shlex.quote(str(path))} --config npu.toml --backend cycle --latency {latency}"
        for path in models
    ]
    rest = ["npu verilog --config npu.toml -o npu.v", "npu synth --config npu.toml"]
    return "\n".join([*runs, *rest])


def _layers(
    outcome: Outcome, trial: Trial, graphs: dict[Path, Graph | None]
) -> dict[str, Any] | None:
    """Cycles by layer of a point's first network; None when its file is gone."""
    path = outcome.request.networks[outcome.request.variants[trial.variant].models[0]].path
    if path not in graphs:
        try:
            graphs[path] = read_model(path)
        except NpuError:
            graphs[path] = None
    graph = graphs[path]
    if graph is None:
        return None
    point = Point(0, dict(trial.values))
    network = CompiledNetwork(graph, point.config())
    layers = [
        {
            "index": account.operator_index,
            "op": graph.operator(account.operator_index).kind,
            "cycles": account.cycles,
            "engines": {"compute": dict(account.compute)},
        }
        for program in network.programs.values()
        for account in account_layers(simulate(program, point.memory()))
    ]
    return cycles_figure({"layers": layers})
