"""Figures of layers: the network, its cycles, and the roofline."""

from collections.abc import Mapping
from typing import Any

from npu.report.page.style import (
    AXIS,
    CAUSES,
    LINE,
    OTHER,
    PLACEMENT,
    layout,
    log_axis,
    operator_names,
)

ROW = 24
"""Pixels for an operator."""
EDGES = 90
LEFT, RIGHT = 2, 6
"""Room for lines and for names, as parts of the width."""

Figure = dict[str, Any]
Record = Mapping[str, Any]


def network_figure(record: Record) -> Figure:
    """Operators from top to bottom, coloured by where they ran, as large as their cycles."""
    layers, network = record["layers"], record["network"]
    row = {layer["index"]: number for number, layer in enumerate(layers)}
    names = [
        f"{name}  {'x'.join(map(str, shape[1:] or shape))}"
        for name, shape in zip(operator_names(record), network["shapes"], strict=True)
    ]
    traces: list[Figure] = []
    lanes = _lanes([(row[a], row[b]) for a, b in network["edges"]])
    widest = max(lanes.values(), default=0)
    width = min(1, LEFT / (widest or 1))
    for (first, last), lane in lanes.items():
        middle = (first + last) / 2
        traces.append(
            {
                "type": "scatter",
                "x": [0, -lane * width, 0] if lane else [0, 0],
                "y": [first, middle, last] if lane else [first, last],
                "mode": "lines",
                "line": {"color": LINE, "width": 1.5, "shape": "spline"},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
    most = max((layer["cycles"] or 0 for layer in layers), default=0)
    for placed, colour in PLACEMENT.items():
        own = [number for number, layer in enumerate(layers) if layer["placed"] == placed]
        if own:
            sizes = [8 + 14 * ((layers[n]["cycles"] or 0) / (most or 1)) ** 0.5 for n in own]
            traces.append(
                {
                    "type": "scatter",
                    "name": placed,
                    "x": [0] * len(own),
                    "y": own,
                    "text": [names[n] for n in own],
                    "customdata": [_told(layers[n]) for n in own],
                    "mode": "markers+text",
                    "textposition": "middle right",
                    "cliponaxis": False,
                    "marker": {"color": colour, "size": sizes, "opacity": 1, "line": {"width": 0}},
                    "hovertemplate": "%{text}<br>%{customdata}<extra></extra>",
                }
            )
    hidden = {"visible": False, "fixedrange": True}
    axes = {
        "xaxis": {**hidden, "range": [-widest * width - 0.3, RIGHT]},
        "yaxis": {**hidden, "range": [len(layers) - 0.3, -0.7]},
    }
    return {"data": traces, "layout": layout(height=EDGES + ROW * len(layers), **axes)}


def _told(layer: Record) -> str:
    cycles = "not timed" if layer["cycles"] is None else f"{layer['cycles']:,} cycles"
    reason = f"<br>{layer['reason']}" if layer["reason"] else ""
    return f"{layer['placed']}, {cycles}, {layer['macs']:,} MACs{reason}"


def _lanes(edges: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """A lane for each edge between rows: 0 for neighbours, of the others no two that overlap."""
    lanes = {edge: 0 for edge in edges if edge[1] - edge[0] == 1}
    taken: list[list[tuple[int, int]]] = []
    for edge in sorted({e for e in edges if e not in lanes}, key=lambda e: (e[1] - e[0], e)):
        for others in taken:
            if all(edge[1] <= first or last <= edge[0] for first, last in others):
                break
        else:
            others = []
            taken.append(others)
        others.append(edge)
        lanes[edge] = taken.index(others) + 1
    return lanes


def cycles_figure(record: Record) -> Figure | None:
    """Cycles of each layer, and what they went to as the compute engine sees it."""
    layers = [layer for layer in record["layers"] if layer["cycles"]]
    if not layers:
        return None
    names = [f"{layer['index']} {layer['op']}" for layer in layers]
    causes = [layer["engines"]["compute"] if layer["engines"] else {} for layer in layers]
    found = dict.fromkeys(cause for own in causes for cause in own)
    order = sorted(found, key=lambda cause: -sum(own.get(cause, 0) for own in causes))
    rows = {cause: [own.get(cause, 0) for own in causes] for cause in order}
    if not all(causes):
        rows = {"cycles": [layer["cycles"] for layer in layers]}
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": "working" if cause == "busy" else cause,
            "x": values,
            "y": names,
            "marker": {"color": CAUSES.get(cause, OTHER)},
            "hovertemplate": "%{y}<br>%{fullData.name}: %{x:,} cycles<extra></extra>",
        }
        for cause, values in rows.items()
    ]
    axes = {
        "xaxis": {**AXIS, "title": {"text": "cycles"}, "separatethousands": True, "nticks": 6},
        "yaxis": {**AXIS, "autorange": "reversed", "dtick": 1, "fixedrange": True},
    }
    height = EDGES + 60 + ROW * len(layers)
    return {"data": traces, "layout": layout(height=height, barmode="stack", **axes)}


def roofline_figure(record: Record) -> Figure | None:
    """MACs per cycle over MACs per byte, and what multipliers and memory allow."""
    placed = [
        layer
        for layer in record["layers"]
        if layer["roofline"] and layer["roofline"]["macs_per_byte"]
    ]
    if not placed:
        return None
    peak, width = record["macs_per_cycle"], record["parameters"]["bus_bytes"]
    intensities = [layer["roofline"]["macs_per_byte"] for layer in placed]
    ridge = peak / width
    low, high = min(*intensities, ridge) / 2, max(*intensities, ridge) * 2
    traces: list[Figure] = [
        {
            "type": "scatter",
            "name": "attainable",
            "mode": "lines",
            "x": [low, ridge, high],
            "y": [low * width, peak, peak],
            "line": {"color": LINE, "width": 2},
            "hovertemplate": "%{y:,.1f} MACs/cycle attainable<extra></extra>",
        }
    ]
    for cause in dict.fromkeys(layer["bound"]["by"] for layer in placed):
        own = [layer for layer in placed if layer["bound"]["by"] == cause]
        colour = CAUSES["busy"] if cause in ("MACs", "operations") else CAUSES.get(cause, OTHER)
        traces.append(
            {
                "type": "scatter",
                "name": f"bound by {cause}",
                "mode": "markers",
                "x": [layer["roofline"]["macs_per_byte"] for layer in own],
                "y": [layer["roofline"]["macs_per_cycle"] for layer in own],
                "text": [f"{layer['index']} {layer['op']}" for layer in own],
                "marker": {"color": colour, "size": 10, "opacity": 0.85},
                "hovertemplate": "%{text}<br>%{x:,.1f} MACs/byte<br>%{y:,.1f} MACs/cycle"
                "<extra></extra>",
            }
        )
    lowest = min(low * width, *(layer["roofline"]["macs_per_cycle"] for layer in placed)) / 1.5
    axes = {
        "xaxis": log_axis("MACs per byte of external memory", low, high),
        "yaxis": log_axis("MACs per cycle", lowest, peak * 1.6),
    }
    return {"data": traces, "layout": layout(height=440, **axes)}
