"""`npu optimize` on a ready network: its files, its report, and what it refuses."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from npu.errors import ModelError, OptimizeError, OutputError
from npu.model.tflite_reader import read_model_bytes
from npu.optimize import page, run
from npu.optimize.choices import Granularity, Method
from npu.optimize.lut_file import write_lut_file
from npu.optimize.measure import accuracy, measure, quantized_samples
from npu.optimize.ready import NOT_RECOVERED, optimize_ready
from npu.optimize.report import Report, markdown_table, pareto_front, stage_tables
from npu.optimize.settings import Pruning, Settings
from npu.optimize.weights import find_weights
from rtl.config import PRESETS
from tests.npu.optimize.networks import random_split, two_convolutions
from tests.support.command_line import npu, refusal
from tests.support.shared_models import shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

CONFIG = PRESETS["npu256"]


@pytest.mark.quick
def test_a_ready_network(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["--data", data, "--prune", "magnitude:0.5", "--cluster", 16, "-o", out]
    assert npu("optimize", model, *arguments) == 0
    text = capsys.readouterr().out
    assert NOT_RECOVERED in text
    assert "not pruned: CONV_2D 0, FULLY_CONNECTED 4 (--dense says which)" in text
    record = json.loads((out / "report.json").read_text())
    stages = record["stages"]
    assert [s["stage"] for s in stages] == ["dense", "pruned", "pruned + clustered"]
    assert stages[0]["speedup"] == 1
    assert all(0 <= s["int8_accuracy"] <= 1 for s in stages)
    assert (out / stages[0]["file"]).read_bytes() == model.read_bytes()
    middle = find_weights(read_model_bytes((out / stages[2]["file"]).read_bytes(), "x"))[1]
    assert len(np.unique(middle.codes)) <= 16
    before = find_weights(read_model_bytes((out / stages[1]["file"]).read_bytes(), "x"))[1]
    assert np.array_equal(middle.codes == 0, before.codes == 0)
    # 16 x 9 x 16 weights are 72 words of 4 by 8, of which half went
    assert np.mean(before.codes == 0) == pytest.approx(0.5, abs=0.01)
    html = (out / "report.html").read_text()
    assert "pruned + clustered" in html
    assert "accuracy against cycles" in html


def test_accuracy_is_that_of_tflm() -> None:
    content, split = two_convolutions(), random_split()
    graph = read_model_bytes(content, "x")
    samples = quantized_samples(graph, split)
    scores = [run_tflm(content, [sample])[0].reshape(-1) for sample in samples]
    right = np.mean([np.argmax(s) == y for s, y in zip(scores, split.y, strict=True)])
    assert accuracy(graph, split) == right


def test_measured_costs_are_those_of_the_programs() -> None:
    content = two_convolutions(channels=16)
    result = measure(content, CONFIG, stage="dense", file="f")
    # weights of CONV are padded to whole words, those of the first are folded
    assert result.stream_bytes is not None
    assert result.cycles is not None
    assert result.stream_bytes >= 16 * 9 * 16 + 16 * 9 * 3
    assert result.stream_bytes % (CONFIG.channels * CONFIG.lanes) == 0
    assert result.cycles > 16 * 9 * 16 * 64 / CONFIG.macs_per_cycle
    assert result.on_npu == result.operators
    assert result.int8_accuracy is None


def test_networks_that_cannot_be_measured() -> None:
    m = ModelBuilder()
    a, b = (m.input((1, 4, 4, 8), scale=0.1) for _ in range(2))
    graph = read_model_bytes(m.build([m.add(a, b, scale=0.2, zero_point=0)]), "x")
    with pytest.raises(OptimizeError, match="the network has 2 inputs, one expected"):
        accuracy(graph, random_split())
    m = ModelBuilder()
    x = m.input((1, 4, 4, 8), scale=0.1)
    content = m.build([m.max_pool2d(x, window=(2, 2))])
    with pytest.raises(OptimizeError, match="no CONV_2D or FULLY_CONNECTED with int8 weights"):
        optimize_ready(content, Settings(clusters=4), CONFIG)


def test_lookup_tables_for_tflm(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("yaml")
    out = tmp_path / "out"
    arguments = ("--cluster", 8, "--format", "tflm-lut", "-o", out)
    assert npu("optimize", model, *arguments) == 0
    assert "tflm_lut.tflite for TFLM" in capsys.readouterr().out
    plain, compressed = (out / name for name in ("1_clustered.tflite", "tflm_lut.tflite"))
    sample = np.random.default_rng(8).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
    expected, found = (run_tflm(p.read_bytes(), [sample])[0] for p in (plain, compressed))
    assert np.array_equal(expected, found)
    with pytest.raises(OptimizeError, match="no weights get smaller as lookup tables"):
        write_lut_file(two_convolutions())


def test_without_the_compressor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro.tensorflow.lite.micro.compression", None)
    with pytest.raises(OptimizeError, match="tflm-lut needs the compressor in the tflite-micro"):
        write_lut_file(two_convolutions())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_figures_are_never_cut(width: int) -> None:
    names = ("dense", "prune=magnitude:0.75 cluster=none")
    stages = [
        replace(
            measure(two_convolutions(), CONFIG, stage=name, file="f", float_accuracy=0.97),
            int8_accuracy=1.0,
            cpu_cycles=10**7,
        )
        for name in names
    ]
    console = Console(width=width, record=True, file=io.StringIO())
    for table in stage_tables(stages, width):
        console.print(table)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    (first, _) = stages
    shown = ["97.00 %", "100.00 %", f"{first.cycles:,}", f"{first.stream_bytes:,}", "~"]
    shown += [f"{first.file_bytes:,}"] + ([f"{first.macs:,}"] if width > 60 else [])
    for figure in shown:
        assert text.count(figure) >= 2, figure


def test_front_and_document() -> None:
    stages = [
        measure(two_convolutions(), CONFIG, stage=name, file="f")
        for name in ("only one network", "in two rows")
    ]
    assert pareto_front(stages) == []
    text = markdown_table(stages)
    assert text.count("\n") == 4
    assert "| only one network | - | - |" in text
    assert Report(model="m", config="c", settings={}, stages=stages).record()["sensitivity"] == []


MISTAKES: dict[str, list[Any]] = {
    "is neither a .tflite nor a .keras file": ["net.txt", "--cluster", 4],
    "cannot read model": ["none.tflite", "--cluster", 4],
    "METHOD:RATIO expected, with METHOD one of magnitude, multistage": [
        "net.tflite",
        *("--prune", "size:0.5"),
    ],
    "the ratio must be between 0 and 1": ["net.tflite", "--prune", "magnitude:1"],
    "--prune 'magnitude:x': the ratio": ["net.tflite", "--prune", "magnitude:x"],
    "--prune automata trains": ["net.tflite", "--prune", "automata:0.5"],
    "--cluster must be from 2 to 256 distinct weights, got 1": ["net.tflite", "--cluster", 1],
    "--seed must be 0 or more": ["net.tflite", "--cluster", 4, "--seed", -1],
    "nothing to do": ["net.tflite"],
    "no preset or configuration file": ["net.tflite", "--cluster", 4, "--config", "npu7"],
    "no data 'x'": ["net.tflite", "--cluster", 4, "--data", "x"],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_one_line(
    message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *arguments = MISTAKES[message]
    path = model.parent / str(name)
    assert message in refusal(capsys, "optimize", path, *arguments, "-o", tmp_path / "out")


def test_places_that_cannot_be_used(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a regular file"):
        run.read_file(tmp_path)
    with pytest.raises(OutputError, match="cannot make folder"):
        run.make_folder(model / "below")
    stage = measure(two_convolutions(), CONFIG, stage="dense", file="f")
    report = Report(model="m", config="c", settings={}, stages=[stage])
    with pytest.raises(OutputError, match="cannot write"):
        run.save_report(report, tmp_path / "nowhere")
    with pytest.raises(OutputError, match="cannot write"):
        page.write_page(report, tmp_path / "nowhere" / "page.html")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, got 0"),
        ({"batch": 0}, "--batch must be at least 1, got 0"),
        ({"rate": 0.0}, "--rate must be between 0 and 1, got 0.0"),
        ({"distill": 1.5}, "--distill must be from 0 to 1, got 1.5"),
        ({"max_loss": -1.0}, "--max-loss must be 0 or more points"),
    ],
)
def test_settings_are_checked(changes: dict[str, float], message: str) -> None:
    with pytest.raises(OptimizeError, match=message):
        Settings(**changes)  # type: ignore[arg-type]


def test_what_needs_training_is_refused() -> None:
    settings = Settings(prune=Pruning(Method.MAGNITUDE, 0.5), qat=True)
    with pytest.raises(OptimizeError, match=r"a ready .tflite is quantized already"):
        optimize_ready(two_convolutions(), settings, CONFIG)
    assert settings.to_dict()["granularity"] == Granularity.WORD


def test_ad_toycar_has_16_values_a_tensor(tmp_path: Path) -> None:
    model = shared_model("mlperf_ad_toycar")
    task = run.Task(model=model, out=tmp_path, config=CONFIG, config_name="npu256")
    report = run.optimize(task, Settings(clusters=16))
    assert report.stages[-1].values == 16
    dense, clustered = (stage.cycles for stage in report.stages)
    assert dense is not None
    assert clustered is not None
    assert clustered <= dense
