"""Standard output that is closed early or full, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from npu.commands import streams
from tests.npu.small_model import classifier

PROGRAM = (sys.executable, "-c", "from npu.cli import main; main()")
# more than a pipe holds, so that whoever writes it notices that nobody reads
LINES = 20_000
# the command's check has failed when its output is written
FAILING = f"""
import typer
from npu import cli

@cli.app.command()
def failing() -> None:
    from npu.report.tables import make_console, print_line
    for _ in range({LINES}):
        print_line(make_console(), "a line of some bytes")
    raise typer.Exit(1)

cli.main(["failing"])
"""


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.tflite"
    path.write_bytes(classifier())
    return path


def first_line(*command: str) -> tuple[int, bytes, bytes]:
    """Exit code, first line and standard error of a process whose output is then closed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        process.stdout.close()
        return process.wait(), line, process.stderr.read()


def test_a_closed_pipe_is_no_failure(model: Path) -> None:
    code, line, errors = first_line(*PROGRAM, "disasm", str(model))
    assert (code, errors) == (0, b"")
    assert line.startswith(b"operator 6:SOFTMAX on the CPU")


@pytest.mark.parametrize("arguments", [("--help",), ("ops", "--markdown"), ("configs", "--json")])
def test_nobody_reads(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([*PROGRAM, *arguments], stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_failed_check_is_one_whoever_reads() -> None:
    code, line, errors = first_line(sys.executable, "-c", FAILING)
    assert (code, line, errors) == (1, b"a line of some bytes\n", b"")


def test_json_on_a_full_disk_is_one_line(model: Path) -> None:
    command = [*PROGRAM, "run", str(model), "--backend", "reference", "--json", "-"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "npu: error: cannot write: No space left on device\n"


def test_streams_of_others_stay(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    before = sys.stdout, sys.stderr
    streams.outlive_readers()
    streams.drop_output()
    assert (sys.stdout, sys.stderr) == before
    monkeypatch.setattr(sys, "stdout", None)
    streams.outlive_readers()
    assert sys.stdout is None
