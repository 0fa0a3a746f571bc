"""Area by block as a picture: one HTML file that needs nothing else."""

from pathlib import Path
from typing import Any

from npu.errors import OutputError
from npu.synth.blocks import Block
from npu.synth.resources import size_name
from npu.synth.result import Cost


def write_treemap(cost: Cost, path: Path) -> None:
    """Draw the blocks of a design, each as large as its area, into an HTML file.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    import plotly.graph_objects as graph_objects

    size = size_name(cost.target.family, mapped=cost.liberty is not None)
    rows: list[dict[str, Any]] = []
    _collect(cost.blocks, "", size, rows)
    figure = graph_objects.Figure(
        graph_objects.Treemap(
            ids=[row["id"] for row in rows],
            labels=[row["label"] for row in rows],
            parents=[row["parent"] for row in rows],
            values=[row["value"] for row in rows],
            text=[row["text"] for row in rows],
            branchvalues="total",
            hovertemplate="<b>%{label}</b><br>%{text}<br>%{percentRoot:.1%} of all<extra></extra>",
            textinfo="label+percent root",
        )
    )
    figure.update_layout(
        title=f"{cost.name}, {cost.target.name}: {size} of each block, its ports kept",
        margin={"l": 8, "r": 8, "b": 8, "t": 48},
    )
    try:
        path.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def _collect(block: Block, parent: str, size: str, rows: list[dict[str, Any]]) -> None:
    """One row for each block, and one for what a block has beside those in it."""
    identity = f"{parent}/{block.module}"
    count = f" x{block.count}" if block.count > 1 else ""

    def add(identity: str, label: str, parent: str, figures: dict[str, float]) -> None:
        text = "<br>".join(f"{name} {value:,.10g}" for name, value in figures.items())
        value = figures[size]
        rows.append(
            {"id": identity, "label": label, "parent": parent, "value": value, "text": text}
        )

    add(identity, block.module + count, parent, block.total)
    if block.children and block.own[size]:
        add(f"{identity}/", f"{block.module}, its own", identity, block.own)
    for child in block.children:
        _collect(child, identity, size, rows)
