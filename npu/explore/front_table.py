"""A search's outcome as a table for the terminal, and as rows for files."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from npu.explore.domain import NETWORK
from npu.explore.metrics import METRICS
from npu.explore.outcome import Outcome
from npu.explore.search import Trial
from npu.explore.space import PARAMETERS
from npu.explore.table import PARAMETER_TYPES
from rtl.config import NpuConfig

SHOWN = 25
FIGURES = ("time", "cycles", "lut", "dsp", "bram", "mhz", "energy")
"""Metrics of every table, beside the objectives."""

COLUMN_TYPES: dict[str, type] = {
    "model": str,
    **PARAMETER_TYPES,
    "status": str,
    "reason": str,
    **dict.fromkeys(METRICS, float),
    "pareto": bool,
}
"""Columns of the saved files of a search."""


def varied(outcome: Outcome) -> list[str]:
    """Parameters that are not the same in all points of the front."""
    found = outcome.front
    return [name for name in PARAMETERS if len({str(trial.values[name]) for trial in found}) > 1]


def shown_metrics(outcome: Outcome) -> list[str]:
    """Objectives first, then the figures of every table; `area` is `lut`."""
    names = [*outcome.request.goal.objectives, *FIGURES]
    names = ["lut" if name == "area" else name for name in names]
    return list(dict.fromkeys(names))


def front_table(
    outcome: Outcome, synthesized: Mapping[NpuConfig, Mapping[str, float]] | None = None
) -> Table:
    """The front by the first objective, the middle of it marked; at most `SHOWN` points."""
    found, chosen = outcome.front, outcome.chosen
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    if len(outcome.request.variants) > 1:
        table.add_column(NETWORK, overflow="fold")
    names = varied(outcome)
    for name in names:
        table.add_column(name.replace("_", "\n"), justify="right", overflow="fold")
    metrics = shown_metrics(outcome)
    for name in metrics:
        metric = METRICS[name]
        told = metric.unit if metric.unit.lower().startswith(name) else f"{name}\n{metric.unit}"
        table.add_column(told.strip(), justify="right", no_wrap=True)
    if synthesized:
        table.add_column("LUTeq\nsynthesized", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    step = max(1, -(-len(found) // SHOWN))
    for at, trial in enumerate(found):
        if at % step and trial is not chosen and trial.config not in (synthesized or {}):
            continue
        several = len(outcome.request.variants) > 1
        cells = [outcome.request.variants[trial.variant].name] if several else []
        cells += [str(trial.values[name]) for name in names]
        cells += [metric_text(name, trial.metrics[name]) for name in metrics]
        if synthesized:
            real = synthesized.get(trial.config)
            cells.append("" if real is None else f"{real['LUTeq']:,.0f}")
        table.add_row(*cells, "chosen" if trial is chosen else "")
    return table


def metric_text(name: str, value: float) -> str:
    """A metric in digits that mean something."""
    if name in ("lut", "area", "ff"):
        return f"{value:,.0f}"
    if name in ("time", "energy"):
        return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
    if name == "mhz":
        return f"{value:.0f}"
    if name == "accuracy":
        return f"{value:.4f}"
    return f"{value:,.0f}"


def outcome_rows(outcome: Outcome) -> list[dict[str, Any]]:
    """One row of `COLUMN_TYPES` for each point that ran or failed."""
    best = {id(trial) for trial in outcome.front}
    return [_row(outcome, trial, id(trial) in best) for trial in outcome.trials]


def _row(outcome: Outcome, trial: Trial, best: bool) -> dict[str, Any]:
    status = "failed" if not trial.metrics else "ok" if trial.feasible else "infeasible"
    return {
        "model": outcome.request.variants[trial.variant].name,
        **trial.values,
        "status": status,
        "reason": trial.reason,
        **{name: trial.metrics.get(name) for name in METRICS},
        "pareto": best,
    }
