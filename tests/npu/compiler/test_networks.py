"""Whole public networks on every preset, every tensor against TFLM."""

import time

import pytest

from npu.compiler.compile import CompilerOptions, compile_segment
from npu.compiler.rules.partition import partition
from npu.model.tflite_reader import read_model
from rtl.config import PRESETS
from tests.npu.compiler.support import check_model
from tests.support.shared_models import MLPERF, NETWORKS, shared_model

CPU_OPERATORS = {"SOFTMAX"}
SMALL_SECONDS, LARGE_SECONDS = 2.0, 10.0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "tflm_mobilenet_v2_224"])
def test_network_equals_tflm(name: str, preset: str) -> None:
    path = shared_model(name)
    options = CompilerOptions(keep_intermediates=True)
    parts = check_model(path.read_bytes(), PRESETS[preset], options=options)
    kinds = {read_model(path).operators[i].kind for i in parts.reasons}
    assert kinds <= CPU_OPERATORS, parts.reasons


def test_network_that_does_not_fit_on_chip_equals_tflm() -> None:
    path = shared_model("tflm_mobilenet_v2_224")
    parts = check_model(path.read_bytes(), PRESETS["npu256"])
    assert not parts.reasons


@pytest.mark.parametrize("name", [*MLPERF, "tflm_mobilenet_v2_224"])
def test_compile_time(name: str) -> None:
    graph = read_model(shared_model(name))
    start = time.process_time()
    for segment in partition(graph, PRESETS["npu256"]).segments:
        compile_segment(graph, segment, PRESETS["npu256"])
    limit = SMALL_SECONDS if name in MLPERF else LARGE_SECONDS
    assert time.process_time() - start < limit
