"""`npu optimize --sweep`: several settings, what is kept of them, and the Pareto front."""

import json
from pathlib import Path
from typing import Any

import pytest

from npu.errors import OptimizeError
from npu.optimize import run
from npu.optimize import sweep as sweep_module
from npu.optimize.choices import Granularity, Quantization
from npu.optimize.report import pareto_front
from npu.optimize.settings import Pruning, Settings
from npu.optimize.sweep import combinations, parse_sweep, sweep
from rtl.config import PRESETS
from tests.support.command_line import npu, refusal


def test_combinations_of_what_varies() -> None:
    varied = parse_sweep(
        ["prune=none, magnitude:0.5", "granularity=weight", "cluster=16,none", "quantize=int8"]
    )
    found = combinations(Settings(seed=3), varied)
    assert len(found) == 4
    settings = found["prune=magnitude:0.5 granularity=weight cluster=16 quantize=int8"]
    assert settings == Settings(
        seed=3,
        prune=Pruning.parse("magnitude:0.5"),
        granularity=Granularity.WEIGHT,
        clusters=16,
        quantize=Quantization.INT8,
    )
    nothing = found["prune=none granularity=weight cluster=none quantize=int8"]
    assert nothing.prune is None
    assert nothing.clusters is None


@pytest.mark.quick
def test_a_sweep(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments: list[Any] = ["--data", data, "-o", out, "--config", "npu256c"]
    arguments += ["--sweep", "prune=none,magnitude:0.5", "--sweep", "cluster=none,4"]
    assert npu("optimize", model, *arguments) == 0
    text = capsys.readouterr().out
    record = json.loads((out / "report.json").read_text())
    names = [stage["stage"] for stage in record["stages"]]
    assert names == [
        "dense",
        "prune=none cluster=4",
        "prune=magnitude:0.5 cluster=none",
        "prune=magnitude:0.5 cluster=4",
    ]
    assert "prune=none cluster=none: left out: nothing to do" in " ".join(text.split())
    assert "nothing has more accuracy in fewer cycles: " in text
    assert set(record["pareto"]) <= set(names)
    assert record["pareto"]
    fewest = min(record["stages"], key=lambda s: (s["cycles"], -s["int8_accuracy"]))
    assert record["pareto"][0] == fewest["stage"]
    assert record["settings"]["sweep"]["cluster"] == ["none", "4"]
    for stage in record["stages"]:
        assert (out / stage["file"]).is_file()
    html = (out / "report.html").read_text()
    assert "prune=magnitude:0.5 cluster=4" in html
    assert "Pareto front" in html


def test_what_is_finished_is_not_run_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    honest = run.optimize

    def counted(task: run.Task, settings: Settings) -> Any:
        calls.append(task.out)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return honest(task, settings)

    monkeypatch.setattr(sweep_module, "optimize", counted)
    task = run.Task(model=model, out=tmp_path, config=PRESETS["npu256c"], config_name="npu256c")
    varied = parse_sweep(["cluster=4,8"])
    with pytest.raises(KeyboardInterrupt):
        sweep(task, Settings(), varied)
    report = sweep(task, Settings(), varied)
    assert [path.name for path in calls] == ["cluster_4", "cluster_8", "cluster_8"]
    again = sweep(task, Settings(), varied)
    assert len(calls) == 3
    assert again.record() == report.record()
    sweep(task, Settings(seed=1), varied)
    assert len(calls) == 5, "another seed is another run"


def test_a_damaged_report_is_written_anew(model: Path, tmp_path: Path) -> None:
    task = run.Task(model=model, out=tmp_path, config=PRESETS["npu256c"], config_name="npu256c")
    varied = parse_sweep(["cluster=4"])
    first = sweep(task, Settings(), varied)
    path = tmp_path / "cluster_4" / run.REPORT
    for text in ("{", "{}", path.read_text().replace('"stages": [', '"stages": [{"x": 1},')):
        path.write_text(text)
        again = sweep(task, Settings(), varied)
        assert [s.cycles for s in again.stages] == [s.cycles for s in first.stages]


def test_all_refused(model: Path, tmp_path: Path) -> None:
    task = run.Task(model=model, out=tmp_path, config=PRESETS["npu256c"], config_name="npu256c")
    with pytest.raises(OptimizeError, match="--prune automata trains"):
        sweep(task, Settings(), parse_sweep(["prune=automata:0.5,lasso:0.5"]))


def test_the_front() -> None:
    assert pareto_front([]) == []


MISTAKES: dict[str, list[Any]] = {
    "--sweep needs NAME=VALUE,VALUE,..., got 'cluster'": ["cluster"],
    "--sweep: unknown setting 'bits'; allowed: prune, granularity, cluster, quantize": ["bits=4"],
    "--sweep: cluster is given twice": ["cluster=4", "cluster=8"],
    "--sweep cluster takes integers and none, got 'x'": ["cluster=x"],
    "--sweep granularity takes weight, word, channel, got 'none'": ["granularity=none"],
    "--sweep quantize takes int8, int16x8, int4, mixed, got 'int2'": ["quantize=int2"],
    "--prune 'size:0.5': METHOD:RATIO expected": ["prune=size:0.5"],
    "--cluster must be from 2 to 256 distinct weights, got 1": ["cluster=1"],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_one_line(
    message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [word for value in MISTAKES[message] for word in ("--sweep", value)]
    assert message in refusal(capsys, "optimize", model, *options, "-o", tmp_path / "out")


def test_sensitivity_is_of_one_run(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--sweep", "cluster=4", "--sensitivity", "-o", tmp_path / "out")
    assert "--sensitivity is of one run" in refusal(capsys, "optimize", model, *options)
