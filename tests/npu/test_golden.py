"""Running TFLM as the golden model, and comparing with it."""

import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from npu.errors import GoldenError
from npu.golden import Comparison, compare, run_golden
from npu.inference import infer
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.offload.backends import BackendName
from npu.reference.network import run_reference
from npu.tflm_process import TflmProcess
from rtl.config import NpuConfig
from tests.npu.operator_models import movement
from tests.npu.small_model import classifier
from tests.support.shared_models import NETWORKS, shared_model
from tests.support.tflite_builder import ModelBuilder
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


def test_interpreter_is_not_installed(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "tflite_micro.py").write_text("raise ImportError('none here')")
    process = TflmProcess(path=[str(tmp_path), *sys.path])
    message = r"package tflite-micro, Linux x86-64 only\): none here"
    with pytest.raises(GoldenError, match=message):
        process.run(classifier(), list(load_inputs([], graph).values()), [0], 1 << 20)
    process.close()


def test_a_model_that_crashes_the_interpreter(graph: Graph) -> None:
    """A tensor that it does not have crashes it; another process takes its place."""
    process = TflmProcess()
    inputs = list(load_inputs([], graph).values())
    with pytest.raises(GoldenError, match=r"its interpreter crashed \(SIG[A-Z]+\)$"):
        process.run(classifier(), inputs, [1 << 28], 1 << 22)
    values = process.run(classifier(), inputs, [graph.inputs[0]], 1 << 22)
    np.testing.assert_array_equal(values[graph.inputs[0]], inputs[0])
    process.close()


def test_an_interpreter_that_gives_no_answer(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "tflite_micro.py").write_text("import time; time.sleep(1000)")
    process = TflmProcess(path=[str(tmp_path), *sys.path], patience_seconds=0.5)
    with pytest.raises(GoldenError, match=r"its interpreter gave no answer in 0.5 s$"):
        process.run(classifier(), list(load_inputs([], graph).values()), [0], 1 << 20)
    assert process.ended == 1


def test_a_scalar(tmp_path: Path) -> None:
    m = ModelBuilder()
    a, b = m.input((), scale=0.5), m.input((1, 4), scale=0.25)
    m.mean(m.add(a, b, scale=1.0, zero_point=3), [0, 1], scale=0.5, zero_point=1, keep_dims=False)
    graph = read_model_bytes(m.build(), "m")
    inputs = load_inputs(["random:4"], graph)
    golden = run_golden(m.build(), graph, inputs)
    assert golden[graph.outputs[0]].shape == ()
    assert compare(graph, golden, run_reference(graph, inputs)).bit_exact
    changed = {**golden, graph.outputs[0]: golden[graph.outputs[0]] ^ 1}
    (mismatch,) = compare(graph, golden, changed).mismatches
    assert mismatch.position == ()


def test_outputs_that_nothing_computes() -> None:
    """A constant and an input as outputs: TFLM hands them out like any other."""
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5)
    c = m.constant(np.array([[1, -2, 3, -4]], np.int8), scale=0.5)
    y = m.relu(x, scale=0.5, zero_point=0)
    model = m.build([y, c, x])
    graph = read_model_bytes(model, "m")
    inputs = load_inputs(["random:4"], graph)
    golden = run_golden(model, graph, inputs)
    np.testing.assert_array_equal(golden[c.index], [[1, -2, 3, -4]])
    for backend in get_args(BackendName):
        if backend != "rtl":
            result = infer(graph, inputs, config=NpuConfig(), backend=backend)
            assert compare(graph, golden, result.outputs).outputs_equal == 3


def test_an_input_with_a_stored_value(tmp_path: Path) -> None:
    """What is given counts, as in TFLM, not what the file holds."""
    m = ModelBuilder()
    x = m.constant(np.array([[1, -2, 3, -4]], np.int8), scale=0.5)
    m._inputs.append(x.index)
    m.relu(x, scale=0.5, zero_point=0)
    graph = read_model_bytes(m.build(), "m")
    inputs = load_inputs(["random:4"], graph)
    golden = run_golden(m.build(), graph, inputs)
    assert compare(graph, golden, run_reference(graph, inputs)).bit_exact


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


def test_padding_that_tflm_never_sets_is_zero() -> None:
    """What SPACE_TO_BATCH_ND pads with is what the arena holds: one that nothing has used."""
    model = movement(
        "SPACE_TO_BATCH_ND",
        (1, 5, 7, 3),
        [(4, 3, 4, 3)],
        constants=[(2, 2), ((1, 0), (0, 1))],
        options={},
        options_type="SpaceToBatchNDOptions",
    )
    graph = read_model_bytes(model, "test")
    inputs = load_inputs([], graph)
    for _ in range(3):
        golden_values(read_model_bytes(classifier(), "uses the arena"))
        golden = run_golden(model, graph, inputs)
        padding = golden[graph.outputs[0]][:2, 0]
        assert not padding.any()


def test_floats_are_compared_bit_by_bit() -> None:
    """Zeros of two signs differ, any two numbers that are none do not."""
    m = ModelBuilder()
    f = m.dequantize(m.input((1, 4), scale=0.5))
    graph = read_model_bytes(m.build(), "m")
    golden = np.array([[0.0, np.nan, np.inf, 1.0]], np.float32)
    other = np.array([[-0.0, -np.nan, np.inf, 1.0]], np.float32)
    (mismatch,) = compare(graph, {f.index: golden}, {f.index: other}).mismatches
    assert (mismatch.count, mismatch.position) == (1, (0, 0))
