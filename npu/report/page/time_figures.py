"""Figures over time and addresses: engines, scratchpad, external memory."""

from collections.abc import Mapping, Sequence
from typing import Any

from npu.report.page.style import AXIS, CYCLE, OTHER, PLACEMENT, layout

LOADED = {
    "weights": "#e8743b",
    "scratchpad": "#d9a520",
    "parameters": "#c26b9a",
    "biases": "#9b6bdf",
    "table": "#a07855",
}
ROLES = {"input": "#5b8ff9", "output": PLACEMENT["NPU"], "between": "#d9a520"}
ROW = 24

Figure = dict[str, Any]
Record = Mapping[str, Any]


def timeline_figure(record: Record) -> Figure | None:
    """Engines, and below them, over the same cycles, how much of the scratchpad is in use."""
    timeline, scratchpad = record.get("timeline"), record.get("scratchpad")
    if timeline is None or scratchpad is None:
        return None
    traces: list[Figure] = []
    for engine, slices in timeline.items():
        # what is loaded has a legend, operators have the figure of the network
        kinds = dict.fromkeys(label for *_, label in slices) if engine == "load" else [engine]
        for kind in kinds:
            own = [one for one in slices if engine != "load" or one[2] == kind]
            traces.append(_slices(engine, kind, own))
    traces.append(
        {
            "type": "scatter",
            "name": "in use",
            "mode": "lines",
            "x": [*scratchpad["cycles"], record["cycles"]],
            "y": [*scratchpad["used_kib"], scratchpad["used_kib"][-1]],
            "line": {"shape": "hv", "color": PLACEMENT["NPU"], "width": 1.5},
            "fill": "tozeroy",
            "fillcolor": "rgba(31, 158, 137, 0.25)",
            "yaxis": "y2",
            "hovertemplate": "%{y:,.1f} KiB from cycle %{x:,}<extra></extra>",
            "showlegend": False,
        }
    )
    axes = {
        "xaxis": {
            **AXIS,
            "title": {"text": "cycle"},
            "range": [0, record["cycles"]],
            "anchor": "y2",
            "separatethousands": True,
            "nticks": 6,
        },
        "yaxis": {**AXIS, "domain": [0.55, 1], "fixedrange": True, "autorange": "reversed"},
        "yaxis2": {
            **AXIS,
            "domain": [0, 0.45],
            "title": {"text": f"KiB of {scratchpad['capacity_kib']}"},
            "rangemode": "tozero",
            "fixedrange": True,
        },
    }
    return {"data": traces, "layout": layout(height=440, barmode="overlay", **axes)}


def _slices(engine: str, kind: str, slices: Sequence[Sequence[Any]]) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "name": f"loads {kind}" if engine == "load" else kind,
        "base": [begin for begin, _, _ in slices],
        "x": [cycles for _, cycles, _ in slices],
        "y": [engine] * len(slices),
        "customdata": [label for _, _, label in slices],
        "marker": {"color": _colours(engine, kind, slices), "line": {"width": 0}},
        "hovertemplate": "%{customdata}<br>from %{base:,}, %{x:,} cycles<extra></extra>",
        "showlegend": engine == "load",
        "width": 0.7,
    }


def _colours(engine: str, kind: str, slices: Sequence[Sequence[Any]]) -> str | list[str]:
    if engine != "compute":
        return LOADED.get(kind, OTHER)
    return [CYCLE[int(label.split()[0]) % len(CYCLE)] for _, _, label in slices]


def map_figure(record: Record) -> Figure | None:
    """Which operator's values lie where in the scratchpad, over time."""
    found = record.get("scratchpad_map")
    if found is None:
        return None
    steps = len(CYCLE)
    # neighbouring operators in colours of their own, as in the timeline
    scale = [[at / steps, colour] for step, colour in enumerate(CYCLE) for at in (step, step + 1)]
    operators = found["operators"]
    trace = {
        "type": "heatmap",
        "x": found["cycles"],
        "y": found["kib"],
        "z": [[None if cell is None else cell % steps for cell in row] for row in operators],
        "customdata": operators,
        "zmin": -0.5,
        "zmax": steps - 0.5,
        "colorscale": scale,
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": "operator %{customdata}<br>address %{y:,.1f} KiB, cycle %{x:,.0f}"
        "<extra></extra>",
    }
    axes = {
        "xaxis": {
            **AXIS,
            "title": {"text": "cycle"},
            "range": [0, record["cycles"]],
            "separatethousands": True,
            "nticks": 6,
        },
        "yaxis": {**AXIS, "title": {"text": "address, KiB"}, "fixedrange": True},
    }
    return {"data": [trace], "layout": layout(height=320, **axes)}


def memory_figure(record: Record) -> Figure | None:
    """External memory: the regions of each segment, and below them the tensors in its arena."""
    segments = record.get("regions")
    if not segments:
        return None
    regions: list[tuple[str, str, int]] = []
    tensors: list[tuple[str, str, int, int, str]] = []
    for segment in segments:
        where = "-".join(map(str, dict.fromkeys(segment["operators"])))
        several = f" of {where}" if len(segments) > 1 else ""
        for region in ("commands", "constants", "arena"):
            regions.append((f"{region}{several}", region, segment[region]))
        for tensor in segment["tensors"]:
            name = f"tensor {tensor['index']}{several}"
            told = f"{tensor['name']} ({tensor['role']})"
            tensors.append((name, tensor["role"], tensor["offset"], tensor["bytes"], told))
    bar = {"type": "bar", "orientation": "h"}
    traces: list[Figure] = [
        {
            **bar,
            "x": [size for *_, size in regions],
            "y": [name for name, *_ in regions],
            "marker": {"color": OTHER},
            "hovertemplate": "%{y}: %{x:,} bytes<extra></extra>",
            "showlegend": False,
        }
    ]
    for role, colour in ROLES.items():
        own = [tensor for tensor in tensors if tensor[1] == role]
        if own:
            traces.append(
                {
                    **bar,
                    "name": role,
                    "base": [base for _, _, base, _, _ in own],
                    "x": [size for _, _, _, size, _ in own],
                    "y": [name for name, *_ in own],
                    "customdata": [told for *_, told in own],
                    "marker": {"color": colour},
                    "xaxis": "x2",
                    "yaxis": "y2",
                    "hovertemplate": "%{customdata}<br>%{x:,} bytes from %{base:,}<extra></extra>",
                }
            )
    return {"data": traces, "layout": _memory_layout(regions, tensors)}


def _memory_layout(regions: Sequence[Any], tensors: Sequence[Any]) -> Figure:
    names = list(dict.fromkeys(name for name, *_ in tensors))
    rows = len(regions) + len(names) + 4
    split = (len(names) + 1) / rows
    bytes_axis = {**AXIS, "rangemode": "tozero", "separatethousands": True, "nticks": 6}
    names_axis = {**AXIS, "fixedrange": True, "autorange": "reversed", "dtick": 1}
    axes = {
        "xaxis": {**bytes_axis, "title": {"text": "bytes of the region"}, "anchor": "y"},
        "yaxis": {**names_axis, "domain": [split + 3 / rows, 1]},
        "xaxis2": {**bytes_axis, "title": {"text": "address in the arena"}, "anchor": "y2"},
        "yaxis2": {
            **names_axis,
            "domain": [0, split],
            "categoryorder": "array",
            "categoryarray": names,
        },
    }
    return layout(height=110 + ROW * rows, barmode="overlay", **axes)
