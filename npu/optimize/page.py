"""The report as one HTML page with plots, which needs nothing else."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npu.errors import OutputError
from npu.optimize.measure import StageResult
from npu.optimize.report import Report, markdown_table, pareto_front, percent

STYLE = (
    "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse;font-size:13px}"
    "td,th{padding:.25em .6em;text-align:right;border-bottom:1px solid #ccc}"
    "td:first-child,th:first-child{text-align:left}"
)


def write_page(report: Report, path: Path) -> None:
    """Write the stages as table and plots; with several settings their Pareto front.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    figures = [_stage_figure(report.stages), _front_figure(report.stages)]
    if report.sensitivity:
        figures.append(_sensitivity_figure(report))
    plots = "".join(
        figure.to_html(full_html=False, include_plotlyjs=number == 0)
        for number, figure in enumerate(figures)
    )
    title = html.escape(f"{report.model} on {report.config}")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in report.notes)
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        f"<style>{STYLE}</style><h1>{title}</h1>{_html_table(report.stages)}<ul>{notes}</ul>{plots}"
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def _html_table(stages: Sequence[StageResult]) -> str:
    rows = [line.strip("|").split("|") for line in markdown_table(stages).splitlines()]
    del rows[1]
    cells = [
        "".join(f"<{tag}>{html.escape(cell.strip())}</{tag}>" for cell in row)
        for tag, row in zip(["th", *["td"] * len(rows)], rows, strict=False)
    ]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _stage_figure(stages: Sequence[StageResult]) -> Any:
    from plotly.subplots import make_subplots

    names = [stage.stage for stage in stages]
    quantities = {
        "NPU cycles": [stage.cycles for stage in stages],
        "bytes of weights read": [stage.stream_bytes for stage in stages],
        "int8 accuracy": [stage.int8_accuracy for stage in stages],
        "compressed bytes": [stage.compressed_bytes for stage in stages],
    }
    figure = make_subplots(rows=2, cols=2, subplot_titles=list(quantities))
    for number, values in enumerate(quantities.values()):
        row, column = divmod(number, 2)
        figure.add_bar(x=names, y=values, row=row + 1, col=column + 1, showlegend=False)
    figure.update_layout(height=700, title="by stage")
    return figure


def _front_figure(stages: Sequence[StageResult]) -> Any:
    import plotly.graph_objects as graph_objects

    figure = graph_objects.Figure()
    for name, chosen, mode in (
        ("stages", [s for s in stages if s.int8_accuracy is not None], "markers+text"),
        ("Pareto front", pareto_front(stages), "lines"),
    ):
        figure.add_scatter(
            x=[stage.cycles for stage in chosen],
            y=[stage.int8_accuracy for stage in chosen],
            text=[stage.stage for stage in chosen],
            hovertext=[f"{s.stage}: {percent(s.int8_accuracy)}" for s in chosen],
            mode=mode,
            name=name,
            textposition="top center",
        )
    figure.update_layout(
        title="accuracy against cycles",
        xaxis_title="NPU cycles",
        yaxis={"title": "int8 accuracy", "tickformat": ".1%"},
    )
    return figure


def _sensitivity_figure(report: Report) -> Any:
    import plotly.graph_objects as graph_objects

    figure = graph_objects.Figure()
    for name in dict.fromkeys(row["layer"] for row in report.sensitivity):
        rows = [row for row in report.sensitivity if row["layer"] == name]
        figure.add_scatter(
            x=[row["ratio"] for row in rows], y=[row["accuracy"] for row in rows], name=name
        )
    figure.update_layout(
        title="one layer pruned alone, without training",
        xaxis={"title": "share pruned", "tickformat": ".0%"},
        yaxis={"title": "validation accuracy", "tickformat": ".1%"},
    )
    return figure
