"""Figures of a search's outcome."""

from collections.abc import Sequence
from typing import Any

from npu.explore.domain import NETWORK
from npu.explore.front_table import metric_text, shown_metrics
from npu.explore.metrics import METRICS
from npu.explore.outcome import Outcome
from npu.explore.search import Trial
from npu.explore.space import PARAMETERS
from npu.report.page.style import AXIS, OTHER, PLACEMENT, layout

MOST_TRIALS = 3000
"""Shown in figures, so that a page of many points stays one that opens."""

MOST_AXES = 9
_BEST = PLACEMENT["NPU"]
_BEYOND = {"color": OTHER, "size": 4, "symbol": "x"}
_COLOURS = [[0, "#b9bfc6"], [1, _BEST]]

Figure = dict[str, Any]


def front_figure(outcome: Outcome) -> Figure:
    """Second objective over the first: the front, and all other points that hold what was asked."""
    first, second = _two(outcome)
    best, chosen = outcome.front, outcome.chosen
    ids = {id(trial) for trial in best}
    others = [t for t in outcome.trials if t.feasible and id(t) not in ids][:MOST_TRIALS]
    beyond = [t for t in outcome.trials if t.metrics and not t.feasible][:MOST_TRIALS]
    traces = [
        _markers(outcome, "beyond a constraint", beyond, _BEYOND),
        _markers(outcome, "other points", others, {"color": OTHER, "size": 5}),
        {
            **_markers(outcome, "front", best, {"color": _BEST, "size": 9}),
            "customdata": list(range(len(best))),
        },
    ]
    if chosen is not None:
        marker = {"color": "rgba(0,0,0,0)", "size": 16, "line": {"color": "#e8743b", "width": 2}}
        traces.append(
            {**_markers(outcome, "chosen", [chosen], marker), "customdata": [best.index(chosen)]}
        )
    axes = {
        axis: {**AXIS, "type": "log", "title": {"text": _title(name)}, "nticks": 6}
        for axis, name in (("xaxis", first), ("yaxis", second))
    }
    for axis, name in (("xaxis", first), ("yaxis", second)):
        if METRICS[name].larger_is_better:
            axes[axis]["type"] = "linear"
    return {"data": traces, "layout": layout(height=460, hovermode="closest", **axes)}


def _two(outcome: Outcome) -> tuple[str, str]:
    names = [*outcome.request.goal.objectives, "lut", "time"]
    second = next(name for name in names[1:] if name != names[0])
    return names[0], second


def _title(name: str) -> str:
    metric = METRICS[name]
    return f"{name}, {metric.unit}" if metric.unit else name


def _markers(
    outcome: Outcome, name: str, trials: Sequence[Trial], marker: dict[str, Any]
) -> Figure:
    first, second = _two(outcome)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [trial.metrics[first] for trial in trials],
        "y": [trial.metrics[second] for trial in trials],
        "text": [describe(outcome, trial) for trial in trials],
        "marker": marker,
        "hovertemplate": "%{text}<extra></extra>",
    }


def describe(outcome: Outcome, trial: Trial) -> str:
    """Lines for hovering: shape, metrics."""
    values = trial.values
    grid = " x ".join(str(values[name]) for name in ("pixels", "channels", "lanes"))
    lines = [
        f"{grid}, R {values['requant_lanes']}, D {values['accumulator_depth']}",
        f"scratchpad {values['scratchpad_kib']}, weights {values['weight_buffer_kib']} KiB,"
        f" bus {values['bus_bytes']}",
    ]
    if len(outcome.request.variants) > 1:
        lines.insert(0, outcome.request.variants[trial.variant].name)
    lines += [
        f"{name} {metric_text(name, trial.metrics[name])} {METRICS[name].unit}"
        for name in shown_metrics(outcome)
    ]
    return "<br>".join(lines)


def parallel_figure(outcome: Outcome) -> Figure | None:
    """Parameters that matter most, and objectives, one axis each, a line for each point."""
    able = [trial for trial in outcome.trials if trial.feasible][:MOST_TRIALS]
    effects = sensitivity(outcome)
    objectives = outcome.request.goal.objectives
    names = list(effects)[: MOST_AXES - len(objectives)]
    if len(able) < 2 or not names:
        return None
    dimensions = [_dimension(outcome, name, able) for name in names]
    for name in objectives:
        values = [trial.metrics[name] for trial in able]
        dimensions.append({"label": _title(name), "values": values})
    best = {id(trial) for trial in outcome.front}
    colours = [float(id(trial) in best) for trial in able]
    trace = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": {
            "color": colours,
            "colorscale": _COLOURS,
            "cmin": 0,
            "cmax": 1,
        },
        "labelangle": -20,
    }
    width = 110 * len(dimensions) + 60
    margin = {"l": 60, "r": 60, "t": 80, "b": 20}
    return {"data": [trace], "layout": layout(height=420, width=width, margin=margin)}


def _dimension(outcome: Outcome, name: str, trials: Sequence[Trial]) -> Figure:
    """Values at equal distances: they are powers of two, or names."""
    found = [_value(outcome, trial, name) for trial in trials]
    known = sorted(set(found), key=lambda value: (str(type(value)), value))
    return {
        "label": name.replace("_", " "),
        "values": [known.index(value) for value in found],
        "tickvals": list(range(len(known))),
        "ticktext": [str(value) for value in known],
    }


def _value(outcome: Outcome, trial: Trial, name: str) -> Any:
    if name == NETWORK:
        return outcome.request.variants[trial.variant].name
    return trial.values[name]


def sensitivity(outcome: Outcome) -> dict[str, float]:
    """How much of the variance of the first objective, in logarithms, goes with each parameter
    alone: 0 to 1, the most first. Parameters that the search chose together share what they do."""
    import numpy as np

    able = [trial for trial in outcome.trials if trial.metrics]
    name = outcome.request.goal.objectives[0]
    costs = np.array([trial.metrics[name] for trial in able])
    if len(able) < 2 or not (costs > 0).all() or np.ptp(costs) == 0:
        return {}
    costs = np.log(costs)
    found = {}
    for parameter in (*PARAMETERS, NETWORK):
        groups: dict[str, list[float]] = {}
        for trial, cost in zip(able, costs, strict=True):
            groups.setdefault(str(_value(outcome, trial, parameter)), []).append(float(cost))
        if len(groups) > 1:
            between = sum(len(g) * (np.mean(g) - costs.mean()) ** 2 for g in groups.values())
            found[parameter] = float(between / ((costs - costs.mean()) ** 2).sum())
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def sensitivity_figure(outcome: Outcome) -> Figure | None:
    """`sensitivity` as bars."""
    effects = sensitivity(outcome)
    if not effects:
        return None
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [100 * share for share in effects.values()],
        "y": [name.replace("_", " ") for name in effects],
        "marker": {"color": _BEST},
        "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
    }
    axes = {
        "xaxis": {**AXIS, "title": {"text": "% of the variance"}, "rangemode": "tozero"},
        "yaxis": {**AXIS, "autorange": "reversed", "fixedrange": True},
    }
    return {"data": [trace], "layout": layout(height=90 + 26 * len(effects), **axes)}
