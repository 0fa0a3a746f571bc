"""How programs use a delegate: resized, shared, from threads, thrown away, with errors."""

import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import npu
from npu.tflite_delegate import execution as room
from npu.zoo import model_path
from rtl.errors import NpuError
from tests.bench.delegate import LIMIT_US, overhead_us
from tests.npu.small_model import classifier
from tests.npu.tflite_delegate.support import Tflm, interpreter, random_inputs, run
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder

SEED = 11


def two_convolutions(height: int = 9, width: int = 8, batch: int = 1) -> bytes:
    rng = np.random.default_rng(SEED)
    m = ModelBuilder()
    x = m.input((batch, height, width, 3), scale=1 / 255, zero_point=-128, name="image")
    y = random_conv2d(m, rng, x, 6, activation="RELU")
    return m.build([random_conv2d(m, rng, y, 4, (1, 1))])


@pytest.mark.parametrize("backend", ["reference", "cycle"])
def test_resized_inputs(backend: Any) -> None:
    delegate = npu.delegate(config="npu64", backend=backend)
    ours = interpreter(two_convolutions(), delegate)
    rng = np.random.default_rng(SEED)
    (index,) = (d["index"] for d in ours.get_input_details())
    for batch, height, width in ((1, 9, 8), (1, 5, 14), (3, 9, 8), (1, 9, 8)):
        ours.resize_tensor_input(index, [batch, height, width, 3])
        ours.allocate_tensors()
        inputs = random_inputs(ours, rng)
        (made,) = run(ours, inputs)
        (expected,) = Tflm(two_convolutions(height, width, batch)).run(inputs)
        assert made.shape == expected.shape
        assert np.array_equal(made, expected), f"seed {SEED}: {batch, height, width}"
    report = delegate.report()
    assert [s.runs for s in report.segments] == [4]
    if backend == "cycle":
        cycles = [invoke.cycles for invoke in report.invokes]
        assert cycles[0] == cycles[3] != cycles[2]


def test_a_shape_that_an_operator_does_not_take_is_an_error() -> None:
    ours = interpreter(classifier(), npu.delegate(config="npu64", backend="cycle"))
    (index,) = (d["index"] for d in ours.get_input_details())
    ours.resize_tensor_input(index, [1, 20, 21, 3])
    with pytest.raises(RuntimeError, match=r"NPU: operator \d+ \(\w+\): "):
        ours.allocate_tensors()


def test_several_interpreters_with_one_delegate() -> None:
    delegate = npu.delegate(config="npu64", backend="cycle")
    models = [classifier(seed) for seed in range(3)]
    all_of_them = [interpreter(model, delegate) for model in models]
    golden = [Tflm(model) for model in models]
    rng = np.random.default_rng(SEED)
    for _ in range(2):
        for one, expected in zip(all_of_them, golden, strict=True):
            inputs = random_inputs(one, rng)
            assert np.array_equal(run(one, inputs)[0], expected.run(inputs)[0]), f"seed {SEED}"
    report = delegate.report()
    assert [one.interpreter for one in report.interpreters] == [0, 1, 2]
    assert [s.runs for s in report.segments] == [2, 2, 2]
    assert len(report.invokes) == 6


@pytest.mark.parametrize("backend", ["reference", "cycle", "rtl"])
def test_threads(backend: Any) -> None:
    """Interpreters of one delegate, each in a thread of its own."""
    delegate = npu.delegate(config="npu64", backend=backend)
    model, results = classifier(), [False] * 4
    rng = np.random.default_rng(SEED)
    inputs = [random_inputs(interpreter(model), rng) for _ in results]
    expected = [Tflm(model).run(value)[0] for value in inputs]

    def work(number: int) -> None:
        mine = interpreter(model, delegate)
        made = [run(mine, inputs[number])[0] for _ in range(5)]
        results[number] = all(np.array_equal(one, expected[number]) for one in made)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results), f"seed {SEED}"
    assert sum(s.runs for s in delegate.report().segments) == 5 * len(results)


def test_ended_interpreters_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("npu.tflite_delegate.delegate.KEPT_INTERPRETERS", 3)
    delegate = npu.delegate(config="npu64", backend="reference")
    model = two_convolutions()
    for _ in range(6):
        interpreter(model, delegate)
        gc.collect()
    assert [one.interpreter for one in delegate.report().interpreters] == [2, 3, 4, 5]


