"""The command line: exit codes, messages and machine-readable output."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npu import golden
from npu.commands import run as run_command
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS
from tests.npu.small_model import classifier
from tests.support.command_line import npu, refusal
from tests.support.random_layers import random_conv2d
from tests.support.shared_models import MLPERF, shared_inputs, shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile
from tests.support.tflm import run_tflm

ON_REFERENCE = ("--backend", "reference")


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.tflite"
    path.write_bytes(classifier())
    return path


def test_run_prints_a_table(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert npu("run", model, *ON_REFERENCE) == 0
    text = capsys.readouterr().out
    for kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "AVERAGE_POOL_2D", "RESHAPE", "SOFTMAX"):
        assert kind in text
    assert "not timed (backend reference: no NPU is simulated)" in text
    assert "predicted class: " in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_check_is_bit_exact(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert npu("run", model, *ON_REFERENCE, "--check") == 0
    expected = "bit-exact with TFLM: 1 of 1 outputs and every intermediate tensor (6 of 6)"
    assert expected in capsys.readouterr().out.splitlines()


def test_failed_check_exits_1(
    model: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    honest = golden.run_golden

    def dishonest(*arguments: Any) -> dict[int, Any]:
        values = honest(*arguments)
        return {t: np.bitwise_xor(v, np.int8(1)) for t, v in values.items()}

    monkeypatch.setattr("npu.inference.run_golden", dishonest)
    out = tmp_path / "o.json"
    assert npu("run", model, *ON_REFERENCE, "--check", "--json", out) == 1
    assert "NOT bit-exact with TFLM: 0 of 1 outputs" in capsys.readouterr().out
    assert json.loads(out.read_text())["bit_exact"] is False


def test_json_record(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.json"
    assert npu("run", model, *ON_REFERENCE, "--input", "random:4", "--json", out) == 0
    assert "CONV_2D" in capsys.readouterr().out
    record = json.loads(out.read_text())
    assert record["model"] == str(model)
    assert record["config"] == "npu256"
    assert record["backend"] == "reference"
    assert record["cycles"] is None
    assert record["utilization"] is None
    assert record["bit_exact"] is None
    graph = read_model_bytes(classifier(), "m")
    assert record["macs"] == graph.total_macs
    assert [layer["op"] for layer in record["layers"]] == [op.kind for op in graph.operators]
    assert {layer["placed"] for layer in record["layers"]} == {"CPU"}
    x = np.random.default_rng(4).integers(-128, 128, (1, 9, 8, 3), np.int8)
    (expected,) = run_tflm(classifier(), [x])
    assert record["outputs"][0]["data"] == expected.tolist()


def test_json_to_standard_output_is_only_json(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert npu("run", model, *ON_REFERENCE, "--check", "--json", "-") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["bit_exact"] is True
    assert "CONV_2D" in captured.err


def test_memory_that_there_is_not(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 2.00 TiB")

    monkeypatch.setattr("npu.inputs.load_inputs", exhausted)
    message = "not enough memory: Unable to allocate 2.00 TiB"
    assert refusal(capsys, "run", model, *ON_REFERENCE) == message


def test_bad_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot read model" in refusal(capsys, "run", tmp_path / "none.tflite")
    text = tmp_path / "text.tflite"
    text.write_text("this is no model")
    assert "is not a .tflite model" in refusal(capsys, "run", text)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(classifier()[:2000])
    assert "is truncated or corrupted (2000 bytes" in refusal(capsys, "run", cut)
    m = ModelFile()
    x = m.input((1, 4), dtype="float32")
    m.operator("RELU", [x], [m.tensor((1, 4), "float32")])
    float_model = tmp_path / "float.tflite"
    float_model.write_bytes(m.build())
    assert "the model is not quantized: it holds float32" in refusal(capsys, "run", float_model)


def test_operator_without_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=0.5)
    m.operator("TILE", [x], [m.tensor((1, 4), scale=0.5)])
    path = tmp_path / "tile.tflite"
    path.write_bytes(m.build())
    message = refusal(capsys, "run", path, *ON_REFERENCE)
    assert message == "operator 0 (TILE) has no kernel; TFLM has none either"


def test_bad_inputs_and_options(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.npy"
    np.save(wrong, np.zeros((1, 2, 3, 4), np.int8))
    run = ("run", model, *ON_REFERENCE)
    assert "has shape [1, 2, 3, 4]" in refusal(capsys, *run, "--input", wrong)
    assert "is of an unknown form" in refusal(capsys, *run, "--input", "x.wav")
    assert "npu999" in refusal(capsys, *run, "--config", "npu999")
    missing = tmp_path / "none" / "o.json"
    assert "--json '" in refusal(capsys, *run, "--json", missing)
    assert "is a folder" in refusal(capsys, *run, "--json", tmp_path)
    assert "latency_cycles must be" in refusal(capsys, *run, "--latency", "0")
    assert "stall_probability must be" in refusal(capsys, *run, "--stall-probability", "2")
    assert "--trace needs --backend cycle or rtl" in refusal(
        capsys, *run, "--trace", tmp_path / "t"
    )


def test_unknown_key_in_configuration(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text("pixel = 8\n")
    line = refusal(capsys, "run", model, "--config", config)
    assert line.startswith(f"configuration {config}: unknown configuration key 'pixel'")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "m.tflite", "--backend", "fpga"),
        ("run", "m.tflite", "--no-such-option"),
        ("run", "m.tflite", "--latency", "many"),
        ("run", "m.tflite", "--clock-mhz", "0"),
        ("run", "m.tflite", "--clock-mhz", "inf"),
        ("no-such-command",),
        ("verilog",),
    ],
)
def test_usage_errors_exit_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert npu(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("npu: error: ")
    assert line.endswith(" --help' lists what is allowed")


def test_interrupt_exits_130(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("npu.model.tflite_reader.read_model", interrupt)
    assert npu("run", model) == 130


def test_no_space_is_one_line() -> None:
    program = [sys.executable, "-c", "from npu.cli import main; main()", "configs"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "npu: error: cannot write: No space left on device\n"


def test_another_error_of_the_system_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise PermissionError(13, "not expected")

    monkeypatch.setattr("npu.model.tflite_reader.read_model", broken)
    with pytest.raises(PermissionError):
        npu("run", "m.tflite")


def test_configs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert npu("configs") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in PRESETS)
    assert "\u2026" not in text
    assert npu("configs", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert {r["name"]: r["macs_per_cycle"] for r in records} == {
        name: config.macs_per_cycle for name, config in PRESETS.items()
    }
    assert records[0]["bus_bytes"] == next(iter(PRESETS.values())).bus_bytes


def test_help_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "disasm", "verilog", "configs"):
        assert npu(command, "--help") == 0
        assert "Usage: npu " + command in capsys.readouterr().out


def test_installed_command_when_piped(model: Path) -> None:
    """The real process: plain text on a pipe, errors on standard error alone."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    program = [sys.executable, "-c", "from npu.cli import main; main()"]

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    done = call("run", str(model), *ON_REFERENCE, "--check")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "bit-exact with TFLM" in done.stdout
    failed = call("run", "none.tflite")
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert (
        failed.stderr == "npu: error: cannot read model 'none.tflite': No such file or directory\n"
    )


