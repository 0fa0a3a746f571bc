"""The reference executor: every tensor of whole networks, and single operators, against TFLM."""

from contextlib import suppress

import numpy as np
import pytest

from npu.errors import GoldenError, ModelError, UnsupportedOperatorError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.offload.reference_backend import run_on_reference
from npu.reference.executors.common import Context
from npu.reference.executors.registry import run_operator
from npu.reference.network import run_reference
from rtl.errors import NpuError
from tests.npu.small_model import classifier
from tests.support.shared_models import MLPERF, NETWORKS, shared_inputs, shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile


def assert_bit_exact(model: bytes, graph: Graph, spec: str) -> None:
    """Every tensor of one inference equals TFLM's."""
    inputs = load_inputs([spec], graph)
    comparison = compare(graph, run_golden(model, graph, inputs), run_reference(graph, inputs))
    assert comparison.bit_exact, f"{spec}: {comparison.mismatches[0]}"
    assert comparison.intermediates_compared == len(graph.operators) - len(graph.outputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_real_networks_on_random_inputs(name: str) -> None:
    path = shared_model(name)
    graph = read_model(path)
    seeds = (0, 1) if graph.total_macs < 50e6 else (0,)
    for seed in seeds:
        assert_bit_exact(path.read_bytes(), graph, f"random:{seed}")


@pytest.mark.parametrize("name", [*MLPERF, "tflm_mobilenet_v2_224"])
def test_real_networks_on_real_inputs(name: str) -> None:
    samples, path = shared_inputs(), shared_model(name)
    with np.load(samples) as stored:
        keys = [k for k in stored.files if k.startswith(f"{name}/")]
    assert keys
    graph = read_model(path)
    for key in keys[:: max(1, len(keys) // 4)]:
        assert_bit_exact(path.read_bytes(), graph, f"{samples}:{key}")


@pytest.mark.parametrize("seed", range(6))
def test_small_networks(seed: int) -> None:
    model = classifier(seed, scale=0.02, zero_point=seed - 3)
    assert_bit_exact(model, read_model_bytes(model, "m"), f"random:{seed}")


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 1, 0, 2), (1, 0, 2, 3)])
def test_transpose(order: tuple[int, ...]) -> None:
    m = ModelBuilder()
    x = m.input((2, 3, 4, 5), scale=0.5, zero_point=7)
    y = m.tensor([x.shape[i] for i in order], scale=0.5, zero_point=7)
    m.operator("TRANSPOSE", [x, m.constant(np.array(order, np.int32))], [y])
    model = m.build()
    assert_bit_exact(model, read_model_bytes(model, "m"), "random:1")


def concatenation(axis: int, zero_point: int = 7, activation: int = 0) -> bytes:
    m = ModelBuilder()
    a = m.input((1, 3, 4), scale=0.5, zero_point=7)
    b = m.input((1, 3, 4), scale=0.5, zero_point=zero_point)
    y = m.tensor([1, 6, 4] if axis == 1 else [1, 3, 8], scale=0.5, zero_point=7)
    options = {"axis": axis, "fusedActivationFunction": activation}
    m.operator("CONCATENATION", [a, b], [y], options, options_type="ConcatenationOptions")
    return m.build()


@pytest.mark.parametrize("axis", [1, -1])
def test_concatenation(axis: int) -> None:
    model = concatenation(axis)
    assert_bit_exact(model, read_model_bytes(model, "m"), "random:1")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (concatenation(1, zero_point=8), r"input 1 has scale and zero point \(0.5, 8\)"),
        (concatenation(1, activation=1), "activation is RELU; allowed is NONE"),
    ],
)
def test_concatenation_that_tflm_refuses_too(model: bytes, message: str) -> None:
    graph = read_model_bytes(model, "m")
    inputs = load_inputs([], graph)
    with pytest.raises(GoldenError):
        run_golden(model, graph, inputs)
    with pytest.raises(ModelError, match=r"operator 0 \(CONCATENATION\): " + message):
        run_reference(graph, inputs)


