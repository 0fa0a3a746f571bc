"""Streaming networks over 200 consecutive inferences with state, against one TFLM interpreter."""

from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.offload.runner import NetworkRunner
from npu.reference.network import PreparedNetwork
from rtl.config import PRESETS
from tests.npu.reference.test_state import NETWORKS, Inputs, built, random_steps
from tests.support.recurrent import ring_buffer
from tests.support.shared_models import shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm_steps

STEPS = 200


def golden(model: bytes, graph: Graph, steps: list[Inputs]) -> list[list[NDArray[np.generic]]]:
    return run_tflm_steps(model, [[step[i] for i in graph.inputs] for step in steps])


def assert_same(graph: Graph, outputs: Inputs, expected: list[NDArray[np.generic]]) -> None:
    for index, values in zip(graph.outputs, expected, strict=True):
        np.testing.assert_array_equal(outputs[index], values, strict=True)


def with_bytes_at_the_ends() -> bytes:
    """A ring buffer behind a uint8 input, and a uint8 output, as wake-word networks have it."""
    m = ModelBuilder()
    x = m.input((1, 2, 1, 6), dtype=np.uint8, scale=0.05, zero_point=120)
    y = ring_buffer(m, "rows", m.quantize(x, scale=0.05, zero_point=-8), 6)
    y = m.max_pool2d(y, window=(6, 1))
    z = m.tensor(y.shape, np.uint8, scale=y.scale, zero_point=y.zero_point + 128)
    m.operator("QUANTIZE", [y], [z], {}, options_type="QuantizeOptions")
    return m.build()


@pytest.mark.parametrize("name", [*NETWORKS, "bytes"])
def test_the_reference_follows_tflm(name: str) -> None:
    if name == "bytes":
        model = with_bytes_at_the_ends()
        graph = read_model_bytes(model, "m")
    else:
        model, graph = built(NETWORKS[name])
    steps = random_steps(graph, count=STEPS)
    network = PreparedNetwork(graph)
    for step, expected in zip(steps, golden(model, graph, steps), strict=True):
        assert_same(graph, network.run(step), expected)


@pytest.mark.parametrize("backend", ["functional", "cycle"])
@pytest.mark.parametrize("name", ["streaming", "svdf"])
def test_the_hardware_follows_tflm(name: str, backend: Literal["functional", "cycle"]) -> None:
    model, graph = built(NETWORKS[name])
    steps = random_steps(graph, count=STEPS)
    runner = NetworkRunner(graph, config=PRESETS["npu64"], backend=backend)
    for step, expected in zip(steps, golden(model, graph, steps), strict=True):
        assert_same(graph, dict(runner.run(step).outputs), expected)


def test_a_published_wake_word() -> None:
    path = shared_model("refused/mww_okay_nabu")
    graph = read_model(path)
    steps = random_steps(graph, count=STEPS)
    network = PreparedNetwork(graph)
    for step, expected in zip(steps, golden(path.read_bytes(), graph, steps), strict=True):
        assert_same(graph, network.run(step), expected)
