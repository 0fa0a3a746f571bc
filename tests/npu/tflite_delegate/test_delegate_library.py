"""`libnpu_delegate.so`, from Python's `load_delegate`, and from a C program without Python.

The interpreter of the C program is the C library of TensorFlow Lite in the package
`pymicro-wakeword`.
"""

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, load_delegate

from npu.cli import main
from npu.tflite_delegate.library_build import delegate_library
from npu.zoo import model_path
from tests.npu.tflite_delegate.support import Tflm, interpreter, random_inputs, run

SEED = 3
PROGRAM = Path(__file__).with_name("program.c")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program, built."""
    found = importlib.util.find_spec("pymicro_wakeword")
    assert found is not None
    assert found.origin is not None
    library = Path(found.origin).parent / "lib" / "libtensorflowlite_c.so"
    target = tmp_path_factory.mktemp("program") / "program"
    command = ["gcc", str(PROGRAM), str(library), "-ldl", f"-Wl,-rpath,{library.parent}"]
    subprocess.run([*command, "-o", str(target)], check=True)
    return target


def call(program: Path, data: bytes, *options: str) -> "subprocess.CompletedProcess[bytes]":
    # nothing that would help it to find this project
    variables = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "NPU_CACHE_DIR")}
    command = [str(program), str(model_path()), str(delegate_library()), *options]
    return subprocess.run(command, input=data, capture_output=True, env=variables, timeout=120)


def test_the_command_prints_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["delegate-library"])
    assert ended.value.code == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == "libnpu_delegate.so"
    assert path.is_file()


def test_load_delegate(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = {"config": "npu64", "backend": "cycle", "report": str(report)}
    delegate = load_delegate(str(delegate_library()), options)
    ours = Interpreter(model_path=str(model_path()), experimental_delegates=[delegate])
    ours.allocate_tensors()
    inputs = random_inputs(ours, np.random.default_rng(SEED))
    (expected,) = Tflm(model_path().read_bytes()).run(inputs)
    assert np.array_equal(run(ours, inputs)[0], expected), f"seed {SEED}"
    ours._delegates = None
    del ours, delegate
    assert json.loads(report.read_text())["segments"][0]["runs"] == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"speed": "3"}, "NPU: unknown option 'speed'; allowed are config, backend, report"),
        ({"backend": "gpu"}, "NPU: backend is 'gpu'; allowed are reference, functional"),
        ({"config": "npu65"}, "NPU: .*npu65"),
    ],
)
def test_mistakes(options: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load_delegate(str(delegate_library()), options)


@pytest.mark.parametrize("backend", ["reference", "cycle"])
def test_a_program_without_python(program: Path, backend: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    inputs = random_inputs(interpreter(model_path()), np.random.default_rng(SEED))
    options = ("config", "npu64", "backend", backend, "report", str(report))
    done = call(program, inputs[0].tobytes(), *options)
    assert done.returncode == 0, done.stderr.decode()
    (expected,) = Tflm(model_path().read_bytes()).run(inputs)
    assert done.stdout == expected.tobytes(), f"seed {SEED}"
    written = json.loads(report.read_text())
    assert [s["runs"] for s in written["segments"]] == [1]
    assert (written["segments"][0]["cycles"] is not None) == (backend == "cycle")


def test_a_program_gets_the_message(program: Path) -> None:
    done = call(program, b"", "backend", "gpu")
    assert done.returncode == 3
    assert b"NPU: backend is 'gpu'; allowed are reference, functional, cycle, rtl" in done.stderr


def test_a_report_that_cannot_be_written_is_said(program: Path, tmp_path: Path) -> None:
    inputs = random_inputs(interpreter(model_path()), np.random.default_rng(SEED))
    done = call(
        program, inputs[0].tobytes(), "backend", "reference", "report", str(tmp_path / "no" / "r")
    )
    assert done.returncode == 0
    assert b"cannot write" in done.stderr
