"""Networks with variables: consecutive inferences against one TFLM interpreter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.golden import compare, run_golden
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from npu.reference.network import PreparedNetwork, run_reference
from npu.reference.readable import run_readable
from npu.reference.state import State
from rtl.config import NpuConfig
from tests.support.random_layers import (
    Rng,
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
)
from tests.support.recurrent import assign_variable, random_lstm, read_variable, ring_buffer
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm_steps

STEPS = 5
Inputs = dict[int, NDArray[Any]]


def streaming(m: ModelBuilder, rng: Rng) -> None:
    """Convolutions over the last inputs, as in wake-word networks; one buffer starts full."""
    first = m.initializer()
    x = random_input(m, rng, (1, 2, 1, 6))
    start = rng.integers(-128, 128, (1, 4, 1, 6)).astype(np.int8)
    value = first.constant(start, scale=x.scale, zero_point=x.zero_point)
    assign_variable(first, first.handle("input"), value)
    window = ring_buffer(m, "input", x, 6)
    hidden = random_conv2d(m, rng, window, 8, (5, 1), padding="VALID", activation="RELU")
    window = ring_buffer(m, "hidden", hidden, 7)
    hidden = random_depthwise_conv2d(m, rng, window, (7, 1), padding="VALID")
    m.softmax(random_fully_connected(m, rng, m.reshape(hidden, (1, 8)), 3))


def two_lstms(m: ModelBuilder, rng: Rng) -> None:
    """Two layers, then a dense one for the NPU."""
    x = random_input(m, rng, (1, 6, 5))
    sequence = random_lstm(m, rng, random_lstm(m, rng, x, 7), 9)
    random_fully_connected(m, rng, sequence, 4, keep_num_dims=True)


def wide_lstm(m: ModelBuilder, rng: Rng) -> None:
    """16x8."""
    random_lstm(m, rng, m.input((2, 6, 5), scale=2.0**-12, dtype=np.int16), 7)


def svdf(m: ModelBuilder, rng: Rng) -> None:
    """A feature projection and a filter over time, then a dense layer."""
    x = random_input(m, rng, (1, 10))
    state = m.variable((1, 8 * 5), np.int16, scale=2.0**-10)
    operands = [
        x,
        m.constant(rng.integers(-127, 128, (8, 10)).astype(np.int8), scale=2.0**-5),
        m.constant(rng.integers(-500, 500, (8, 5)).astype(np.int16), scale=2.0**-12),
        m.constant(np.zeros(4, np.int32), scale=2.0**-22),
        state,
    ]
    y = m.tensor((1, 4), scale=0.05, zero_point=3)
    m.operator("SVDF", operands, [y], {"rank": 2}, options_type="SVDFOptions", version=3)
    random_fully_connected(m, rng, y, 3)


def read_again(m: ModelBuilder, rng: Rng) -> None:
    """A variable that nothing initializes, read before and after it is assigned."""
    x = random_input(m, rng, (1, 4))
    handle = m.handle("last", container="box")
    before = read_variable(m, handle, x, x.shape)
    assign_variable(m, handle, x)
    after = read_variable(m, m.handle("last", container="box"), x, x.shape)
    m.add(before, after, scale=2 * x.scale, zero_point=0)


NETWORKS = {f.__name__: f for f in (streaming, two_lstms, wide_lstm, svdf, read_again)}


def built(build: Callable[[ModelBuilder, Rng], None], seed: int = 0) -> tuple[bytes, Graph]:
    m = ModelBuilder()
    build(m, np.random.default_rng(seed))
    model = m.build()
    return model, read_model_bytes(model, "m")


def random_steps(graph: Graph, seed: int = 0, count: int = STEPS) -> list[Inputs]:
    rng = np.random.default_rng(seed)
    return [
        {i: _random(rng, graph.tensors[i].shape, graph.tensors[i].dtype) for i in graph.inputs}
        for _ in range(count)
    ]


def _random(rng: Rng, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def golden(model: bytes, graph: Graph, steps: list[Inputs]) -> list[NDArray[Any]]:
    inputs = [[step[i] for i in graph.inputs] for step in steps]
    return [outputs[0] for outputs in run_tflm_steps(model, inputs)]


@pytest.mark.parametrize("seed", range(4), ids="seed{}".format)
@pytest.mark.parametrize("name", NETWORKS)
def test_consecutive_inferences_match_tflm(name: str, seed: int) -> None:
    model, graph = built(NETWORKS[name], seed)
    steps = random_steps(graph, seed)
    network, state, readable = PreparedNetwork(graph), State(), State()
    for step, expected in zip(steps, golden(model, graph, steps), strict=True):
        np.testing.assert_array_equal(network.run(step)[graph.outputs[0]], expected)
        once = run_reference(graph, step, state=state)
        np.testing.assert_array_equal(once[graph.outputs[0]], expected)
        slowly = run_readable(graph, step, state=readable)
        np.testing.assert_array_equal(slowly[graph.outputs[0]], expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_matches_tflm(name: str) -> None:
    model, graph = built(NETWORKS[name])
    (step,) = random_steps(graph, count=1)
    comparison = compare(graph, run_golden(model, graph, step), run_reference(graph, step))
    assert comparison.bit_exact, comparison.mismatches
    assert comparison.intermediates_equal == comparison.intermediates


@pytest.mark.parametrize("keep", [False, True], ids=["outputs", "everything"])
@pytest.mark.parametrize("name", ["streaming", "two_lstms", "svdf"])
def test_the_delegate_keeps_variables_too(name: str, keep: bool) -> None:
    model, graph = built(NETWORKS[name])
    steps = random_steps(graph)
    runner = NetworkRunner(graph, config=NpuConfig(), backend="functional", keep_intermediates=keep)
    assert runner.network.partition.segments
    expected = golden(model, graph, steps)
    for step, outputs in zip(steps, expected, strict=True):
        np.testing.assert_array_equal(runner.run(step).outputs[graph.outputs[0]], outputs)
    runner.state.reset()
    again = runner.run(steps[0]).outputs[graph.outputs[0]]
    np.testing.assert_array_equal(again, expected[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_reset_starts_anew(name: str) -> None:
    _, graph = built(NETWORKS[name])
    network, steps = PreparedNetwork(graph), random_steps(graph)
    first = [network.run(step)[graph.outputs[0]] for step in steps]
    differing = [network.run(step)[graph.outputs[0]] for step in steps]
    network.state.reset()
    again = [network.run(step)[graph.outputs[0]] for step in steps]
    np.testing.assert_array_equal(first, again)
    # what the network remembers shows
    assert not np.array_equal(first, differing)


def test_a_copy_goes_its_own_way() -> None:
    _, graph = built(streaming)
    state, steps = State(), random_steps(graph)
    run_reference(graph, steps[0], state=state)
    copy = state.copy()
    outputs = [run_reference(graph, steps[1], state=s)[graph.outputs[0]] for s in (state, copy)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    run_reference(graph, steps[2], state=copy)
    ahead, behind = (run_reference(graph, steps[3], state=s) for s in (copy, state))
    assert not np.array_equal(ahead[graph.outputs[0]], behind[graph.outputs[0]])


def test_macs() -> None:
    _, graph = built(two_lstms)
    assert [graph.macs(op) for op in graph.operators] == [
        6 * 4 * 7 * (5 + 7),
        6 * 4 * 9 * (7 + 9),
        6 * 9 * 4,
    ]
    _, graph = built(svdf)
    assert [graph.macs(op) for op in graph.operators] == [8 * 10 + 8 * 5, 4 * 3]
