"""Node data for Model Explorer, in the form of its `GraphNodeData`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from npu import cli
from npu.model.tflite_reader import read_model_bytes
from npu.report.model_explorer import ON_CPU, node_data
from tests.npu.report.page.records import small_run
from tests.npu.small_model import classifier


def test_cycles_by_tensor_name() -> None:
    graph, result, _ = small_run()
    data = node_data(graph, result, "npu64, cycle")
    # what the format knows, and what a reader of it demands
    assert set(data) == {"name", "results", "gradient"}
    assert data["name"] == "npu64, cycle: cycles"
    assert [item["stop"] for item in data["gradient"]] == [0, 1]
    names = [graph.output_tensor(op).name for op in graph.operators]
    assert list(data["results"]) == names
    values = [node["value"] for node in data["results"].values()]
    assert sum(values) == result.cycles
    marked = [node.get("bgColor") for node in data["results"].values()]
    assert marked == [ON_CPU if layer.placed != "NPU" else None for layer in result.layers]


def test_without_time_the_values_are_macs() -> None:
    graph, result, _ = small_run("reference")
    data = node_data(graph, result, "npu64, reference")
    assert data["name"].endswith(": MACs")
    assert sum(node["value"] for node in data["results"].values()) == graph.total_macs


def test_names_that_several_tensors_have_name_no_node() -> None:
    graph, result, _ = small_run()
    same = replace(graph, tensors=tuple(replace(tensor, name="x") for tensor in graph.tensors))
    assert list(node_data(same, result, "n")["results"]) == [
        str(op.index) for op in graph.operators
    ]


def test_the_option(tmp_path: Path) -> None:
    model, out = tmp_path / "m.tflite", tmp_path / "m.json"
    model.write_bytes(classifier())
    words = ("run", str(model), "--backend", "cycle", "-q", "--model-explorer", str(out))
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 0
    data = json.loads(out.read_text())
    graph = read_model_bytes(classifier(), "m")
    assert len(data["results"]) == len(graph.operators)
