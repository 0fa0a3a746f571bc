"""The rows of a sweep: the Pareto front, files, and the table for the terminal."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from npu.errors import OutputError
from npu.explore.space import PARAMETERS, PRESET, Point
from rtl.config import NpuConfig

RESULTS: dict[str, type] = {
    "status": str,
    "reason": str,
    "macs_per_cycle": int,
    "on_chip_bytes": int,
    "cycles": int,
    "macs": int,
    "cpu_macs": int,
    "npu_share": float,
    "utilization": float,
    "read_bytes": int,
    "write_bytes": int,
    "bytes_per_cycle": float,
    "mac_cycles": int,
    "fetch_cycles": int,
    "output_cycles": int,
    "npu_operators": int,
    "cpu_operators": int,
}
"""Columns of a result, with their types, as `evaluate` describes them."""

PARAMETER_TYPES: dict[str, type] = {
    name: type({**NpuConfig().to_dict()}.get(name, 0)) for name in PARAMETERS
}
"""Columns of a point, with their types."""

COLUMN_TYPES: dict[str, type] = {
    "model": str,
    PRESET: str,
    **PARAMETER_TYPES,
    **RESULTS,
    "pareto": bool,
}
"""Columns of the saved files. `preset` is empty where none was varied; `pareto` is true on the
front of its network."""

OBJECTIVES = ("cycles", "macs_per_cycle", "on_chip_bytes", "cpu_macs", "cpu_operators")
"""What is to be small. Without the last two a point that leaves more to the CPU, whose time is not
in `cycles`, would beat one that leaves less."""

SUFFIXES = (".csv", ".parquet")
LONGEST_HEADING = 1 << 16
SHOWN_ROWS = 50
"""A longer sweep prints its Pareto front only."""

HEADINGS = (
    "MACs/\ncycle",
    "KiB on\nchip",
    "cycles",
    "% MACs\non NPU",
    "ops on\nCPU",
    "utiliza-\ntion %",
    "bytes/\ncycle",
)
LEFT_OUT = ("ops on\nCPU", "utiliza-\ntion %", "bytes/\ncycle")
"""Of a table for a narrow terminal."""

Row = dict[str, Any]


def make_rows(
    names: Sequence[str], points: Sequence[Point], results: Sequence[dict[str, Any]]
) -> list[Row]:
    """One row of `COLUMNS` per point, in order; `names` are those of the networks."""
    rows: list[Row] = [
        {
            "model": names[point.model],
            PRESET: point.preset,
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


def check_target(path: Path) -> None:
    """Refuse, before a sweep, a file that it cannot be saved to, or that holds anything else.

    Raises
    ------
    OutputError : the suffix is neither `.csv` nor `.parquet`, or the file exists and is no sweep.
    """
    if path.suffix not in SUFFIXES:
        raise OutputError(f"--out '{path}' must end in {' or '.join(SUFFIXES)}")
    if path.is_file() and path.stat().st_size and not _holds_a_sweep(path):
        raise OutputError(
            f"--out '{path}' exists and holds no sweep, it is left as it is: name another file"
        )


def _holds_a_sweep(path: Path) -> bool:
    """Whether a file has the columns that every version of a sweep had."""
    try:
        if path.suffix == ".csv":
            with open(path, newline="", encoding="utf-8") as file:
                columns = next(csv.reader([file.readline(LONGEST_HEADING)]), [])
        else:
            import pyarrow.parquet

            columns = pyarrow.parquet.read_schema(path).names
    # whatever pyarrow says of a file that is none of its own
    except Exception:
        return False
    return {"model", "status", "cycles", "pareto"} <= set(columns)


def save_rows(rows: Sequence[Row], path: Path, types: Mapping[str, type] | None = None) -> None:
    """Write rows to a file that `check_target` allows.

    Parameters
    ----------
    types : of the columns, in order; those of a sweep by default.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    try:
        if path.suffix == ".csv":
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(types or COLUMN_TYPES))
                writer.writeheader()
                writer.writerows(rows)
        else:
            _save_parquet(rows, path, types or COLUMN_TYPES)
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def _save_parquet(rows: Sequence[Row], path: Path, types: Mapping[str, type]) -> None:
    import pyarrow
    import pyarrow.parquet

    known = {
        bool: pyarrow.bool_(),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        str: pyarrow.string(),
    }
    schema = pyarrow.schema([pyarrow.field(name, known[kind]) for name, kind in types.items()])
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), path)


def make_table(rows: Sequence[Row], varied: Sequence[str], *, narrow: bool = False) -> Table:
    """A table for the terminal: the varied parameters and what came of them, what leaves least to
    the CPU first, then the fastest. A narrow one leaves out what follows from the rest."""
    several = len({row["model"] for row in rows}) > 1
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    if several:
        table.add_column("network", overflow="fold")
    for name in varied:
        table.add_column(name.replace("_", "\n"), justify="right", overflow="fold")
    shown = [at for at, heading in enumerate(HEADINGS) if not narrow or heading not in LEFT_OUT]
    for heading in (HEADINGS[at] for at in shown):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("front", no_wrap=True)
    for row in sorted(rows, key=_order):
        cells = [row["model"]] if several else []
        cells += [str(row[name]) for name in varied]
        *results, front = _result_cells(row)
        table.add_row(*cells, *(results[at] for at in shown), front)
    return table


def _result_cells(row: Row) -> list[str]:
    if row["status"] == "failed":
        return ["-"] * len(HEADINGS) + ["failed"]
    size = [str(row["macs_per_cycle"]), f"{row['on_chip_bytes'] / 1024:.0f}"]
    share = [f"{100 * row['npu_share']:.1f}", str(row["cpu_operators"])]
    if row["status"] == "cpu":
        return [*size, "-", *share, "-", "-", "CPU"]
    return [
        *size,
        f"{row['cycles']:,}",
        *share,
        f"{100 * row['utilization']:.1f}",
        f"{row['bytes_per_cycle']:.2f}",
        "*" if row["pareto"] else "",
    ]


def notes(rows: Sequence[Row]) -> list[str]:
    """One line per reason for which points failed or run on the CPU alone, the most frequent
    first."""
    said = {"failed": "failed", "cpu": "on the CPU alone"}
    reasons = Counter((row["status"], row["reason"]) for row in rows if row["status"] in said)
    return [f"{count} {said[status]}: {why}" for (status, why), count in reasons.most_common()]


def settled_lines(points: Sequence[Point]) -> list[str]:
    """One line per parameter that followed varied ones, and what it became."""
    changes = Counter(
        (name, old, point.values[name]) for point in points for name, old in point.settled.items()
    )
    return [
        f"in {count} of {len(points)} points {name} is {new} instead of {old}, to be legal hardware"
        for (name, old, new), count in sorted(changes.items(), key=str)
    ]


def _order(row: Row) -> tuple[str, int, int, int, int]:
    place = ("ok", "cpu", "failed").index(row["status"])
    left = (row["cpu_macs"] or 0, row["cpu_operators"] or 0, row["cycles"] or 0)
    return row["model"], place, *left
