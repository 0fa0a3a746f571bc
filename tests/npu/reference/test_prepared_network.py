"""Networks prepared once: on every instruction set, inference after inference, in shared memory."""

from typing import Any

import numpy as np
import pytest

from kernels.prepared import instruction_sets as isas
from kernels.prepared.instruction_sets import available
from npu.errors import ModelError
from npu.golden import run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.reference.arena import ALIGNMENT, place_tensors
from npu.reference.network import PreparedNetwork, run_reference
from rtl.errors import NpuError
from tests.npu.small_model import classifier
from tests.support.shared_models import shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile

every_isa = pytest.mark.parametrize("isa", available(), ids=lambda isa: isa.name)


def assert_outputs_equal(graph: Graph, computed: dict[int, Any], expected: dict[int, Any]) -> None:
    assert set(computed) == set(graph.outputs)
    for index in graph.outputs:
        np.testing.assert_array_equal(computed[index], expected[index])


@every_isa
def test_inference_after_inference(isa: isas.InstructionSet) -> None:
    model = classifier()
    graph = read_model_bytes(model, "m")
    network = PreparedNetwork(graph, isa=isa)
    for seed in (0, 1, 0):
        inputs = load_inputs([f"random:{seed}"], graph)
        assert_outputs_equal(graph, network.run(inputs), run_golden(model, graph, inputs))


@pytest.mark.parametrize("name", ["mlperf_kws_dscnn", "mlperf_vww_mbv1_96", "mlperf_ic_resnet8"])
@every_isa
def test_real_networks(name: str, isa: isas.InstructionSet) -> None:
    path = shared_model(name)
    graph = read_model(path)
    inputs = load_inputs(["random:3"], graph)
    expected = run_golden(path.read_bytes(), graph, inputs)
    assert_outputs_equal(graph, PreparedNetwork(graph, isa=isa).run(inputs), expected)


def mixed_network() -> bytes:
    """Prepared and executed operators in turn, a view, a constant operand, an int32 output."""
    rng = np.random.default_rng(0)
    m = ModelBuilder()
    x = m.input((1, 4, 4, 8), scale=0.1, zero_point=3)
    constant = m.constant(
        rng.integers(-128, 128, (1, 4, 4, 8)).astype(np.int8), scale=0.2, zero_point=-4
    )
    total = m.add(constant, x, scale=0.3, zero_point=1)
    turned = m.tensor((1, 4, 4, 8), scale=0.3, zero_point=1)
    m.operator("TRANSPOSE", [total, m.constant(np.array([0, 2, 1, 3], np.int32))], [turned])
    flat = m.tensor((1, 128), scale=0.3, zero_point=1)
    shape = m.constant(np.array([1, 128], np.int32))
    m.operator("RESHAPE", [turned, shape], [flat], {}, options_type="ReshapeOptions")
    weights = rng.integers(-128, 128, (10, 128)).astype(np.int8)
    logits = m.fully_connected(flat, weights, None, weight_scales=0.01, scale=0.5, zero_point=2)
    best = m.tensor((1,), dtype=np.int32, scale=None)
    axis = m.constant(np.array(1, np.int32))
    m.operator("ARG_MAX", [logits, axis], [best], {"outputType": 2}, options_type="ArgMaxOptions")
    return m.build()


def test_prepared_and_executed_operators_in_turn() -> None:
    model = mixed_network()
    graph = read_model_bytes(model, "m")
    network = PreparedNetwork(graph)
    for seed in range(3):
        inputs = load_inputs([f"random:{seed}"], graph)
        golden = run_golden(model, graph, inputs)
        assert_outputs_equal(graph, network.run(inputs), golden)
        values = run_reference(graph, inputs)
        for op in graph.operators:
            np.testing.assert_array_equal(values[op.outputs[0]], golden[op.outputs[0]])


def test_outputs_and_inputs_are_copies() -> None:
    graph = read_model_bytes(classifier(), "m")
    network = PreparedNetwork(graph)
    inputs = load_inputs(["random:0"], graph)
    before = {index: value.copy() for index, value in inputs.items()}
    first = network.run(inputs)
    kept = {index: value.copy() for index, value in first.items()}
    network.run(load_inputs(["random:1"], graph))
    assert_outputs_equal(graph, first, kept)
    for index, value in inputs.items():
        np.testing.assert_array_equal(value, before[index])


@pytest.mark.parametrize("value", [np.zeros((1, 4), np.int8), np.zeros((1, 3), np.int16)], ids=str)
def test_an_input_of_another_shape_or_type_is_refused(value: Any) -> None:
    m = ModelFile()
    x, y = m.input((1, 3), scale=0.5), m.tensor((1, 3), scale=1 / 256, zero_point=-128)
    m.operator("SOFTMAX", [x], [y], {"beta": 1.0}, options_type="SoftmaxOptions")
    graph = read_model_bytes(m.build(), "m")
    with pytest.raises(ModelError, match=r"is given as .*, int8 of shape \[1, 3\] expected"):
        PreparedNetwork(graph).run({graph.inputs[0]: value})


def test_an_instruction_set_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("npu.reference.operator_runner.default", isas.default.__wrapped__)
    monkeypatch.setenv(isas.VARIABLE, "mmx")
    graph = read_model_bytes(classifier(), "m")
    with pytest.raises(NpuError, match=r"NPU_KERNELS_ISA: instruction set is 'mmx'; allowed"):
        PreparedNetwork(graph)


@pytest.mark.parametrize("model", [classifier(), mixed_network()], ids=["classifier", "mixed"])
@pytest.mark.parametrize("keep_all", [True, False])
def test_tensors_needed_together_do_not_overlap(model: bytes, keep_all: bool) -> None:
    graph = read_model_bytes(model, "m")
    places, size = place_tensors(graph, keep_all=keep_all)
    made = {i: -1 for i in graph.inputs} | {op.outputs[0]: op.index for op in graph.operators}
    read = {i: [op.index for op in graph.operators if i in op.inputs] for i in places}
    for a, place in places.items():
        assert place % ALIGNMENT == 0
        assert place + graph.tensors[a].size <= size
        for b, other in places.items():
            if a >= b or {a, b} & {t.index for t in graph.tensors if t.is_constant}:
                continue
            together = keep_all or (
                max([made[a], *read[a]]) >= made[b] and max([made[b], *read[b]]) >= made[a]
            )
            views = [op for op in graph.operators if op.kind == "RESHAPE"]
            if together and not any({a, b} == {op.inputs[0], op.outputs[0]} for op in views):
                sizes = graph.tensors[a].size, graph.tensors[b].size
                assert place + sizes[0] <= other or other + sizes[1] <= place
    if not keep_all:
        assert size < place_tensors(graph, keep_all=True)[1]
