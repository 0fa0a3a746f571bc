"""The Pareto front and the files of a sweep."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from rich.console import Console

from npu.errors import OutputError
from npu.explore.space import Point, Space
from npu.explore.table import (
    COLUMN_TYPES,
    OBJECTIVES,
    check_target,
    make_rows,
    make_table,
    mark_front,
    notes,
    save_rows,
)
from rtl.config import NpuConfig

ON_CPU = {
    "status": "cpu",
    "reason": "no operator runs on the NPU; the first, CONV_2D: too large",
    "macs_per_cycle": 64,
    "on_chip_bytes": 1000,
    "macs": 0,
    "cpu_macs": 1000,
    "npu_share": 0.0,
    "npu_operators": 0,
    "cpu_operators": 4,
}
FAILED = {"status": "failed", "reason": "pixels must be one of [2, 4, 8, 16], got 5"}


def worked(cycles: int, macs_per_cycle: int, on_chip_bytes: int) -> dict[str, Any]:
    return {
        "status": "ok",
        "reason": "",
        "cycles": cycles,
        "macs_per_cycle": macs_per_cycle,
        "on_chip_bytes": on_chip_bytes,
        "macs": 1000,
        "cpu_macs": 0,
        "npu_share": 1.0,
        "utilization": 0.25,
        "read_bytes": 10,
        "write_bytes": 6,
        "bytes_per_cycle": 1.5,
        "npu_operators": 3,
        "cpu_operators": 1,
    }


def points(count: int, model: int = 0) -> list[Point]:
    (point,) = Space(NpuConfig(), 20, {}).points(1)
    return [Point(model, point.values)] * count


@pytest.mark.parametrize("seed", range(20))
def test_front_is_what_nothing_dominates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, 6, (40, len(OBJECTIVES)))
    rows = [dict(zip(OBJECTIVES, map(int, cost), strict=True)) for cost in costs]
    mark_front(rows)
    for cost, row in zip(costs, rows, strict=True):
        dominated = ((costs <= cost).all(axis=1) & (costs < cost).any(axis=1)).any()
        assert row["pareto"] == (not dominated), f"seed {seed}: {row}"


def test_each_network_has_its_own_front() -> None:
    rows = make_rows(
        ["a", "b"],
        [*points(1), *points(2, model=1)],
        [worked(10, 64, 1000), worked(100, 64, 1000), worked(101, 64, 1000)],
    )
    assert [row["pareto"] for row in rows] == [True, True, False]


def test_a_failed_point_is_a_row_and_not_on_the_front() -> None:
    rows = make_rows(["a"], points(2), [FAILED, worked(10, 64, 1000)])
    assert [row["pareto"] for row in rows] == [False, True]
    assert rows[0]["reason"] == FAILED["reason"]
    assert rows[0]["cycles"] is None


def test_a_point_that_leaves_more_to_the_cpu_beats_none() -> None:
    """Its fewer cycles are those of less work, but what is as good and smaller still beats it."""
    whole, part = worked(100, 64, 1000), worked(10, 64, 1000)
    less_macs = {**part, "cpu_macs": 500, "npu_share": 0.5}
    less_operators = {**part, "cpu_operators": 2}
    larger = {**less_macs, "on_chip_bytes": 2000}
    rows = make_rows(["a"], points(4), [whole, less_macs, less_operators, larger])
    assert [row["pareto"] for row in rows] == [True, True, True, False]


def test_a_point_on_the_cpu_alone_is_no_failure_and_not_on_the_front() -> None:
    rows = make_rows(["a"], points(3), [ON_CPU, worked(10, 64, 1000), FAILED])
    assert [row["pareto"] for row in rows] == [False, True, False]
    assert rows[0]["cycles"] is None
    assert notes(rows) == [
        f"1 on the CPU alone: {ON_CPU['reason']}",
        f"1 failed: {FAILED['reason']}",
    ]
    console = Console(file=io.StringIO(), width=100)
    console.print(make_table(rows, ["pixels"]))
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["8", "64", "1", "10", "100.0", "1", "25.0", "1.50", "*"] in lines
    assert ["8", "64", "1", "-", "0.0", "4", "-", "-", "CPU"] in lines


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_no_sweep_is_not_overwritten(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    for content in (b"date,price\n1,2\n", b"\xff\x00" * 9, b'"' * 99):
        path.write_bytes(content)
        with pytest.raises(OutputError, match=r"rows\..*exists and holds no sweep"):
            check_target(path)
        assert path.read_bytes() == content
    path.write_bytes(b"")
    check_target(path)
    save_rows(make_rows(["a"], points(1), [FAILED]), path)
    check_target(path)


def test_both_files_hold_the_same_rows(tmp_path: Path) -> None:
    rows = make_rows(["a"], points(2), [FAILED, worked(10, 64, 1000)])
    for suffix in ("csv", "parquet"):
        save_rows(rows, tmp_path / f"rows.{suffix}")
    table = pyarrow.parquet.read_table(tmp_path / "rows.parquet")
    assert tuple(table.column_names) == tuple(COLUMN_TYPES)
    assert table.to_pylist() == rows
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as file:
        texts = list(csv.DictReader(file))
    assert [tuple(text) for text in texts] == [tuple(COLUMN_TYPES)] * 2
    expected = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    assert texts == expected


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"must end in \.csv or \.parquet"):
        check_target(tmp_path / "rows.xlsx")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        save_rows([], tmp_path / "missing" / "rows.csv")


def test_a_narrow_terminal_cuts_no_figure() -> None:
    rows = make_rows(["a"], points(2), [worked(123_456_789, 1024, 1 << 20), FAILED])
    console = Console(file=io.StringIO(), width=80)
    console.print(make_table(rows, ["pixels", "lanes", "weight_buffer_kib"]))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "\u2026" not in text
    assert "123,456,789" in text
    assert "failed" in text
