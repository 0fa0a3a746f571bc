"""Networks in LiteRT and tf.lite with the NPU in them, beside TFLM."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import npu
from npu.zoo import model_path
from tests.npu.tflite_delegate.support import Tflm, interpreter, random_inputs, run
from tests.support.shared_models import FOLDER, NETWORKS, shared_model

SEED = 7
FAST = tuple(n for n in NETWORKS if n != "tflm_mobilenet_v2_224")
OTHERS = ("cfu_hps_89ops", "mcunetv2_ops6_48", "mww_okay_nabu")
"""Of `models/refused` those that an interpreter itself runs: tflm_person_detect has a quantized
dimension that LiteRT refuses, and LiteRT's own SVDF corrupts its heap on
tflm_keyword_scrambled_8bit, with no delegate in sight."""
WAKE_WORDS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


def compare(model: Path, backend: Any, invokes: int, config: str = "npu64") -> npu.DelegateReport:
    """Compare every output of so many invokes with TFLM."""
    delegate = npu.delegate(config=config, backend=backend)
    ours, golden = interpreter(model, delegate), Tflm(model.read_bytes())
    rng = np.random.default_rng(SEED)
    for number in range(invokes):
        inputs = random_inputs(ours, rng)
        made = run(ours, inputs)
        for one, expected in zip(made, golden.run(inputs, len(made)), strict=True):
            assert np.array_equal(one, expected), f"seed {SEED}, invoke {number}"
    return delegate.report()


@pytest.mark.parametrize("name", [*FAST, "tflm_mobilenet_v2_224"])
def test_public_networks_have_the_bits_of_tflm(name: str) -> None:
    report = compare(shared_model(name), "functional", 2)
    (graph,) = report.interpreters
    assert graph.offload == 1.0
    assert graph.operators - graph.npu_operators <= 1, graph.reasons


@pytest.mark.parametrize("name", OTHERS)
def test_networks_that_were_refused_once(name: str) -> None:
    report = compare(shared_model(f"refused/{name}"), "functional", 2)
    assert sum(one.npu_operators for one in report.interpreters) > 20


@pytest.mark.parametrize("backend", ["reference", "functional", "cycle", "rtl"])
def test_every_backend_runs_the_shipped_network(backend: str) -> None:
    report = compare(model_path(), backend, 2)
    assert report.backend == backend
    assert [s.runs for s in report.segments] == [2]
    timed = backend in ("cycle", "rtl")
    assert (report.cycles is not None) == timed
    if timed:
        alone = npu.run(npu.load(model_path()), config="npu64").cycles
        assert [invoke.cycles for invoke in report.invokes] == [alone, alone]
        assert report.cycles == 2 * (alone or 0)


def test_the_report_adds_up() -> None:
    report = compare(model_path(), "cycle", 3)
    (graph,), (segment,) = report.interpreters, report.segments
    assert graph.npu_macs == graph.macs == segment.macs == npu.load(model_path()).graph.total_macs
    assert graph.npu_operators == len(segment.operators) == graph.operators - 1
    assert list(graph.reasons.values()) == ["SOFTMAX is not an NPU operator"]
    assert segment.utilization == segment.macs / (64 * (segment.cycles or 0))
    assert [(i.segments, i.macs, i.cycles) for i in report.invokes] == [
        (1, segment.macs, segment.cycles)
    ] * 3
    assert "on the NPU, 100.0% of the MACs" in str(report)
    assert report.to_dict()["segments"][0]["cycles"] == segment.cycles


@pytest.mark.parametrize("name", WAKE_WORDS)
def test_streaming_wake_words_keep_their_state(name: str) -> None:
    """200 invokes, each of which reads what the last one left in the variables."""
    found = importlib.util.find_spec("pymicro_wakeword")
    assert found is not None
    assert found.origin is not None
    model = Path(found.origin).parent / "models" / f"{name}.tflite"
    report = compare(model, "functional", 200)
    main = report.interpreters[0]
    assert main.npu_macs == main.macs > 0
    assert len(report.invokes) == 200


def test_the_interpreters_own_kernels_may_be_its_fastest_ones() -> None:
    """Which round otherwise than TFLM; what the NPU takes does not reach them."""
    path = model_path()
    delegate = npu.delegate(config="npu64", backend="reference")
    ours, golden = interpreter(path, delegate, reference=False), Tflm(path.read_bytes())
    rng = np.random.default_rng(SEED)
    for _ in range(3):
        inputs = random_inputs(ours, rng)
        assert np.array_equal(run(ours, inputs)[0], golden.run(inputs)[0]), f"seed {SEED}"


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
@pytest.mark.parametrize("name", [*FAST, *(f"refused/{name}" for name in OTHERS)])
@pytest.mark.filterwarnings("ignore")
def test_tensorflow_takes_the_delegate(name: str) -> None:
    import tensorflow as tf

    path = FOLDER / f"{name}.tflite"
    shared_model(name)
    delegate = npu.delegate(config="npu64", backend="functional")
    ours = tf.lite.Interpreter(model_path=str(path), experimental_delegates=[delegate])
    ours.allocate_tensors()
    golden, rng = Tflm(path.read_bytes()), np.random.default_rng(SEED)
    for number in range(2):
        inputs = random_inputs(ours, rng)
        made = run(ours, inputs)
        for one, expected in zip(made, golden.run(inputs, len(made)), strict=True):
            assert np.array_equal(one, expected), f"seed {SEED}, invoke {number}"
    assert delegate.report().interpreters[0].npu_operators > 0
