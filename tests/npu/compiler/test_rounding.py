"""Hardware with each rounding computes what the kernels compute with it."""

import dataclasses

import numpy as np
import pytest

from kernels.requantize import Rounding
from npu.compiler.rules.partition import partition
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from npu.reference.network import run_reference
from rtl.config import PRESETS
from tests.npu.compiler.support import CONFIGS
from tests.npu.operator_models import integers
from tests.support.operators import elementwise, unary
from tests.support.random_layers import (
    random_add,
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
)
from tests.support.tflite_builder import ModelBuilder


def network(seed: int) -> bytes:
    """Every kind of requantization, and tables."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 13, 12, 5)), 24)
    y = random_depthwise_conv2d(m, rng, x)
    x = random_add(m, rng, x, y)
    x = elementwise(m, "SUB", x, y, scale=x.scale * 1.2, zero_point=5)
    x = elementwise(m, "MUL", x, y, scale=x.scale * y.scale * 80, zero_point=-7)
    x = unary(m, "LEAKY_RELU", x, scale=x.scale * 0.7, zero_point=-20, alpha=0.3)
    x = m.average_pool2d(x, window=(2, 3), stride=(2, 1), padding="SAME")
    x = m.max_pool2d(x, window=(2, 2))
    y = m.tensor((1, 1, x.shape[2], 24), scale=x.scale * 3, zero_point=3)
    m.operator("SUM", [x, integers(m, 1)], [y], {"keepDims": True}, options_type="ReducerOptions")
    y = m.mean(y, (1, 2), scale=y.scale / 2, zero_point=-3, keep_dims=False)
    y = random_fully_connected(m, rng, y, 17)
    m.softmax(unary(m, "QUANTIZE", y, scale=y.scale * 1.3, zero_point=4))
    return m.build()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rounding", [mode.name.lower() for mode in Rounding])
@pytest.mark.parametrize("name", ["npu256", "tiny"])
def test_network_equals_the_kernels(name: str, rounding: str, seed: int) -> None:
    config = dataclasses.replace(CONFIGS[name], rounding=rounding)
    graph = read_model_bytes(network(seed), "test")
    rng = np.random.default_rng(seed)
    (tensor,) = graph.inputs
    inputs = {tensor: rng.integers(-128, 128, graph.tensors[tensor].shape).astype(np.int8)}
    runner = NetworkRunner(graph, config=config, backend="functional", keep_intermediates=True)
    result = runner.run(inputs)
    assert set(partition(graph, config).reasons) == {len(graph.operators) - 1}
    expected = run_reference(graph, inputs, rounding=Rounding.named(rounding))
    for index, value in {**result.values, **result.outputs}.items():
        if index in expected:
            np.testing.assert_array_equal(value, expected[index], f"seed {seed}, tensor {index}")


def test_roundings_differ_in_a_network() -> None:
    graph = read_model_bytes(network(0), "test")
    (tensor,) = graph.inputs
    inputs = {tensor: np.arange(13 * 12 * 5).astype(np.int8).reshape(1, 13, 12, 5)}
    last = graph.operators[-1].inputs[0]
    results = [run_reference(graph, inputs, rounding=mode) for mode in Rounding]
    differing = [t for t in results[0] if any((r[t] != results[0][t]).any() for r in results[1:])]
    assert last in results[0]
    assert len(differing) > 3


@pytest.mark.parametrize("rounding", ["single", "half_up"])
def test_average_of_many_values_needs_the_rounding_of_tflm(rounding: str) -> None:
    m = ModelBuilder()
    m.average_pool2d(m.input((1, 54, 54, 3), scale=0.5), window=(54, 54))
    graph = read_model_bytes(m.build(), "test")
    assert not partition(graph, PRESETS["npu256"]).reasons
    config = dataclasses.replace(PRESETS["npu256"], rounding=rounding)
    assert partition(graph, config).reasons == {
        0: f"with {rounding} rounding, averages are exact over up to 2896 values, not 2916"
    }
