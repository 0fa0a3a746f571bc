"""`npu optimize` of a Keras model: all stages in seconds, and what they leave in the files."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from npu.errors import OptimizeError
from npu.model.tflite_reader import read_model_bytes
from npu.optimize import run
from npu.optimize.choices import Granularity, Method, Quantization
from npu.optimize.granularity import Groups, group_sparsity
from npu.optimize.measure import quantized_samples
from npu.optimize.report import Report
from npu.optimize.settings import Pruning, Settings
from npu.optimize.sweep import parse_sweep, sweep
from npu.optimize.training import fit as fit_module
from npu.optimize.training.pipeline import planned_stages
from npu.optimize.weights import LayerWeights, find_weights
from npu.reference.network import PreparedNetwork
from rtl.config import PRESETS
from tests.npu.optimize.training.small_network import BATCH, digits
from tests.support.command_line import npu, refusal
from tests.support.tflm import run_tflm

CONFIG = PRESETS["npu256"]
SAMPLES = 8


def optimized(trained: Path, out: Path, **settings: Any) -> tuple[Report, bytes]:
    """The report of a run, and its last file."""
    data = digits()
    task = run.Task(
        model=trained, out=out, config=CONFIG, config_name="npu256", data=data, threads=1
    )
    report = run.optimize(task, Settings(**{"batch": BATCH, "epochs": 6, **settings}))
    content = (out / report.stages[-1].file).read_bytes()
    # our kernels, which measure accuracy, and TFLM agree on what training wrote
    graph = read_model_bytes(content, "x")
    network = PreparedNetwork(graph)
    for sample in quantized_samples(graph, data.test)[:SAMPLES]:
        (expected,) = run_tflm(content, [sample])
        found = network.run({graph.inputs[0]: sample})[graph.outputs[0]]
        assert np.array_equal(expected, found)
    return report, content


def weights_of(content: bytes) -> list[LayerWeights]:
    return find_weights(read_model_bytes(content, "x"))


def test_the_whole_pipeline(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prune, cluster, quantize, compile and time, from the command line."""
    out = tmp_path / "out"
    data = ("--data", "sklearn-digits", "--batch", BATCH, "--epochs", 15, "--threads", 1)
    what = ("--prune", "magnitude:0.75", "--cluster", 16, "--qat", "--config", "npu256")
    assert npu("optimize", trained, *data, *what, "-o", out) == 0
    text = capsys.readouterr().out
    assert "neither pruned nor clustered: DepthwiseConv2D 'depthwise'" in text
    stages = json.loads((out / "report.json").read_text())["stages"]
    assert [s["stage"] for s in stages] == ["dense", "pruned", "pruned + clustered"]
    dense, last = stages[0], stages[-1]
    assert dense["int8_accuracy"] > 0.94
    assert last["int8_accuracy"] > dense["int8_accuracy"] - 0.03
    assert last["values"] <= 16
    assert last["compressed_bytes"] < 0.6 * dense["compressed_bytes"]
    words = Groups.of(Granularity.WORD, CONFIG)
    first, middle, wide, classes = weights_of((out / last["file"]).read_bytes())
    for layer in (middle, wide):
        assert group_sparsity(layer.codes, words) == pytest.approx(0.75, abs=0.01)
    assert np.all(first.codes != 0)
    assert np.all(classes.codes != 0)


@pytest.mark.parametrize("method", [Method.MULTISTAGE, Method.AUTOMATA])
def test_other_methods_prune_as_much(method: Method, trained: Path, tmp_path: Path) -> None:
    report, content = optimized(trained, tmp_path, prune=Pruning(method, 0.6), epochs=8)
    words = Groups.of(Granularity.WORD, CONFIG)
    for layer in weights_of(content)[1:3]:
        assert group_sparsity(layer.codes, words) == pytest.approx(0.6, abs=0.01)
    accuracy = report.stages[-1].int8_accuracy
    assert accuracy is not None
    assert accuracy > 0.85


def test_weights_of_four_bits(trained: Path, tmp_path: Path) -> None:
    report, content = optimized(trained, tmp_path, quantize=Quantization.INT4)
    first, middle, wide, classes = weights_of(content)
    for layer in (middle, wide):
        assert np.abs(layer.codes).max() == 7
    for layer in (first, classes):
        assert np.abs(layer.codes).max() == 127
    assert len(np.unique(wide.scales)) == 1
    assert len(np.unique(middle.scales)) == len(middle.codes)
    assert report.stages[-1].file_bytes < 0.75 * report.stages[0].file_bytes


def test_mixed_says_what_it_chose(trained: Path, tmp_path: Path) -> None:
    report, content = optimized(trained, tmp_path, quantize=Quantization.MIXED, epochs=2)
    (note,) = [n for n in report.notes if n.startswith("layers with weights of four bits: ")]
    small = [w for w in weights_of(content) if np.abs(w.codes).max() <= 7]
    assert len(small) == sum(name in note for name in ("middle", "wide"))


def test_activations_of_16_bits(trained: Path, tmp_path: Path) -> None:
    report, content = optimized(trained, tmp_path, quantize=Quantization.INT16X8)
    graph = read_model_bytes(content, "x")
    assert graph.tensors[graph.inputs[0]].dtype == np.int16
    assert report.stages[0].cycles is None
    accuracy = report.stages[0].int8_accuracy
    assert accuracy is not None
    assert accuracy > 0.94