def test_softmax_of_another_scale_that_tflm_refuses_too() -> None:
    m = ModelFile()
    x, y = m.input((1, 4), scale=0.5), m.tensor((1, 4), scale=0.5, zero_point=-128)
    m.operator("SOFTMAX", [x], [y], {"beta": 1.0}, options_type="SoftmaxOptions")
    graph = read_model_bytes(m.build(), "m")
    inputs = load_inputs([], graph)
    with pytest.raises(GoldenError):
        run_golden(m.build(), graph, inputs)
    with pytest.raises(ModelError, match=r"output has scale and zero point \(0.5, -128\)"):
        run_reference(graph, inputs)


@pytest.mark.parametrize("code", ["SQUEEZE", "EXPAND_DIMS"])
def test_views(code: str) -> None:
    m = ModelFile()
    x = m.input((1, 1, 4), scale=0.5)
    if code == "SQUEEZE":
        y = m.tensor((1, 4), scale=0.5)
        m.operator(code, [x], [y], {"squeezeDims": [1]}, options_type="SqueezeOptions")
    else:
        y = m.tensor((1, 1, 1, 4), scale=0.5)
        axis = m.constant(np.array([1], np.int32))
        m.operator(code, [x, axis], [y], {}, options_type="ExpandDimsOptions")
    model = m.build()
    assert_bit_exact(model, read_model_bytes(model, "m"), "random:1")


def test_constant_as_the_first_operand() -> None:
    m = ModelBuilder()
    c = m.constant(np.arange(4, dtype=np.int8).reshape(1, 4), scale=0.3, zero_point=2)
    m.add(c, m.input((1, 4), scale=0.5), scale=0.7, zero_point=-5)
    model = m.build()
    assert_bit_exact(model, read_model_bytes(model, "m"), "random:1")


def test_result_of_the_backend() -> None:
    graph = read_model_bytes(classifier(), "m")
    result = run_on_reference(graph, load_inputs([], graph))
    assert set(result.outputs) == set(graph.outputs)
    assert result.cycles is None
    assert result.macs == graph.total_macs
    assert [layer.kind for layer in result.layers] == [op.kind for op in graph.operators]


def test_operator_without_kernel_is_refused_before_anything_runs() -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=0.5)
    m.operator("TILE", [x], [m.tensor((1, 4), scale=0.5)])
    graph = read_model_bytes(m.build(), "m")
    expected = r"operator 0 \(TILE\) has no kernel; TFLM has none either$"
    with pytest.raises(UnsupportedOperatorError, match=expected):
        run_reference(graph, {})
    with pytest.raises(UnsupportedOperatorError, match=expected):
        run_operator(graph, graph.operators[0], Context({}))


@pytest.mark.parametrize("seed", range(3))
def test_corrupted_models_run_or_are_refused(seed: int) -> None:
    """Whatever the reader lets through, kernels neither crash on nor read beyond their arrays."""
    rng = np.random.default_rng(seed)
    original = classifier()
    ran = 0
    for _ in range(100):
        data = bytearray(original)
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            data[position] ^= 1 << rng.integers(8)
        with suppress(NpuError):
            graph = read_model_bytes(bytes(data), "m")
            values = run_reference(graph, load_inputs([], graph))
            assert all(values[t].shape == graph.tensors[t].shape for t in values), f"seed {seed}"
            ran += 1
    assert ran > 10, f"seed {seed}"


def test_parameters_that_no_kernel_accepts_name_the_operator() -> None:
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5)
    w = np.ones((3, 4), np.int8)
    m.fully_connected(x, w, None, weight_scales=0.1, scale=1, zero_point=0, activation="TANH")
    graph = read_model_bytes(m.build(), "m")
    with pytest.raises(ModelError, match=r"operator 0 \(FULLY_CONNECTED\): activation is 'TANH'"):
        run_reference(graph, load_inputs([], graph))
