"""Operators without a kernel run in TFLM's own interpreter, prepared once; none is checked."""

import gc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.errors import ModelError, UnsupportedOperatorError
from npu.inference import compare_with_golden, infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.reference.executors import registry, tflm
from npu.reference.network import PreparedNetwork, run_reference
from npu.reference.state import State
from npu.tflm_process import PROCESS
from rtl.config import PRESETS
from tests.kernels.one_operator import FRESH_ARENA_BYTES, Given, Made, indices, one_operator
from tests.npu.model.test_operator_rules import asymmetric_int16
from tests.npu.reference.test_state import NETWORKS, built, golden, random_steps
from tests.support.random_layers import random_conv2d
from tests.support.shared_models import NETWORKS as PUBLIC
from tests.support.shared_models import shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile
from tests.support.tflm import run_tflm, run_tflm_steps

REFUSED = ("tflm_person_detect", "cfu_hps_89ops", "mww_okay_nabu", "tflm_keyword_scrambled_8bit")


def pooled_lengths(*, last: bool = False) -> bytes:
    """A layer for the NPU, then L2_POOL_2D, which TFLM has in float32 only and no kernel has."""
    m = ModelBuilder()
    x = m.input((1, 8, 8, 3), scale=0.1, zero_point=3)
    y = random_conv2d(m, np.random.default_rng(0), x, 8)
    real = m.tensor(y.shape, np.float32)
    m.operator("DEQUANTIZE", [y], [real])
    pooled = m.tensor((1, 4, 4, 8), np.float32)
    options = {"filterWidth": 2, "filterHeight": 2, "strideW": 2, "strideH": 2, "padding": 1}
    m.operator("L2_POOL_2D", [real], [pooled], options, options_type="Pool2DOptions")
    if not last:
        m.operator("QUANTIZE", [pooled], [m.tensor((1, 4, 4, 8), scale=0.2, zero_point=-5)])
    return m.build()


def test_the_operator_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pooled_lengths()
    graph = read_model_bytes(model, "m")
    kept: list[int] = []
    keep = PROCESS.keep

    def counted(*arguments: Any) -> int:
        kept.append(1)
        return keep(*arguments)

    monkeypatch.setattr(PROCESS, "keep", counted)
    network = PreparedNetwork(graph)
    for seed in range(4):
        inputs = load_inputs([f"random:{seed}"], graph)
        (expected,) = run_tflm(model, list(inputs.values()))
        np.testing.assert_array_equal(network.run(inputs)[graph.outputs[0]], expected)
    assert len(kept) == 1


@pytest.mark.parametrize("backend", ["reference", "functional", "cycle"])
def test_what_tflm_executes_is_said_and_not_checked(backend: Any) -> None:
    model = pooled_lengths()
    graph = read_model_bytes(model, "m")
    inputs, config = load_inputs([], graph), PRESETS["npu64"]
    result = infer(graph, inputs, config=config, backend=backend, keep_intermediates=True)
    placed = {layer.kind: layer.placed for layer in result.layers}
    assert placed["L2_POOL_2D"] == "CPU (TFLM)"
    assert placed["CONV_2D"] == ("CPU" if backend == "reference" else "NPU")
    comparison = compare_with_golden(graph, inputs, result, config=config, backend=backend)
    assert comparison.bit_exact is True
    assert comparison.not_checked == 1
    assert comparison.intermediates == len(graph.intermediates()) - 1
    assert comparison.summary.endswith(
        "; operators that TFLM itself executed, which nothing checks: 1"
    )


def test_a_network_of_nothing_else_is_never_bit_exact() -> None:
    model = one_operator("REDUCE_ALL", *reduce_all())
    graph = read_model_bytes(model, "m")
    inputs = {graph.inputs[0]: np.array([[True, False], [True, True]])}
    config = PRESETS["npu64"]
    result = infer(graph, inputs, config=config, backend="reference")
    np.testing.assert_array_equal(result.outputs[graph.outputs[0]], [False, True])
    comparison = compare_with_golden(graph, inputs, result, config=config, backend="reference")
    assert comparison.bit_exact is None
    assert comparison.summary.startswith("nothing to check; operators that TFLM itself")


