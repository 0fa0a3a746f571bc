"""A network whose operators alternate between NPU and CPU, some of them with several outputs."""

import numpy as np
import pytest

from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import run_network
from npu.reference.network import run_reference
from rtl.config import load_config
from tests.support.operators import elementwise, unary
from tests.support.random_layers import random_conv2d, random_input
from tests.support.tflite_builder import ModelBuilder


def network(seed: int) -> bytes:
    """Two branches that a SPLIT makes and a MUL joins; the rows of the result are the outputs."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 8, 8, 4)), 8)
    shape = (1, 8, 8, 4)
    halves = [m.tensor(shape, scale=x.scale, zero_point=x.zero_point) for _ in range(2)]
    axis = m.constant(np.array(3, np.int32))
    m.operator("SPLIT", [axis, x], halves, {"numSplits": 2}, options_type="SplitOptions")
    a, b = (random_conv2d(m, rng, half, 8) for half in halves)
    gate = unary(m, "HARD_SWISH", a, scale=a.scale, zero_point=a.zero_point)
    y = elementwise(m, "MUL", gate, b, scale=gate.scale * b.scale * 64, zero_point=3)
    z = random_conv2d(m, rng, y, 4)
    rows = [m.tensor((1, 8, 4), scale=z.scale, zero_point=z.zero_point) for _ in range(8)]
    m.operator("UNPACK", [z], rows, {"num": 8, "axis": 1}, options_type="UnpackOptions")
    return m.build()


@pytest.mark.parametrize("seed", range(3))
def test_every_tensor_matches_tflm(seed: int) -> None:
    model = network(seed)
    graph = read_model_bytes(model, "m")
    assert len(graph.outputs) == 8
    inputs = load_inputs([f"random:{seed}"], graph)
    golden = run_golden(model, graph, inputs)
    reference = compare(graph, golden, run_reference(graph, inputs))
    assert reference.bit_exact, reference.mismatches[0]
    config = load_config("npu64")
    result = run_network(
        graph, inputs, config=config, backend="functional", keep_intermediates=True
    )
    comparison = compare(graph, golden, {**result.values, **result.outputs})
    assert comparison.bit_exact, comparison.mismatches[0]
    # the halves of the map lie between each other
    assert comparison.intermediates_compared == reference.intermediates_compared - 2
    on_npu = [layer.kind for layer in result.layers if layer.placed == "NPU"]
    assert on_npu.count("CONV_2D") == 4
