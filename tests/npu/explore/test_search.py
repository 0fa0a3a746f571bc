"""Searches: what they find, that they go on, and what they refuse."""

import csv
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from npu.cost.energy import load_energy
from npu.cost.model import load_model
from npu.errors import ExploreError
from npu.explore import workers as workers_module
from npu.explore.domain import Domain
from npu.explore.evaluate import evaluate
from npu.explore.metrics import Measure, parse_constraints, parse_objectives
from npu.explore.outcome import Outcome, Request, load_outcome, read_networks, run_search
from npu.explore.samplers import SAMPLERS
from npu.explore.search import Goal, Trial, Variant, front, knee
from npu.explore.store import Store
from npu.explore.variants import read_variants
from npu.explore.workers import InProcess
from rtl.config import NpuConfig, load_config
from tests.npu.small_model import classifier
from tests.support.command_line import npu

CHOICES = {
    "pixels": (2, 4, 8),
    "channels": (1, 2, 4),
    "requant_lanes": (2, 8),
    "bus_bytes": (4, 8),
}


pytestmark = pytest.mark.usefixtures("own_cache")


def request_for(model: Path, **changes: Any) -> Request:
    values: dict[str, Any] = {
        "networks": read_networks([(model, 1.0)]),
        "variants": [Variant("as given", (0,))],
        "domain": Domain(NpuConfig(), 20, CHOICES),
        "goal": Goal(("time", "area")),
        "budget": 16,
        **changes,
    }
    return Request(**values)


