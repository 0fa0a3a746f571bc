"""Whole networks on the RTL, against TFLM: every labelled sample, random inputs, all presets.

The public networks are used when they are at hand (see `tests.support.shared_models`); the shipped
network is always there.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from npu import zoo
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model
from npu.offload.runner import NetworkRunner
from rtl.config import PRESETS
from tests.support.shared_models import MLPERF, shared_inputs, shared_model

ASKED_CYCLES = {
    "mlperf_ic_resnet8": 107_000,
    "mlperf_vww_mbv1_96": 147_000,
    "mlperf_kws_dscnn": 56_000,
    "mlperf_ad_toycar": 41_000,
}
"""Arm's estimate for Ethos-U55 with 256 MACs per cycle; npu256 must not need more."""

ON_CPU = {"SOFTMAX"}
"""The only kind of operator of these networks that may run outside the NPU."""


@cache
def samples(network: str) -> dict[str, NDArray[np.int8]]:
    """The labelled inputs of a network, by name."""
    with np.load(shared_inputs()) as archive:
        return {key: archive[key] for key in archive.files if key.startswith(f"{network}/")}


@cache
def golden(path: Path, key: str) -> dict[int, NDArray[np.int8]]:
    """TFLM's tensors for an input of `samples`, or for `random:SEED`."""
    graph = read_model(path)
    return dict(run_golden(path.read_bytes(), graph, inputs_of(path, key)))


def inputs_of(path: Path, key: str) -> dict[int, NDArray[np.int8]]:
    graph = read_model(path)
    if key.startswith("random:"):
        return dict(load_inputs([key], graph))
    (tensor,) = graph.inputs
    return {tensor: samples(path.stem)[key].reshape(graph.tensors[tensor].shape)}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("network", MLPERF)
def test_every_labelled_sample_is_bit_exact(network: str, preset: str) -> None:
    path = shared_model(network)
    graph = read_model(path)
    runner = NetworkRunner(graph, config=PRESETS[preset], backend="rtl")
    keys = [*samples(network), "random:1"]
    assert len(keys) > 4
    for key in keys:
        result = runner.run(inputs_of(path, key))
        expected = golden(path, key)
        for index in graph.outputs:
            np.testing.assert_array_equal(result.outputs[index], expected[index], err_msg=key)
        assert {layer.kind for layer in result.layers if layer.placed == "CPU"} <= ON_CPU
        assert result.cycles is not None
        if preset == "npu256":
            assert result.cycles <= ASKED_CYCLES[network], key


@pytest.mark.parametrize("preset", PRESETS)
def test_every_tensor_of_the_shipped_network_is_bit_exact(preset: str) -> None:
    path = zoo.model_path()
    graph = read_model(path)
    runner = NetworkRunner(graph, config=PRESETS[preset], backend="rtl", keep_intermediates=True)
    inputs = inputs_of(path, "random:7")
    result = runner.run(inputs)
    comparison = compare(graph, golden(path, "random:7"), result.values)
    assert comparison.bit_exact, comparison.summary
    assert result.cycles == runner.run(inputs).cycles, "the same run takes the same cycles"
    assert sum(layer.cycles or 0 for layer in result.layers) == result.cycles
