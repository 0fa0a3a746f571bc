"""The same inference on every backend, and what it is compared with."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from npu.errors import GoldenError, OutputError
from npu.golden import TFLM
from npu.inference import compare_with_golden, golden_name, infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.offload.backends import TIMED_BACKENDS, BackendName, SimulatorName
from rtl.config import PRESETS, NpuConfig
from sim.waves import Waves
from tests.npu.small_model import classifier

MODEL = classifier()
CONFIG = PRESETS["npu64"]
HALF_UP = replace(CONFIG, rounding="half_up")


def test_the_reference_and_the_simulators_are_all_backends() -> None:
    assert get_args(BackendName) == ("reference", *get_args(SimulatorName))
    assert set(get_args(SimulatorName)) > TIMED_BACKENDS


@pytest.mark.parametrize("config", [CONFIG, HALF_UP], ids=["double", "half_up"])
@pytest.mark.parametrize("backend", ["functional", "cycle"])
def test_backends_agree_with_the_reference(backend: BackendName, config: NpuConfig) -> None:
    graph = read_model_bytes(MODEL, "small")
    inputs = load_inputs(["random:3"], graph)
    golden = infer(graph, inputs, config=config, backend="reference")
    result = infer(graph, inputs, config=config, backend=backend, keep_intermediates=True)
    for index, values in result.outputs.items():
        assert np.array_equal(values, golden.outputs[index])
    assert (result.cycles is not None) == (backend in TIMED_BACKENDS)
    assert (result.account is not None) == (backend in TIMED_BACKENDS)
    assert golden.cycles is None
    assert {layer.placed for layer in golden.layers} == {"CPU"}
    comparison = compare_with_golden(graph, inputs, result, config=config, backend=backend)
    assert comparison.bit_exact
    assert comparison.intermediates_compared == comparison.intermediates


def test_what_a_run_is_compared_with() -> None:
    assert golden_name(CONFIG, "reference") == golden_name(CONFIG, "rtl") == TFLM
    assert golden_name(HALF_UP, "cycle") == "the kernels (half_up rounding)"
    assert golden_name(HALF_UP, "reference") is None


def test_the_reference_is_not_compared_with_itself() -> None:
    graph = read_model_bytes(MODEL, "small")
    inputs = load_inputs([], graph)
    result = infer(graph, inputs, config=HALF_UP, backend="reference")
    with pytest.raises(GoldenError, match="nothing to compare the reference with: TFLM rounds as"):
        compare_with_golden(graph, inputs, result, config=HALF_UP, backend="reference")


@pytest.mark.parametrize("backend", ["reference", "functional"])
def test_a_trace_needs_time(backend: BackendName, tmp_path: Path) -> None:
    graph = read_model_bytes(MODEL, "small")
    inputs = load_inputs([], graph)
    with pytest.raises(OutputError, match=f"a trace needs the backend cycle or rtl, {backend} has"):
        infer(graph, inputs, config=CONFIG, backend=backend, trace=tmp_path / "t.json")


@pytest.mark.parametrize("backend", ["reference", "functional", "cycle"])
def test_waves_need_signals(backend: BackendName, tmp_path: Path) -> None:
    graph = read_model_bytes(MODEL, "small")
    waves = Waves(path=tmp_path / "w.fst", first=0, last=9)
    with pytest.raises(OutputError, match=f"waves need the backend rtl, {backend} has no signals"):
        infer(graph, load_inputs([], graph), config=CONFIG, backend=backend, waves=waves)
