"""SPACE_TO_BATCH_ND > convolution > BATCH_TO_SPACE_ND as one dilated convolution against TFLM."""

import numpy as np
import pytest

from npu.compiler.lowering.dilation import find_dilations
from npu.compiler.rules.partition import Partition
from npu.golden import run_golden
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from rtl.config import PRESETS
from tests.npu.compiler.support import CONFIGS, check_model
from tests.npu.dilation_models import dealt, joined, temporal, two_dimensions
from tests.support.random_layers import random_conv2d, random_input
from tests.support.tflite_builder import ModelBuilder


def assert_all_on_npu(parts: Partition) -> None:
    assert not parts.reasons
    assert len(parts.segments) == 1


@pytest.mark.parametrize("config", ["npu32", "npu256", "tiny", "narrow", "wide"])
@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("seed", range(2))
def test_causal_convolutions_equal_tflm(seed: int, axis: int, config: str) -> None:
    model = temporal(seed, axis)
    found = find_dilations(read_model_bytes(model, "test"))
    # PAD, SPACE_TO_BATCH_ND, EXPAND_DIMS, the convolution, RESHAPE, BATCH_TO_SPACE_ND
    assert [len(one.members) for one in found] == [6, 6]
    assert_all_on_npu(check_model(model, CONFIGS[config], seed))


@pytest.mark.parametrize("config", ["npu64", "npu256", "wide"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("block", [(2, 2), (1, 3), (3, 2)])
def test_two_dimensions_equal_tflm(block: tuple[int, int], padding: str, config: str) -> None:
    configs = {**CONFIGS, "npu64": PRESETS["npu64"]}
    for seed in range(2):
        # TFLM deals out zeros where it fills up: only then are they what SAME pads with
        model = two_dimensions(seed, block, padding, 0 if padding == "SAME" else 17)
        assert_all_on_npu(check_model(model, configs[config], seed))


def test_zeros_beside_a_zero_point_stay_apart() -> None:
    model = two_dimensions(1, (2, 3), "SAME", 17)
    parts = check_model(model, CONFIGS["npu256"])
    graph = read_model_bytes(model, "test")
    kinds = {graph.operator(i).kind for i in parts.reasons}
    assert {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"} <= kinds
    assert "only around one convolution" in parts.reasons[0]


def test_what_is_read_elsewhere_stays_apart() -> None:
    rng = np.random.default_rng(3)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 8, 8, 8))
    y = dealt(m, x, (2, 2), ((0, 0), (0, 0)))
    z = random_conv2d(m, rng, y, 8, (3, 3))
    model = m.build([joined(m, z, (2, 2), ((0, 0), (0, 0))), m.relu(y, scale=0.1, zero_point=0)])
    assert not find_dilations(read_model_bytes(model, "test"))
    assert {0, 2} <= set(check_model(model, CONFIGS["npu256"]).reasons)


def test_a_dilation_is_in_one_run_or_in_none() -> None:
    """An operator for the CPU between its operators: nothing of it goes to the NPU alone."""
    rng = np.random.default_rng(4)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 8, 8, 8))
    y = dealt(m, x, (2, 2), ((0, 0), (0, 0)))
    other = m.softmax(m.reshape(x, (64, 8)))
    z = random_conv2d(m, rng, y, 8, (3, 3))
    model = m.build([joined(m, z, (2, 2), ((0, 0), (0, 0))), other])
    graph = read_model_bytes(model, "test")
    assert len(find_dilations(graph)) == 1
    parts = check_model(model, CONFIGS["npu256"])
    on_npu = {graph.operator(i).kind for s in parts.segments for i in s.operators}
    assert not on_npu & {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"}


@pytest.mark.parametrize("preset", ["npu32", "npu256"])
def test_dilated_convolutions_on_rtl(preset: str) -> None:
    for model in (temporal(5), two_dimensions(6, (3, 2), "VALID", -9)):
        graph = read_model_bytes(model, "test")
        values = np.random.default_rng(1).integers(-128, 128, graph.tensors[graph.inputs[0]].shape)
        inputs = {graph.inputs[0]: values.astype(np.int8)}
        golden = run_golden(model, graph, inputs)
        for backend in ("cycle", "rtl"):
            result = NetworkRunner(graph, config=PRESETS[preset], backend=backend).run(inputs)
            assert all(layer.placed == "NPU" for layer in result.layers)
            for index, value in result.outputs.items():
                np.testing.assert_array_equal(value, golden[index])