@pytest.mark.parametrize("name", MLPERF)
def test_real_samples_are_classified_as_tflm_does(name: str, tmp_path: Path) -> None:
    samples = shared_inputs()
    with np.load(samples) as stored:
        key = next(k for k in stored.files if k.startswith(f"{name}/"))
    out = tmp_path / "o.json"
    arguments = ("--input", f"{samples}:{key}", "--check", "--json", out)
    assert npu("run", shared_model(name), *ON_REFERENCE, *arguments) == 0
    assert json.loads(out.read_text())["bit_exact"] is True


def test_functional_backend_places_operators_on_the_npu(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    assert npu("run", model, "--backend", "functional", "--check", "--json", out) == 0
    record = json.loads(out.read_text())
    assert record["bit_exact"] is True
    placed = {layer["op"]: layer["placed"] for layer in record["layers"]}
    assert placed["CONV_2D"] == "NPU"
    assert placed["SOFTMAX"] == "CPU"
    reasons = [layer["reason"] for layer in record["layers"] if layer["placed"] == "CPU"]
    assert all(reasons)


def test_cycle_backend_times_the_network(model: Path, tmp_path: Path) -> None:
    """Bits as TFLM's, cycles that grow with the memory's latency, no Verilator."""
    cycles = []
    for latency in (1, 20, 200):
        out = tmp_path / f"{latency}.json"
        run = ("run", model, "--backend", "cycle", "--latency", latency, "--check", "--json", out)
        assert npu(*run) == 0
        record = json.loads(out.read_text())
        assert record["bit_exact"] is True
        assert record["counters"]["CYCLES"] == record["cycles"]
        timed = [layer for layer in record["layers"] if layer["engines"] is not None]
        assert sum(layer["cycles"] for layer in timed) == record["cycles"]
        for layer in (record, *timed):
            for causes in layer["engines"].values():
                assert sum(causes.values()) == layer["cycles"]
        cycles.append(record["cycles"])
    assert cycles == sorted(set(cycles))


def test_cycle_backend_refuses_stalls(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("run", model, "--backend", "cycle", "--stall-probability", "0.5")
    assert "no random stalls" in refusal(capsys, *run)


def test_a_trace_needs_time_and_a_file(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ("run", model, "--trace", "-", "--backend")
    assert "reference has no time" in refusal(capsys, *run, "reference")
    assert "--trace cannot write to standard output" in refusal(capsys, *run, "cycle")


def test_waves_are_refused_before_anything_runs(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rtl = ("run", model, "--backend", "rtl")
    good = tmp_path / "o.vcd"
    functional = ("run", model, "--backend", "functional", "--waves", good)
    assert "--waves needs --backend rtl" in refusal(capsys, *functional)
    for window in ("7", "7:", "a:b", "-1:4", "1:2:3", "0:1" + "0" * 15):
        line = refusal(capsys, *rtl, "--waves", good, f"--waves-window={window}")
        assert f"--waves-window must be FIRST:LAST in cycles, got '{window}'" in line
    assert "0 <= FIRST <= LAST" in refusal(capsys, *rtl, "--waves", good, "--waves-window", "9:8")
    assert ".vcd or .fst" in refusal(capsys, *rtl, "--waves", tmp_path / "o.txt")
    assert "does not exist" in refusal(capsys, *rtl, "--waves", tmp_path / "none" / "o.vcd")
    assert "needs --waves" in refusal(capsys, *rtl, "--waves-window", "0:9")


def test_waves_behind_the_end_are_an_error(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is reported all the same; the cycle model stands in for the RTL."""
    real = run_command._execute

    def timed(*arguments: Any, **options: Any) -> Any:
        graph, inputs, hardware, _, memory = arguments
        options["waves"] = None
        return real(graph, inputs, hardware, "cycle", memory, **options)

    monkeypatch.setattr(run_command, "_execute", timed)
    waves = ("--waves", tmp_path / "o.vcd", "--waves-window", "900000:900009")
    assert npu("run", model, "--backend", "rtl", *waves) == 2
    captured = capsys.readouterr()
    assert "predicted class" in captured.out
    assert "begins in cycle 900000, the run ended in cycle " in captured.err


def test_disasm_lists_commands_and_reasons(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert npu("disasm", model, "--config", "npu64") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("operator 6:SOFTMAX on the CPU: ")
    assert lines[1].startswith("segment 1 of 1 for npu64: operators 0 to 5, ")
    assert " CONFIG " in lines[2]
    assert lines[-1].endswith(" END") or " END " in lines[-1]
    assert any("0:CONV_2D" in line for line in lines)


def test_verilog_refuses_before_it_generates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--output '" in refusal(capsys, "verilog", "-o", tmp_path / "none" / "npu.v")
    assert "is a folder" in refusal(capsys, "verilog", "-o", tmp_path)
    assert "npu999" in refusal(capsys, "verilog", "--config", "npu999", "-o", tmp_path / "npu.v")


def test_a_network_of_which_nothing_fits_runs_on_the_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single output row is larger than the smallest scratchpad."""
    path = tmp_path / "wide.tflite"
    m = ModelBuilder()
    x = m.input((1, 1, 4000, 32), scale=0.1, zero_point=3)
    path.write_bytes(m.build([random_conv2d(m, np.random.default_rng(1), x, 8, kernel=(1, 1))]))
    small = tmp_path / "small.toml"
    small.write_text('preset = "npu64"\nscratchpad_kib = 4\n')
    options = ("--config", small, "--backend", "cycle", "--check", "--json", "-")
    assert npu("run", path, *options) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["bit_exact"]
    assert record["layers"][0]["placed"] == "CPU"
    assert "scratchpad has 4" in record["layers"][0]["reason"]
