"""How the command line greets, what it shows on which terminal, and what its JSON is good for."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from npu import cli
from npu.version import PACKAGE, tool_version
from rtl.config import PRESETS, NpuConfig
from rtl.verilog import verilog_text
from tests.npu.small_model import classifier
from tests.sim import configs
from tests.support.command_line import npu

NARROW, USUAL = 60, 80


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.tflite"
    path.write_bytes(classifier())
    return path


def process(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python -m npu ARGUMENTS` with further environment variables, on pipes."""
    return subprocess.run(
        [sys.executable, "-m", "npu", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def on_terminal(*arguments: str, **variables: str) -> str:
    """What `python -m npu ARGUMENTS` shows on a terminal, control codes included."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    shown = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        shown.extend(data)
        # nothing of it on the terminal of whoever runs the tests
        return b"\0" if data else b""

    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({**environment, "TERM": "xterm-256color", **variables})
    try:
        status = pty.spawn([sys.executable, "-m", "npu", *arguments], read, lambda _: b"")
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert os.waitstatus_to_exitcode(status) == 0
    return shown.decode()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert npu("--version") == 0
    assert capsys.readouterr().out == f"npu {tool_version()}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", tool_version())


def test_sources_that_are_not_installed_have_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("npu.version.PACKAGE", "no-such-package")
    assert tool_version() == "unknown"


def test_help_fits_a_screen_and_says_how_to_begin() -> None:
    done = process("--help", COLUMNS=str(USUAL))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= USUAL
    assert "..." not in done.stdout.partition("Commands:")[2]
    assert "npu demo" in lines[-1]
    assert all(
        re.search(rf"^  {c.__name__.replace('_', '-')} ", done.stdout, re.M) for c in cli.COMMANDS
    )


@pytest.mark.parametrize(
    ("words", "count", "expected"),
    [
        ("npu ver", 1, {"verify", "verilog"}),
        ("npu run m.tflite --config npu2", 4, {"npu256", "npu256c"}),
    ],
)
def test_shells_complete(words: str, count: int, expected: set[str]) -> None:
    done = process(_NPU_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(count))
    assert set(done.stdout.split()) == expected
    assert "_NPU_COMPLETE=complete_bash" in process("--show-completion", "bash").stdout


def columns_of(text: str) -> int:
    """The widest line of the tables in `text`, which are blocks with a rule."""
    blocks = re.split(r"\n\s*\n", text)
    tables = [block for block in blocks if "\u2500" in block]
    assert tables
    return max(len(line.rstrip()) for table in tables for line in table.splitlines())


@pytest.mark.parametrize("width", [NARROW, USUAL])
@pytest.mark.parametrize(
    "arguments",
    [
        ("configs",),
        ("ops",),
        ("run", "MODEL", "--backend", "cycle"),
        ("demo", "--backend", "functional", "--images", "1"),
        ("speedup", "npu/zoo/fashion_resnet.tflite"),
        ("explore", "MODEL", "--jobs", "1"),
    ],
)
def test_tables_fit(
    arguments: tuple[str, ...],
    width: int,
    model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    root = Path(cli.__file__).parents[1]
    words = [
        str(model) if a == "MODEL" else a.replace("npu/zoo", f"{root}/npu/zoo") for a in arguments
    ]
    assert npu(*words) == 0
    text = capsys.readouterr().out
    assert "\u2026" not in text
    assert columns_of(text) <= width


def test_names_are_whole_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))
    assert npu("configs") == 0
    text = capsys.readouterr().out
    for name, config in PRESETS.items():
        row = next(line for line in text.splitlines() if line.split()[:1] == [name])
        assert f"{config.pixels} x {config.channels} x {config.lanes}" in row


def test_colours_are_for_terminals_and_can_be_refused() -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    arguments = ("demo", "--backend", "functional", "--images", "1")
    assert coloured.search(on_terminal(*arguments))
    assert not coloured.search(on_terminal(*arguments, NO_COLOR="1"))
    assert "\x1b" not in process(*arguments).stdout


def test_quiet_says_nothing(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    done = process(
        "run", str(model), "--backend", "cycle", "--check", "--quiet", "--json", str(out)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads(out.read_text())["bit_exact"] is True
    failed = process("run", "none.tflite", "--quiet")
    assert failed.returncode == 2
    assert failed.stderr.startswith("npu: error: cannot read model 'none.tflite'")


def test_quiet_still_says_that_a_check_failed(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from npu.golden import Comparison

    failed = Comparison(0, 1, 0, 0, 0, ())
    monkeypatch.setattr("npu.inference.compare_with_golden", lambda *_, **__: failed)
    assert npu("run", model, "--backend", "reference", "--check", "-q") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("NOT bit-exact with TFLM")


def test_verilog_on_standard_output(tmp_path: Path) -> None:
    config = configs.RTL["small"]
    path = tmp_path / "c.toml"
    path.write_text(config.to_toml())
    done = process("verilog", "-o", "-", "--config", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == verilog_text(config)


def test_json_reproduces_the_run(model: Path, tmp_path: Path) -> None:
    """All that the second run is given comes from the record of the first."""
    config = tmp_path / "c.toml"
    config.write_text('preset = "npu64"\nbus_bytes = 4\n')
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    options: tuple[Any, ...] = ("--latency", 33, "--input", "random:5", "--clock-mhz", 250)
    run = ("run", model, "--backend", "cycle")
    assert npu(*run, "--config", config, *options, "--json", first) == 0
    record = json.loads(first.read_text())
    assert record["tool"] == PACKAGE
    config.write_text(NpuConfig.from_dict(record["parameters"]).to_toml())
    arguments = (
        *("--latency", record["memory"]["latency_cycles"], "--clock-mhz", record["clock"]["mhz"]),
        *(word for given in record["inputs"] for word in ("--input", given)),
    )
    again = ("run", record["model"], "--backend", record["backend"], "--config", config)
    assert npu(*again, *arguments, "--json", second) == 0
    assert json.loads(second.read_text()) == record
