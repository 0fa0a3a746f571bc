"""The figure of a comparison with CPUs."""

from collections.abc import Mapping
from typing import Any

from npu.report.page.style import AXIS, OTHER, PLACEMENT, layout

Figure = dict[str, Any]


def rungs_figure(record: Mapping[str, Any]) -> Figure:
    """Cycles of the whole network on each core, on a logarithmic axis."""
    rungs = record["rungs"]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [rung["cycles"] for rung in rungs],
        "y": [rung["name"].replace(" on ", "<br>on ").replace(" + ", "<br>+ ") for rung in rungs],
        "text": [f"{rung['cycles']:,}" for rung in rungs],
        "textposition": "auto",
        "marker": {"color": [PLACEMENT["NPU"] if rung["npu"] else OTHER for rung in rungs]},
        "hovertemplate": "%{y}<br>%{x:,} cycles<extra></extra>",
    }
    axes = {
        "xaxis": {
            **AXIS,
            "type": "log",
            "dtick": 1,
            "title": {"text": "cycles of the whole network"},
        },
        "yaxis": {**AXIS, "autorange": "reversed", "fixedrange": True},
    }
    return {"data": [trace], "layout": layout(height=90 + 56 * len(rungs), **axes)}
