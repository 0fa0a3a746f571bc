"""The rows of a sweep: the Pareto front, files, and the table for the terminal."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from npu.errors import OutputError
from npu.explore.space import PARAMETERS, Point
from rtl.config import NpuConfig

RESULTS: dict[str, type] = {
    "status": str,
    "reason": str,
    "macs_per_cycle": int,
    "on_chip_bytes": int,
    "cycles": int,
    "macs": int,
    "utilization": float,
    "read_bytes": int,
    "write_bytes": int,
    "bytes_per_cycle": float,
    "npu_operators": int,
    "cpu_operators": int,
}
"""Columns of a result, with their types; empty where a point failed."""

COLUMNS = ("model", *PARAMETERS, *RESULTS, "pareto")
"""Columns of the saved files. `pareto` is true on the front of its network."""

OBJECTIVES = ("cycles", "macs_per_cycle", "on_chip_bytes")
SUFFIXES = (".csv", ".parquet")
SHOWN_ROWS = 50
"""A longer sweep prints its Pareto front only."""

Row = dict[str, Any]


def make_rows(
    names: Sequence[str], points: Sequence[Point], results: Sequence[dict[str, Any]]
) -> list[Row]:
    """One row of `COLUMNS` per point, in order; `names` are those of the networks."""
    rows: list[Row] = [
        {
            "model": names[point.model],
            **point.values,
            **{column: result.get(column) for column in RESULTS},
            "pareto": False,
        }
        for point, result in zip(points, results, strict=True)
    ]
    for name in dict.fromkeys(names):
        mark_front([row for row in rows if row["model"] == name and row["status"] == "ok"])
    return rows


def mark_front(rows: Sequence[Row]) -> None:
    """Set `pareto` in the rows that no other row beats: as good in all `OBJECTIVES` and better in
    one. Rows that cost exactly the same are both on the front or both not."""
    front: list[tuple[int, ...]] = []
    for row in sorted(rows, key=_costs):
        costs = _costs(row)
        # in this order, only an earlier row can beat a later one
        row["pareto"] = not any(
            other != costs and all(a <= b for a, b in zip(other, costs, strict=True))
            for other in front
        )
        if row["pareto"]:
            front.append(costs)


def _costs(row: Row) -> tuple[int, ...]:
    return tuple(row[name] for name in OBJECTIVES)


def check_suffix(path: Path) -> None:
    """Refuse a file name that says no known format.

    Raises
    ------
    OutputError : the suffix is neither `.csv` nor `.parquet`.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(f"--out '{path}' must end in {' or '.join(SUFFIXES)}")


def save_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows to a `.csv` or `.parquet` file.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    check_suffix(path)
    try:
        if path.suffix == ".csv":
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
        else:
            _save_parquet(rows, path)
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def _save_parquet(rows: Sequence[Row], path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    types = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    defaults: dict[str, int | str] = {**NpuConfig().to_dict()}
    columns: dict[str, type] = {
        "model": str,
        **{name: type(defaults.get(name, 0)) for name in PARAMETERS},
        **RESULTS,
    }
    fields = [pyarrow.field(name, types[kind]) for name, kind in columns.items()]
    schema = pyarrow.schema([*fields, pyarrow.field("pareto", pyarrow.bool_())])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), path)


def make_table(rows: Sequence[Row], varied: Sequence[str]) -> Table:
    """A table for the terminal: the varied parameters and what came of them, fastest first."""
    several = len({row["model"] for row in rows}) > 1
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    if several:
        table.add_column("network", overflow="fold")
    for name in varied:
        table.add_column(name.replace("_", "\n"), justify="right", overflow="fold")
    for heading in ("MACs/\ncycle", "KiB on\nchip", "cycles", "utiliza-\ntion %", "bytes/\ncycle"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("front", no_wrap=True)
    for row in sorted(rows, key=_order):
        cells = [row["model"]] if several else []
        cells += [str(row[name]) for name in varied]
        if row["status"] == "ok":
            cells += [
                str(row["macs_per_cycle"]),
                f"{row['on_chip_bytes'] / 1024:.0f}",
                f"{row['cycles']:,}",
                f"{100 * row['utilization']:.1f}",
                f"{row['bytes_per_cycle']:.2f}",
                "*" if row["pareto"] else "",
            ]
        else:
            cells += ["-"] * 5 + ["failed"]
        table.add_row(*cells)
    return table


def failures(rows: Sequence[Row]) -> list[str]:
    """One line per reason for which points failed, the most frequent first."""
    reasons = Counter(row["reason"] for row in rows if row["status"] != "ok")
    return [f"{count} failed: {reason}" for reason, count in reasons.most_common()]


def _order(row: Row) -> tuple[str, bool, int]:
    return row["model"], row["status"] != "ok", row["cycles"] or 0
