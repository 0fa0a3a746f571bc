"""Running TFLM as the golden model, and comparing with it."""

import builtins
from typing import Any

import numpy as np
import pytest

from npu.errors import GoldenError
from npu.golden import Comparison, compare, run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from tests.npu.small_model import classifier
from tests.support.shared_models import NETWORKS, shared_model
from tests.support.tflite_file import ModelFile
from tests.support.tflm import run_tflm


@pytest.fixture(name="graph")
def graph_fixture() -> Graph:
    return read_model_bytes(classifier(), "m")


def golden_values(graph: Graph) -> dict[int, Any]:
    return run_golden(classifier(), graph, load_inputs([], graph))


def test_gives_inputs_outputs_and_every_intermediate(graph: Graph) -> None:
    values = golden_values(graph)
    assert set(values) == {*graph.inputs, *graph.intermediates(), *graph.outputs}
    inputs = load_inputs([], graph)
    (expected,) = run_tflm(classifier(), list(inputs.values()))
    np.testing.assert_array_equal(values[graph.outputs[0]], expected)
    for index, value in values.items():
        assert value.shape == graph.tensors[index].shape
        assert value.dtype == np.int8


@pytest.mark.parametrize("name", NETWORKS)
def test_arena_is_large_enough_for_real_networks(name: str) -> None:
    path = shared_model(name)
    graph = read_model(path)
    values = run_golden(path.read_bytes(), graph, load_inputs([], graph))
    assert set(graph.outputs) <= set(values)


def test_operator_that_tflm_does_not_know(capfd: pytest.CaptureFixture[str]) -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=0.5)
    m.operator("COS", [x], [m.tensor((1, 4), scale=0.5)])
    graph = read_model_bytes(m.build(), "m")
    with pytest.raises(GoldenError, match=r"TFLM does not run this model: .*COS") as caught:
        run_golden(m.build(), graph, load_inputs([], graph))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_interpreter_is_not_installed(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "tflite_micro":
            raise ImportError("No module named 'tflite_micro'")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(GoldenError, match=r"package tflite-micro, Linux x86-64 only\): No module"):
        golden_values(graph)


def test_equal_values(graph: Graph) -> None:
    values = golden_values(graph)
    comparison = compare(graph, values, values)
    assert comparison == Comparison(1, 1, 6, 6, 6, ())
    assert comparison.bit_exact
    assert comparison.summary == (
        "bit-exact with TFLM: 1 of 1 outputs and every intermediate tensor (6 of 6)"
    )


def test_first_mismatch_is_located(graph: Graph) -> None:
    golden = golden_values(graph)
    index = graph.operators[1].outputs[0]
    changed = golden[index].copy()
    changed[0, 3, 2, 1] = int(changed[0, 3, 2, 1]) ^ 1
    changed[0, 5, 0, 0] = int(changed[0, 5, 0, 0]) ^ 1
    comparison = compare(graph, golden, {**golden, index: changed})
    assert not comparison.bit_exact
    assert comparison.outputs_equal == 1
    assert comparison.intermediates_equal == 5
    (mismatch,) = comparison.mismatches
    assert mismatch.tensor == index
    assert mismatch.count == 2
    assert mismatch.position == (0, 3, 2, 1)
    assert mismatch.expected == golden[index][0, 3, 2, 1]
    assert mismatch.actual == changed[0, 3, 2, 1]
    assert "2 of 432 values differ, first at [0, 3, 2, 1]" in str(mismatch)
    assert comparison.summary == (
        "NOT bit-exact with TFLM: 1 of 1 outputs and 5 of 6 intermediate tensors agree"
    )


def test_wrong_output(graph: Graph) -> None:
    golden = golden_values(graph)
    (output,) = graph.outputs
    comparison = compare(graph, golden, {**golden, output: ~golden[output]})
    assert not comparison.bit_exact
    assert comparison.outputs_equal == 0


def test_tensors_that_a_backend_does_not_keep(graph: Graph) -> None:
    golden = golden_values(graph)
    (output,) = graph.outputs
    comparison = compare(graph, golden, {output: golden[output]})
    assert comparison.bit_exact
    assert comparison.summary.endswith("and every intermediate tensor that is kept (0 of 6)")
    assert not compare(graph, golden, {}).bit_exact


def test_another_shape_is_a_mistake_of_the_caller(graph: Graph) -> None:
    golden = golden_values(graph)
    (output,) = graph.outputs
    with pytest.raises(ValueError, match=r"TFLM has int8 \[1, 5\]"):
        compare(graph, golden, {**golden, output: golden[output][0]})