def reduce_all() -> tuple[list[Given], Made, dict[str, Any], str]:
    given = Given(np.zeros((2, 2), np.bool_))
    return [given, indices(1)], Made((2,), np.bool_), {}, "ReducerOptions"


def gathered_by_batch() -> bytes:
    given = [Given(np.zeros((2, 3, 4), np.int8), 0.5), indices([2, 0], [1, 1])]
    options = {"axis": 1, "batchDims": 1}
    return one_operator("GATHER", given, Made((2, 2, 4), np.int8, 0.5), options, "GatherOptions")


@pytest.mark.parametrize("model", [gathered_by_batch(), asymmetric_int16()], ids=["GATHER", "ADD"])
def test_options_and_operands_that_no_kernel_takes(model: bytes) -> None:
    graph = read_model_bytes(model, "m")
    (inputs,) = random_steps(graph, count=1)
    assert [registry.runs_in_tflm(graph, op) for op in graph.operators] == [True]
    values = run_reference(graph, inputs)
    (expected,) = run_tflm(model, [inputs[i] for i in graph.inputs])
    np.testing.assert_array_equal(values[graph.outputs[0]], expected)


def take_kernel_away(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    left = {each: kernels for each, kernels in registry.EXECUTORS.items() if each != kind}
    monkeypatch.setattr(registry, "EXECUTORS", left)


def test_what_operators_keep_follows_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """SVDF has a kernel, which is taken away: TFLM keeps its state."""
    model, graph = built(NETWORKS["svdf"])
    steps = random_steps(graph, count=6)
    expected = golden(model, graph, steps)
    take_kernel_away(monkeypatch, "SVDF")
    state = State()
    for step, output in zip(steps, expected, strict=True):
        # twice from the same state, as a run that keeps intermediates does it
        for each in (state.copy(), state):
            values = run_reference(graph, step, state=each)
            np.testing.assert_array_equal(values[graph.outputs[0]], output)
    # back to the third inference, which no interpreter stands at any more
    state.reset()
    for step, output in zip(steps[:3], expected[:3], strict=True):
        values = run_reference(graph, step, state=state)
        np.testing.assert_array_equal(values[graph.outputs[0]], output)


@pytest.mark.parametrize(
    ("code", "shape", "made", "dtype", "options"),
    [
        ("CUSTOM:SignalDelay", (1, 8), (1, 8), np.int16, {"delay_length": 3}),
        ("CUSTOM:CIRCULAR_BUFFER", (1, 1, 1, 4), (1, 3, 1, 4), np.int8, {"cycles_max": 1}),
    ],
)
def test_custom_operators_with_a_state_of_their_own(
    code: str, shape: tuple[int, ...], made: tuple[int, ...], dtype: Any, options: dict[str, int]
) -> None:
    m = ModelFile()
    m.operator(code, [m.input(shape, dtype=dtype, scale=0.5)], [m.tensor(made, dtype)], options)
    model = m.build()
    graph = read_model_bytes(model, "m")
    steps = random_steps(graph, count=5)
    network = PreparedNetwork(graph)
    # TFLM keeps the buffer in memory that it never clears
    inputs = [[step[i] for i in graph.inputs] for step in steps]
    expected = run_tflm_steps(model, inputs, arena_bytes=FRESH_ARENA_BYTES)
    # until each row was written once, TFLM shows what was in that memory before
    unwritten = made[1] - 1 if code == "CUSTOM:CIRCULAR_BUFFER" else 0
    for number, (step, (output,)) in enumerate(zip(steps, expected, strict=True)):
        values = network.run(step)[graph.outputs[0]]
        if number >= unwritten:
            np.testing.assert_array_equal(values, output)


def test_an_operator_that_ends_inferences_is_refused() -> None:
    m = ModelFile()
    x, y = m.input((1, 1, 1, 4), scale=0.5), m.tensor((1, 3, 1, 4), scale=0.5)
    m.operator("CUSTOM:CIRCULAR_BUFFER", [x], [y], {"cycles_max": 2})
    graph = read_model_bytes(m.build(), "m")
    with pytest.raises(ModelError, match="does not run it: an operator ends the inference early"):
        run_reference(graph, random_steps(graph, count=1)[0])


def test_models_that_nobody_needs_are_forgotten() -> None:
    graphs = [read_model_bytes(pooled_lengths(), "m") for _ in range(3)]
    while graphs:
        graph = graphs.pop()
        run_reference(graph, load_inputs([], graph))
        del graph
        gc.collect()
    assert len(tflm._OPERATORS) == 0


def test_a_crash_is_one_line_and_the_next_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    take_kernel_away(monkeypatch, "BROADCAST_ARGS")
    given = [Given(np.zeros(3, np.int32)), Given(np.zeros(1, np.int32))]
    graph = read_model_bytes(one_operator("BROADCAST_ARGS", given, Made((3,), np.int32)), "m")
    network = PreparedNetwork(graph)
    first, second = graph.inputs

    def run(*shape: int) -> NDArray[Any]:
        return network.run(
            {first: np.array([2, 1, 3], np.int32), second: np.array(shape, np.int32)}
        )[graph.outputs[0]]

    np.testing.assert_array_equal(run(1), [2, 1, 3])
    message = r"operator 0 \(BROADCAST_ARGS\) has no kernel, and TFLM does not run it: .*SIGABRT"
    with pytest.raises(ModelError, match=message) as caught:
        run(7)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(run(3), [2, 1, 3])


@pytest.mark.parametrize(
    ("rounding", "installed", "message"),
    [
        (Rounding.SINGLE, True, "TFLM, which could execute it, rounds as double, not as single"),
        (Rounding.DOUBLE, False, "TFLM, which could execute it, is not installed"),
    ],
)
def test_where_tflm_cannot_help(
    rounding: Rounding, installed: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = read_model_bytes(pooled_lengths(), "m")
    if not installed:
        monkeypatch.setattr(tflm, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedOperatorError, match=rf"\(L2_POOL_2D\) has no kernel; {message}"):
        PreparedNetwork(graph, rounding=rounding)


def test_what_tflm_leaves_undefined_is_refused() -> None:
    given = [Given(np.zeros(3, np.int16), 0.1)] * 2
    graph = read_model_bytes(one_operator("GREATER", given, Made((3,), np.bool_)), "m")
    message = "TFLM compares int16 with parameters that it never sets"
    with pytest.raises(UnsupportedOperatorError, match=message):
        PreparedNetwork(graph)


@pytest.mark.parametrize("name", [*PUBLIC, *(f"refused/{name}" for name in REFUSED)])
def test_no_published_network_needs_it(name: str) -> None:
    graph = read_model(shared_model(name))
    assert not [op.kind for op in graph.operators if registry.runs_in_tflm(graph, op)]


@pytest.mark.parametrize("kind", ["RELU", "RELU6"])
@pytest.mark.parametrize("scales", [(None, None), (None, 0.5), (0.5, None)])
def test_activations_without_a_scale(kind: str, scales: tuple[float | None, float | None]) -> None:
    """TFLM runs them, with a quotient that is not a number: nobody else need know what comes."""
    m = ModelFile()
    x = m.input((1, 256), scale=scales[0], name="x")
    m.operator(kind, [x], [m.tensor((1, 256), scale=scales[1])])
    model = m.build()
    graph = read_model_bytes(model, "m")
    inputs = {graph.inputs[0]: np.arange(-128, 128, dtype=np.int8).reshape(1, 256)}
    (expected,) = run_tflm(model, list(inputs.values()))
    result = infer(graph, inputs, config=PRESETS["npu64"], backend="functional")
    np.testing.assert_array_equal(result.outputs[graph.outputs[0]], expected)
    (layer,) = result.layers
    assert layer.placed == "CPU (TFLM)"
    assert "is int8 without a scale" in layer.reason
