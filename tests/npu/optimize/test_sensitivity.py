"""How much accuracy each layer's pruning costs, in a ready network."""

import json
from pathlib import Path

import numpy as np
import pytest

from npu.model.tflite_reader import read_model_bytes
from npu.optimize.data import Split
from npu.optimize.granularity import Groups
from npu.optimize.measure import accuracy, quantized_samples
from npu.optimize.post_training import prune_codes
from npu.optimize.rewrite import replace_codes
from npu.optimize.sensitivity import RATIOS, scan_ready
from npu.optimize.weights import find_weights
from npu.reference.network import PreparedNetwork
from tests.npu.optimize.networks import random_split, two_convolutions
from tests.support.command_line import npu, refusal


def predicted(content: bytes, count: int = 60) -> Split:
    """Samples whose labels are what the network says."""
    split, graph = random_split(), read_model_bytes(content, "x")
    rng = np.random.default_rng(5)
    x = rng.random((count, *split.x.shape[1:]), np.float32)
    blank = Split(x, np.zeros(count, np.int64))
    network = PreparedNetwork(graph)
    samples = quantized_samples(graph, blank)
    scores = [network.run({graph.inputs[0]: sample})[graph.outputs[0]] for sample in samples]
    return Split(x, np.array([int(np.argmax(s)) for s in scores]))


def test_each_layer_is_pruned_alone() -> None:
    content, groups = two_convolutions(seed=11), Groups(4, 8)
    data = predicted(content)
    told: list[str] = []
    rows = scan_ready(content, groups, data, told.append)
    layers = find_weights(read_model_bytes(content, "x"))
    names = [f"{layer.kind} {layer.operator}" for layer in layers]
    assert [row["layer"] for row in rows[:: len(RATIOS)]] == names
    assert [row["ratio"] for row in rows] == list(RATIOS) * len(names)
    assert len(told) == len(names)
    middle = replace_codes(content, [prune_codes(layers[1], groups, 0.5)])
    (row,) = [r for r in rows if r["layer"] == names[1] and r["ratio"] == 0.5]
    assert row["accuracy"] == accuracy(read_model_bytes(middle, "x"), data)
    assert min(r["accuracy"] for r in rows) < 1


def test_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data, out = tmp_path / "net.tflite", tmp_path / "data.npz", tmp_path / "out"
    model.write_bytes(two_convolutions())
    split = random_split()
    np.savez(data, x=split.x, y=split.y)
    options = ("--cluster", 4, "--sensitivity", "-o", out)
    assert npu("optimize", model, "--data", data, *options) == 0
    text = capsys.readouterr().out
    assert "layer pruned alone, untrained" in text
    assert text.count("FULLY_CONNECTED 4") >= 1
    record = json.loads((out / "report.json").read_text())
    assert len(record["sensitivity"]) == 3 * len(RATIOS)
    assert "one layer pruned alone" in (out / "report.html").read_text()
    assert "--sensitivity needs --data" in refusal(capsys, "optimize", model, *options)