def test_an_interrupted_run_goes_on_to_the_same_file(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {"prune": Pruning(Method.AUTOMATA, 0.5), "clusters": 8, "epochs": 3}
    _, whole = optimized(trained, tmp_path / "whole", **asked)
    honest, calls = fit_module.evaluate, []

    def interrupted(model: Any, data: Any) -> float:
        calls.append(0)
        if len(calls) in (2, 6):
            raise KeyboardInterrupt
        return honest(model, data)

    monkeypatch.setattr(fit_module, "evaluate", interrupted)
    for _ in "ab":
        with pytest.raises(KeyboardInterrupt):
            optimized(trained, tmp_path / "parts", **asked)
    told: list[str] = []
    task = run.Task(
        model=trained,
        out=tmp_path / "parts",
        config=CONFIG,
        config_name="npu256",
        data=digits(),
        threads=1,
        log=told.append,
    )
    report = run.optimize(task, Settings(batch=BATCH, **asked))
    assert any("goes on behind epoch" in line for line in told)
    assert (tmp_path / "parts" / report.stages[-1].file).read_bytes() == whole


def test_a_sweep_trains_what_is_shared_once(trained: Path, tmp_path: Path) -> None:
    told: list[str] = []
    task = run.Task(
        model=trained,
        out=tmp_path,
        config=CONFIG,
        config_name="npu256",
        data=digits(),
        threads=1,
        log=told.append,
    )
    varied = parse_sweep(["prune=magnitude:0.5", "cluster=none,4"])
    report = sweep(task, Settings(epochs=2, batch=BATCH, distill=0.5), varied)
    assert told.count("prune by magnitude: goes on behind epoch 2 of 2") == 1
    assert [line for line in told if line.startswith("prune by magnitude: epoch 2")] == [
        line for line in told if line.startswith("prune by magnitude: epoch")
    ][1:]
    assert [stage.values for stage in report.stages][2] <= 4
    pruned = [
        tmp_path / f"prune_magnitude_0.5-cluster_{n}" / "1_pruned.tflite" for n in ("none", 4)
    ]
    first, second = (path.read_bytes() for path in pruned)
    assert first == second


def test_a_target_that_is_missed_is_told(trained: Path, tmp_path: Path) -> None:
    harsh: dict[str, Any] = {"prune": Pruning(Method.MAGNITUDE, 0.97), "epochs": 1}
    report, _ = optimized(trained, tmp_path, max_loss=0.5, **harsh)
    assert any(note.startswith("target missed: ") for note in report.notes)


MISTAKES: dict[str, list[Any]] = {
    "a Keras model needs --data": ["--cluster", 4],
    r"samples of the data have shape [4, 4], the network takes [8, 8, 1]": ["--data", "shape"],
    "label 12 of sample 0 is out of range": ["--data", "label"],
    "--dense 'x' is no layer: first, last, none, or one of conv, middle, wide, classes": [
        *("--data", "sklearn-digits", "--prune", "magnitude:0.5", "--dense", "x"),
    ],
    "the model has nothing to prune": [
        *("--data", "sklearn-digits", "--prune", "magnitude:0.5"),
        *("--dense", "first,last,middle,wide"),
    ],
    "exclude each other": ["--data", "sklearn-digits", "--cluster", 4, "--quantize", "int4"],
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_one_line(
    message: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "shape": (np.zeros((30, 4, 4), np.float32), np.zeros(30, int)),
        "label": (np.zeros((30, 8, 8), np.float32), np.full(30, 12)),
    }
    arguments = list(MISTAKES[message])
    for name, (x, y) in bad.items():
        if name in arguments:
            np.savez(tmp_path / "bad.npz", x=x, y=y)
            arguments[arguments.index(name)] = tmp_path / "bad.npz"
    given = refusal(capsys, "optimize", trained, *arguments, "-o", tmp_path / "out")
    assert message in given


def test_stages_are_in_order() -> None:
    settings = Settings(prune=Pruning(Method.MAGNITUDE, 0.5), clusters=4, qat=True)
    assert [name for name, _ in planned_stages(settings)] == ["pruned", "clustered"]
    with pytest.raises(OptimizeError, match="four bits are 15 values already"):
        planned_stages(Settings(clusters=4, quantize=Quantization.MIXED))
    lasso = Settings(prune=Pruning(Method.LASSO, 0.5), clusters=4)
    assert [name for name, _ in planned_stages(lasso)] == ["channels removed", "clustered"]


def test_code_inside_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = keras.Input((8, 8, 1))
    scores = keras.layers.Dense(10)(keras.layers.Flatten()(inputs))
    doubled = keras.layers.Lambda(lambda x: x * 2, output_shape=(10,))(scores)
    path = tmp_path / "code.keras"
    keras.Model(inputs, doubled).save(path)
    line = refusal(capsys, "optimize", path, "--data", "sklearn-digits", "-o", tmp_path / "out")
    assert "has Python code in it, which Keras' safe mode does not run" in line