def run(request: Request, path: Path) -> Outcome:
    with Store(path) as store:
        return run_search(request, store, InProcess([n.path for n in request.networks]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_all_samplers_look_at_different_points_and_repeat_themselves(
    model: Path, tmp_path: Path, sampler: str
) -> None:
    request = request_for(model, sampler=sampler, budget=12)
    first = run(request, tmp_path / "a.sqlite")
    assert len(first.trials) == 12
    assert len({(tuple(t.values.items()), t.variant) for t in first.trials}) == 12
    again = run(request, tmp_path / "a.sqlite")
    assert again.computed == 0
    assert again.trials == first.trials
    with Store(tmp_path / "a.sqlite") as store:
        assert load_outcome(store).trials == first.trials


def test_an_interrupted_search_goes_on(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for(model, sampler="random")
    whole = run(request, tmp_path / "whole.sqlite")
    done: list[Any] = []

    def counting(graph: Any, point: Any) -> dict[str, Any]:
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(point)
        return evaluate(graph, point)

    monkeypatch.setattr(workers_module, "evaluate", counting)
    with pytest.raises(KeyboardInterrupt):
        run(request, tmp_path / "cut.sqlite")
    monkeypatch.setattr(workers_module, "evaluate", evaluate)
    rest = run(request, tmp_path / "cut.sqlite")
    assert rest.computed == whole.computed - 5
    assert rest.trials == whole.trials


def test_a_small_space_is_searched_whole(model: Path, tmp_path: Path) -> None:
    outcome = run(request_for(model, budget=1000), tmp_path / "a.sqlite")
    # what became the same legal hardware is one point
    assert 24 <= len(outcome.trials) <= 36
    best = outcome.front
    for one in best:
        assert not any(
            other.metrics["time"] < one.metrics["time"]
            and other.metrics["area"] < one.metrics["area"]
            for other in outcome.trials
        )
    assert outcome.chosen in best


def trial(time: float, area: float, reason: str = "") -> Trial:
    metrics = {"time": time, "area": area}
    return Trial({"name": f"{time} {area} {reason}"}, 0, metrics=metrics, reason=reason)


def test_front_and_its_middle() -> None:
    goal = Goal(("time", "area"))
    good = [trial(1, 9), trial(3, 3), trial(9, 1)]
    beaten = [trial(3, 4), trial(9, 9), trial(0.1, 0.1, "not lut<=1"), Trial({}, 0, reason="x")]
    assert front([*beaten, *reversed(good)], goal) == good
    assert front([good[1], trial(3, 3)], goal) == [good[1]]
    assert knee(good, goal) is good[1]
    assert (front([], goal), knee([], goal)) == ([], None)
    best = Goal(("accuracy",))
    right, wrong = (Trial({}, at, metrics={"accuracy": at / 2}) for at in (1, 0))
    assert front([wrong, right], best) == [right]


def test_constraints_hold(model: Path, tmp_path: Path) -> None:
    goal = Goal(("time", "area"), parse_constraints(["lut<=24000", "dsp <= 100"]))
    outcome = run(request_for(model, goal=goal), tmp_path / "a.sqlite")
    assert outcome.front
    for one in outcome.front:
        assert one.metrics["lut"] <= 24000
        assert one.metrics["dsp"] <= 100
    assert any("not lut<=24000" in line for line in outcome.reasons())


def test_constraints_that_leave_nothing(model: Path, tmp_path: Path) -> None:
    def refused(*constraints: str) -> str:
        goal = Goal(("time",), parse_constraints(constraints))
        with pytest.raises(ExploreError) as error:
            run(request_for(model, goal=goal), tmp_path / "a.sqlite")
        return str(error.value)

    assert refused("lut<=100", "dsp<=500").startswith(
        "--constraint lut<=100 leaves nothing: lut of"
    )
    assert refused("macs>=5000").endswith("is at most 256")
    assert "hold one by one, but none of" in refused("macs<=16", "dsp>=300")
    goal = Goal(("time",), parse_constraints(["time<=0.000001"]))
    outcome = run(request_for(model, goal=goal), tmp_path / "a.sqlite")
    assert outcome.front == []
    assert any(
        line.startswith("no point has time<=1e-06: the best of") for line in outcome.reasons()
    )


def test_metrics_of_a_point(model: Path, tmp_path: Path) -> None:
    outcome = run(request_for(model, budget=4), tmp_path / "a.sqlite")
    one = outcome.trials[0]
    (result,) = one.results
    metrics = one.metrics
    assert metrics["cycles"] == result["cycles"]
    assert metrics["time"] == pytest.approx(result["cycles"] / metrics["mhz"] / 1000)
    assert metrics["traffic"] == result["read_bytes"] + result["write_bytes"]
    assert metrics["energy"] > 0
    measure = Measure(load_model(), load_energy(), [2.0, 1.0])
    twice = measure.all(one.config, [result, result], None)
    assert twice["cycles"] == 3 * result["cycles"]
    on_cpu = {"status": "cpu", "cpu_macs": 1000, "reason": ""}
    left = measure.all(one.config, [on_cpu, on_cpu], 0.5)
    assert left["time"] == pytest.approx(3 * 5000 / metrics["mhz"] / 1000)
    assert (left["accuracy"], left["energy"]) == (0.5, 0)


def test_variants_are_searched_with_the_hardware(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(classifier(2, input_shape=(1, 5, 4, 3)))
    networks = read_networks([(model, 1.0), (other, 1.0)])
    variants = [Variant("large", (0,), 0.9), Variant("small", (1,), 0.8)]
    domain = Domain(NpuConfig(), 20, {"pixels": (2, 4)}, 2)
    goal = Goal(("time", "accuracy"), parse_constraints(["accuracy>=0.85"]))
    found = run(
        request_for(model, networks=networks, variants=variants, domain=domain, goal=goal),
        tmp_path / "a.sqlite",
    )
    assert {trial.variant for trial in found.front} == {0}
    free = Goal(("time", "accuracy"))
    found = run(
        request_for(model, networks=networks, variants=variants, domain=domain, goal=free),
        tmp_path / "a.sqlite",
    )
    assert {trial.variant for trial in found.front} == {0, 1}


def test_parsing_of_objectives_and_constraints() -> None:
    assert parse_objectives("time, area") == ("time", "area")
    (one,) = parse_constraints([" bram <= 1e2 "])
    assert (str(one), one.violation({"bram": 150}), one.violation({"bram": 50})) == (
        "bram<=100",
        0.5,
        -0.5,
    )
    for text, message in (
        ("speed", "unknown metric 'speed'; allowed: time, "),
        ("time,time", "twice"),
    ):
        with pytest.raises(ExploreError, match=message):
            parse_objectives(text)
    for texts, message in (
        (["lut<24000"], "METRIC<=NUMBER"),
        (["lut<=many"], "METRIC<=NUMBER"),
        (["lut<=1e"], "METRIC<=NUMBER"),
        (["size<=3"], "unknown metric 'size'"),
        (["lut<=10", "lut>=20"], "no point has lut>=20 and lut<=10"),
    ):
        with pytest.raises(ExploreError, match=message):
            parse_constraints(texts)


def test_command(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, toml, out = (tmp_path / name for name in ("s.sqlite", "best.toml", "rows.csv"))
    options = ["--budget", 12, "--jobs", 1, "--store", store, "--constraint", "lut<=60000"]
    assert npu("explore", f"{model}:2.5", *options, "--toml", toml, "--out", out) == 0
    text = capsys.readouterr().out
    assert "12 points, 12 hold what was asked" in text
    assert "12 results are new" in text
    assert "energy: an estimate from activity counts, Horowitz, ISSCC 2014" in text
    with open(out, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    best = [row for row in rows if row["pareto"] == "True"]
    assert best
    config = load_config(str(toml))
    assert "# time" in toml.read_text()
    assert tomllib.loads(toml.read_text())["pixels"] == config.pixels
    capsys.readouterr()
    assert npu("explore", "--report", store, "--out", tmp_path / "again.parquet") == 0
    text = capsys.readouterr().out
    assert "12 points, 12 hold what was asked" in text
    assert "0 results are new" in text
    assert npu("run", model, "--config", toml, "--backend", "cycle") == 0


def test_finalists_are_synthesized(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each once, and the table shows what synthesis found beside the estimate."""
    asked: list[str] = []

    def figures(design: Any, *_: object) -> dict[str, float]:
        asked.append(design)
        return {"LUTeq": 11_000.0 + len(asked)}

    monkeypatch.setattr("npu.explore.finalists.npu_design", lambda config, name, family: config)
    monkeypatch.setattr("npu.explore.finalists.flat_figures", figures)
    options = ["--budget", 8, "--jobs", 1, "--synthesize", 2, "--html", tmp_path / "page.html"]
    assert npu("explore", model, *options) == 0
    text = capsys.readouterr().out
    assert len(asked) == len(set(asked)) == 2
    assert "synthesized" in text
    assert all(number in text for number in ("11,001", "11,002"))
    assert "11,002" in (tmp_path / "page.html").read_text()


def test_a_network_that_no_point_runs(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = tmp_path / "space.toml"
    space.write_text("lanes = [4]\nchannels = [8, 16]\n")
    assert npu("explore", model, "--space", space, "--budget", 3, "--jobs", 1) == 1
    assert "points: channels: none of 8, 16 is legal" in capsys.readouterr().out


def refused(arguments: Sequence[object], capsys: pytest.CaptureFixture[str]) -> str:
    assert npu("explore", *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return captured.err


def test_bad_requests(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "variants.json"
    listed.write_text(json.dumps([{"model": model.name, "accuracy": 0.9}]))
    other = tmp_path / "other.tflite"
    other.write_bytes(classifier(2))
    empty = tmp_path / "empty.sqlite"
    Store(empty).__exit__()
    space = tmp_path / "space.toml"
    space.write_text("pixels = [2]\n")
    cases: list[tuple[list[object], str]] = [
        ([], "no MODEL given"),
        ([model, "--objective", "speed"], "unknown metric 'speed'"),
        ([model, "--sampler", "luck"], "--sampler: unknown 'luck'; allowed: nsga2, tpe"),
        ([model, model, "--budget", 3], "a network is named twice"),
        ([f"{model}:0", "--budget", 3], "weight"),
        ([f"{model}:x", "--budget", 3], "classifier.tflite:x"),
        ([model, "--objective", "accuracy"], "accuracy is only known of --variants"),
        ([model, other, "--variants", listed], "--variants needs one MODEL, got 2"),
        ([model, "--space", space, "--vary", "pixels=2"], "--space and --vary are given"),
        ([model, "--vary", "preset=npu64", "--budget", 3], "is no dimension of a search"),
        ([model, "--constraint", "lut<=3", "--jobs", 1], "--constraint lut<=3 leaves nothing"),
        ([model, "--budget", 3, "--latency", 0], "latency_cycles must be between"),
        ([model, "--report", empty], "--report shows a store: it takes no MODEL"),
        (["--report", tmp_path / "none.sqlite"], "no store"),
        (["--report", empty], "has no search"),
        ([model, "--energy", tmp_path / "none.toml"], "No such file"),
        ([model, "--budget", 3, "--html", tmp_path], "is a folder"),
        ([model, "--budget", 3, "--out", "rows.txt"], "must end in .csv or .parquet"),
        ([model, "--store", tmp_path, "--budget", 3, "--jobs", 1], "cannot use store"),
    ]
    for arguments, message in cases:
        assert message in refused(arguments, capsys), arguments


def test_a_report_of_another_version(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(request_for(model, budget=2), tmp_path / "a.sqlite")
    monkeypatch.setattr("npu.explore.outcome.source_key", lambda: "another")
    assert "of another version" in refused(["--report", tmp_path / "a.sqlite"], capsys)


def test_variants_of_an_optimization(model: Path, tmp_path: Path) -> None:
    stages = [
        {"stage": "as it came", "file": model.name, "int8_accuracy": 0.91},
        {"stage": "not measured", "file": model.name, "int8_accuracy": None},
        {"stage": "cluster=16", "file": model.name, "int8_accuracy": 0.9},
    ]
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"stages": stages}))
    found = read_variants(path)
    names = [(one.name, one.accuracy) for one in found]
    assert names == [("as it came", 0.91), ("cluster=16", 0.9)]
    assert all(one.path == model for one in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("{}", "has no list of variants"),
        ("[]", "has no list of variants"),
        ('[{"model": "a.tflite"}]', "entry 0 needs a model and an accuracy between 0 and 1"),
        ('[{"model": "a.tflite", "accuracy": 90}]', "between 0 and 1"),
        ('{"variants": [{"model": "a.tflite", "accuracy": 0.9}]}', "entry 0: no file"),
    ],
)
def test_bad_variants(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "variants.json"
    path.write_text(text)
    with pytest.raises(ExploreError, match=message):
        read_variants(path)
    with pytest.raises(ExploreError, match="No such file"):
        read_variants(tmp_path / "none.json")
