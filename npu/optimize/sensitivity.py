"""How much accuracy each layer's pruning costs, the others left whole and nothing trained."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from npu.model.tflite_reader import read_model_bytes
from npu.optimize.data import Split
from npu.optimize.granularity import Groups
from npu.optimize.measure import accuracy
from npu.optimize.post_training import prune_codes
from npu.optimize.report import percent
from npu.optimize.rewrite import replace_codes
from npu.optimize.weights import find_weights

RATIOS = (0.25, 0.5, 0.75, 0.9)
"""Shares of a layer's groups that are pruned, the least first."""

SAMPLES = 500
"""Of the validation data, that an integer network is measured on."""

Rows = list[dict[str, Any]]
"""One for each layer and ratio: `layer`, its name; `ratio` and `accuracy`, 0 to 1."""

Log = Callable[[str], None]


def scan_ready(content: bytes, groups: Groups, validation: Split, log: Log | None = None) -> Rows:
    """Scan all prunable layers of an integer network on up to `SAMPLES` validation samples.

    Raises
    ------
    OptimizeError : the data do not fit the network.
    """
    chosen = validation.take(np.arange(min(SAMPLES, len(validation))))
    rows: Rows = []
    for layer in find_weights(read_model_bytes(content, "model")):
        name = f"{layer.kind} {layer.operator}"
        for ratio in RATIOS:
            pruned = replace_codes(content, [prune_codes(layer, groups, ratio)])
            reached = accuracy(read_model_bytes(pruned, name), chosen)
            rows.append({"layer": name, "ratio": ratio, "accuracy": reached})
        tell(rows, log)
    return rows


def tell(rows: Rows, log: Log | None) -> None:
    """Log the layer that was scanned last."""
    if log is not None:
        last = [row["accuracy"] for row in rows[-len(RATIOS) :]]
        log(f"sensitivity: {rows[-1]['layer']}, {', '.join(map(percent, last))}")


def sensitivity_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each layer, a column for each ratio."""
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("layer pruned alone, untrained", overflow="fold")
    ratios = list(dict.fromkeys(row["ratio"] for row in rows))
    for ratio in ratios:
        table.add_column(f"{ratio:.0%}", justify="right", no_wrap=True)
    for name in dict.fromkeys(row["layer"] for row in rows):
        found = {row["ratio"]: row["accuracy"] for row in rows if row["layer"] == name}
        table.add_row(name, *(percent(found[ratio]) for ratio in ratios))
    return table
