"""Sweeps end to end: parallel equals serial, interrupted ones go on, failures are rows."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npu.errors import ExploreError
from npu.explore import workers as workers_module
from npu.explore.evaluate import evaluate
from npu.explore.space import Point, Space, parse_vary
from npu.explore.store import Store, network_key
from npu.explore.sweep import sweep
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import run_network
from rtl.config import NpuConfig
from tests.npu.small_model import classifier
from tests.support.command_line import npu
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder

VARY = ("pixels=2,4,5", "scratchpad_kib=4,64")


pytestmark = pytest.mark.usefixtures("own_cache")


def make_points() -> list[Point]:
    base = NpuConfig(requant_lanes=8)
    return list(Space(base, 20, parse_vary(VARY)).points(1))


def ignore(done: int, total: int) -> None:
    pass


def test_parallel_equals_serial(model: Path) -> None:
    points = make_points()
    serial = sweep([model], points, jobs=1, progress=ignore, resume=False)
    parallel = sweep([model], points, jobs=2, progress=ignore, resume=False)
    assert serial == parallel
    assert [result["status"] for result in serial[:4]] == ["ok"] * 4
    assert [result["reason"] for result in serial[4:]] == [
        "pixels must be one of [2, 4, 8, 16], got 5"
    ] * 2


def test_cycles_are_those_of_a_run() -> None:
    graph = read_model_bytes(classifier(), "classifier")
    point = make_points()[1]
    result = evaluate(graph, point)
    run = run_network(graph, load_inputs([], graph), config=point.config(), backend="cycle")
    assert result["cycles"] == run.cycles
    moved = run.counters["READ_BEATS"] + run.counters["WRITE_BEATS"]
    assert result["read_bytes"] + result["write_bytes"] == moved * point.config().bus_bytes


def test_an_interrupted_sweep_goes_on(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = make_points()
    evaluated: list[Point] = []

    def counting(graph: Any, point: Point) -> dict[str, Any]:
        if len(evaluated) == 2:
            raise KeyboardInterrupt
        evaluated.append(point)
        return evaluate(graph, point)

    monkeypatch.setattr(workers_module, "evaluate", counting)
    with pytest.raises(KeyboardInterrupt):
        sweep([model], points, jobs=1, progress=ignore)
    monkeypatch.setattr(workers_module, "evaluate", evaluate)
    seen: list[tuple[int, int]] = []
    resumed = sweep([model], points, jobs=1, progress=lambda *at: seen.append(at))
    assert seen[0] == (2, len(points))
    assert seen[-1] == (len(points), len(points))
    assert resumed == sweep([model], points, jobs=1, progress=ignore, resume=False)


def test_command(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.csv"
    options = [f"--vary={text}" for text in (*VARY, "requant_lanes=8")]
    assert npu("explore", model, *options, "--out", out, "--jobs", 1) == 0
    text = capsys.readouterr().out
    assert "6 points, 4 worked" in text
    assert "2 failed: pixels must be one of [2, 4, 8, 16], got 5" in text.splitlines()
    with open(out, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["ok"] * 4 + ["failed"] * 2
    assert npu("explore", model, *options, "--out", tmp_path / "again.csv", "--jobs", 1) == 0
    assert (tmp_path / "again.csv").read_bytes() == out.read_bytes()


def test_nothing_on_the_npu_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single output row is larger than the smallest scratchpad."""
    path = tmp_path / "wide.tflite"
    m = ModelBuilder()
    x = m.input((1, 1, 4000, 32), scale=0.1, zero_point=3)
    path.write_bytes(m.build([random_conv2d(m, np.random.default_rng(1), x, 8, kernel=(1, 1))]))
    out = tmp_path / "rows.csv"
    options = ("--vary", "scratchpad_kib=4,256", "--jobs", 1, "--out", out)
    assert npu("explore", path, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("1 on the CPU alone: no operator runs on the NPU") for line in lines)
    assert any(line.startswith("2 points, 2 worked") for line in lines)
    with open(out, newline="", encoding="utf-8") as file:
        small, large = csv.DictReader(file)
    assert (small["status"], small["cycles"], small["pareto"]) == ("cpu", "", "False")
    assert (large["status"], large["cpu_macs"], large["pareto"]) == ("ok", "0", "True")
    assert small["cpu_macs"] == large["macs"] == str(4000 * 32 * 8)


def test_workers_begin_warm(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first point that works is evaluated before any worker starts."""
    points = [*make_points()[4:], *make_points()[:4]]
    here: list[Point] = []

    def noting(graph: Any, point: Point) -> dict[str, Any]:
        here.append(point)
        return evaluate(graph, point)

    monkeypatch.setattr(workers_module, "evaluate", noting)
    results = sweep([model], points, jobs=2, progress=ignore)
    assert here == points[:3]
    assert [result["status"] for result in results] == ["failed"] * 2 + ["ok"] * 4


def test_nothing_worked(model: Path) -> None:
    assert npu("explore", model, "--vary", "pixels=5", "--jobs", 1) == 1


def test_bad_requests_end_before_anything_runs(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_text(json.dumps({}))
    cases = [
        ([model, "--vary", "pixels"], "--vary needs NAME=VALUE"),
        ([model, "--vary", "pixels=4", "--out", "rows.txt"], "must end in .csv or .parquet"),
        ([model, "--vary", "pixels=4", "--latency", 0], "latency_cycles must be between"),
        ([model, model, "--vary", "pixels=4"], "a network is named twice"),
        ([model, broken, "--vary", "pixels=4"], "broken.tflite"),
        ([tmp_path / "none.tflite", "--vary", "pixels=4"], "none.tflite"),
    ]
    for arguments, message in cases:
        assert npu("explore", *arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err
        assert len(captured.err.splitlines()) == 1


def test_a_worker_that_dies_ends_the_sweep(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found until then is kept; nothing hangs."""
    points = make_points()
    kept = sweep([model], points[:1], jobs=1, progress=ignore)
    monkeypatch.setattr(workers_module, "_start_worker", os.abort)
    with pytest.raises(ExploreError, match="finished points are kept"):
        sweep([model], points, jobs=2, progress=ignore)
    with Store() as store:
        assert store.get(network_key(model.read_bytes()), points[:1]) == kept