ENDINGS = {
    "delegate first": "del d; gc.collect(); i.invoke(); del i",
    "interpreter first": "del i; gc.collect(); d.report(); del d",
    "both in a circle": "c = [i, d]; c.append(c); del i, d, c; gc.collect()",
    "at the end of the process": "pass",
    "with an interpreter in a module": "sys.kept, sys.also = i, d; del i, d",
    "without the wrapper": "w = i._interpreter; i._delegates = None; del i, d; gc.collect(); "
    "w.Invoke(); del w; gc.collect()",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_order_of_ending(ending: str) -> None:
    program = f"""
import gc, sys
import npu
from ai_edge_litert.interpreter import Interpreter
d = npu.delegate(config="npu64", backend="reference")
i = Interpreter(model_path={str(model_path())!r}, experimental_delegates=[d])
i.allocate_tensors(); i.invoke()
{ENDINGS[ending]}
print("end")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "end\n"
    assert "Error" not in done.stderr


class Broken(room.ProgramExecution):
    def run(self, inputs: room.Arrays, outputs: room.Arrays) -> int | None:
        raise self.error

    error: BaseException


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NpuError("the NPU stopped at 100 %s of command 3"), "NPU: the NPU stopped at 100 %s of"),
        (ZeroDivisionError("by zero"), "NPU: ZeroDivisionError: by zero"),
        (KeyboardInterrupt(), "NPU: KeyboardInterrupt"),
    ],
)
def test_an_error_of_a_backend_is_one_of_invoke(
    error: BaseException, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    delegate = npu.delegate(config="npu64", backend="functional")
    ours, rng = interpreter(model_path(), delegate), np.random.default_rng(SEED)
    inputs = random_inputs(ours, rng)
    before = run(ours, inputs)[0]
    with monkeypatch.context() as patch:
        patch.setattr(Broken, "error", error, raising=False)
        patch.setattr(room.ProgramExecution, "run", Broken.run)
        patch.setattr(room.ProgramExecution, "error", error, raising=False)
        with pytest.raises(RuntimeError, match=text):
            ours.invoke()
    assert np.array_equal(run(ours, inputs)[0], before)


def test_an_error_while_a_segment_is_made_is_one_of_allocate_tensors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any) -> None:
        raise NpuError("no kernel has it")

    monkeypatch.setattr("npu.tflite_delegate.delegate.execution", refuse)
    with pytest.raises(RuntimeError, match="NPU: no kernel has it"):
        interpreter(model_path(), npu.delegate(config="npu64"))


def test_a_division_that_fails_takes_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise NpuError("it cannot be divided")

    monkeypatch.setattr("npu.tflite_delegate.delegate.divide", refuse)
    delegate = npu.delegate(config="npu64")
    interpreter(model_path(), delegate).invoke()
    assert [r.message for r in caplog.records] == [
        "NPU: it cannot be divided; the delegate takes nothing"
    ]
    assert not delegate.report().segments


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"backend": "gpu"}, "backend is 'gpu'; allowed are reference, functional, cycle, rtl"),
        ({"config": "npu65"}, "npu65"),
    ],
)
def test_mistakes(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(NpuError, match=text):
        npu.delegate(**arguments)


def test_an_invoke_costs_little_beside_the_backend() -> None:
    assert overhead_us(model_path().read_bytes())[0] < LIMIT_US


def test_nothing_shadows_the_function() -> None:
    import npu.api

    assert callable(npu.delegate)
    assert npu.delegate is npu.api.delegate
    assert not list(Path(npu.__path__[0]).glob("delegate*"))


def test_a_network_that_holds_nothing_for_the_npu_runs() -> None:
    m = ModelBuilder()
    x = m.input((1, 8), scale=0.1, zero_point=3, name="x")
    model = m.build([m.softmax(x)])
    delegate = npu.delegate(config="npu64")
    ours, rng = interpreter(model, delegate), np.random.default_rng(SEED)
    inputs = random_inputs(ours, rng)
    assert np.array_equal(run(ours, inputs)[0], Tflm(model).run(inputs)[0])
    report = delegate.report()
    assert report.interpreters[0].reasons == {0: "SOFTMAX is not an NPU operator"}
    assert not report.segments
    assert report.cycles is None
