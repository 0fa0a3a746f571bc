"""A comparison of two runs for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from npu.report.tables import NARROW_COLUMNS, NONE_SIGN, print_line

ARROW = "->"
# a network's parameters are few; a digest says nothing to a reader
UNTOLD = ("model_sha256", "config")


def print_compared(console: Console, files: tuple[str, str], record: Mapping[str, Any]) -> None:
    """The table of layers, and lines about what changed; `files` hold the two runs."""
    console.print(_table(record, narrow=console.width < NARROW_COLUMNS))
    for letter, file, name in zip("AB", files, record["names"], strict=True):
        print_line(console, f"{letter}: {name} ({file})")
    for line in _lines(record):
        print_line(console, line)


def change(ratio: float | None) -> str:
    """How much more (+) or less (-) it is, of a ratio; a sign where there is none."""
    return NONE_SIGN if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def _table(record: Mapping[str, Any], *, narrow: bool) -> Table:
    table = Table(box=SIMPLE, show_footer=True, pad_edge=False, collapse_padding=True)
    totals = [_count(cycles) for cycles in record["totals"]["cycles"]]
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("operator", footer="total", overflow="fold", min_width=10)
    table.add_column("cycles A", justify="right", footer=totals[0], no_wrap=True)
    table.add_column("cycles B", justify="right", footer=totals[1], no_wrap=True)
    table.add_column("change", justify="right", footer=change(record["ratio"]), no_wrap=True)
    if not narrow:
        table.add_column("bound by", overflow="fold")
    for layer in record["layers"]:
        table.add_row(
            _pair(layer["index"]),
            Text(layer["op"]),
            *(_count(cycles) for cycles in layer["cycles"]),
            change(layer["ratio"]),
            *(() if narrow else (Text(_limits(layer)),)),
        )
    return table


def _limits(layer: Mapping[str, Any]) -> str:
    """What bound it, or where it ran if that differs."""
    placed = layer["placed"]
    return _pair(placed) if placed[0] != placed[1] else _pair(layer["bound"])


def _lines(record: Mapping[str, Any]) -> list[str]:
    changed = {name: pair for name, pair in record["changed"].items() if name not in UNTOLD}
    told = [
        f"{name.removeprefix('parameters.')} {_told(a)} {ARROW} {_told(b)}"
        for name, (a, b) in changed.items()
    ]
    if "model_sha256" in record["changed"] and "model" not in record["changed"]:
        told.append("the network's file")
    totals = record["totals"]
    lines = [f"changed: {'; '.join(told) or 'nothing'}"]
    if record["ratio"] is not None:
        a, b = totals["milliseconds"]
        lines.append(
            f"cycles of B: {change(record['ratio'])}; {a:.3f} {ARROW} {b:.3f} ms, utilization"
            f" {100 * totals['utilization'][0]:.1f} {ARROW} {100 * totals['utilization'][1]:.1f} %"
        )
    moved = [layer for layer in record["layers"] if None not in layer["index"]]
    elsewhere = sum(layer["placed"][0] != layer["placed"][1] for layer in moved)
    if elsewhere:
        lines.append(f"{elsewhere} operators ran elsewhere")
    alone = len(record["layers"]) - len(moved)
    if alone:
        lines.append(f"{alone} operators are in one network only")
    return lines


def _pair(values: list[Any]) -> str:
    a, b = (NONE_SIGN if value is None else str(value) for value in values)
    return a if a == b else f"{a} {ARROW} {b}"


def _told(value: Any) -> str:
    return ", ".join(map(str, value)) or "random:0" if isinstance(value, list) else str(value)


def _count(number: int | None) -> str:
    return NONE_SIGN if number is None else f"{number:,}"
