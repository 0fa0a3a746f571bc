"""Colours and layout that all figures share: readable on white and on black."""

from math import log10
from typing import Any

PLACEMENT = {"NPU": "#1f9e89", "CPU": "#e8743b", "CPU (TFLM)": "#9b6bdf"}
CAUSES = {
    "busy": "#1f9e89",
    "weights": "#e8743b",
    "activations": "#d9a520",
    "parameters": "#c26b9a",
    "output stage": "#5b8ff9",
    "scratchpad": "#8f7ee7",
    "store": "#61a5c2",
    "commands": "#a07855",
    "starting": "#9aa5b1",
    "finished": "#c5ccd3",
}
OTHER = "#8a8f98"
LINE = "rgba(128, 128, 128, 0.55)"
GRID = "rgba(128, 128, 128, 0.25)"
CYCLE = ("#1f9e89", "#e8743b", "#5b8ff9", "#d9a520", "#9b6bdf", "#c26b9a", "#61a5c2", "#a07855")
"""For neighbours that are to be told apart, again and again."""

AXIS: dict[str, Any] = {
    "gridcolor": GRID,
    "zerolinecolor": GRID,
    "linecolor": LINE,
    "automargin": True,
}


def layout(**further: Any) -> dict[str, Any]:
    """The layout of a figure: the page's background, no more room than is needed."""
    return {
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"size": 12, "family": "system-ui, sans-serif"},
        "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        "bargap": 0.25,
        **further,
    }


def log_axis(title: str, low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis between two values; with ticks at powers of ten where there are some."""
    decades = log10(high) - log10(low)
    ticks = {"dtick": 1} if decades > 1.5 else {}
    return {
        **AXIS,
        "type": "log",
        "title": {"text": title},
        "range": [log10(low), log10(high)],
        **ticks,
    }


def operator_names(record: Any) -> list[str]:
    """What operators are called on the page, by their position."""
    return [f"{layer['index']} {layer['op']}" for layer in record["layers"]]
