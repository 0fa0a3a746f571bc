"""Figures of a compiled file: its segments."""

from collections.abc import Mapping
from typing import Any

from npu.report.page.style import AXIS, OTHER, PLACEMENT, layout

Figure = dict[str, Any]

PARTS = {"constant_bytes": "weights and parameters", "command_bytes": "commands"}


def segment_name(segment: Mapping[str, Any]) -> str:
    """The operators of a segment."""
    return f"operators {segment['first_operator']} to {segment['last_operator']}"


def segment_cycles_figure(record: Mapping[str, Any]) -> Figure:
    """Cycles of each segment."""
    segments = record["summary"]["segments"]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [segment["cycles"] for segment in segments],
        "y": [segment_name(segment) for segment in segments],
        "marker": {"color": PLACEMENT["NPU"]},
        "hovertemplate": "%{y}<br>%{x:,} cycles<extra></extra>",
    }
    return _bars([trace], len(segments), "cycles of the NPU")


def segment_bytes_figure(record: Mapping[str, Any]) -> Figure:
    """What each segment brings into the file."""
    segments = record["summary"]["segments"]
    colours = dict(zip(PARTS, (PLACEMENT["NPU"], OTHER), strict=True))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": title,
            "x": [segment[key] for segment in segments],
            "y": [segment_name(segment) for segment in segments],
            "marker": {"color": colours[key]},
            "hovertemplate": "%{y}<br>%{x:,} bytes<extra>" + title + "</extra>",
        }
        for key, title in PARTS.items()
    ]
    return _bars(traces, len(segments), "bytes in the file")


def _bars(traces: list[dict[str, Any]], count: int, title: str) -> Figure:
    axes = {
        "xaxis": {**AXIS, "title": {"text": title}},
        "yaxis": {**AXIS, "autorange": "reversed", "fixedrange": True},
    }
    return {"data": traces, "layout": layout(height=110 + 44 * count, barmode="stack", **axes)}
