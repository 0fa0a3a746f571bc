"""Where the cycles of a CPU without an NPU come from."""

from pathlib import Path

import pytest

from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.optimize import run
from npu.optimize.cpu import FASTEST
from npu.optimize.report import markdown_table
from npu.optimize.settings import Settings
from npu.speedup.image import network_image
from npu.speedup.store import Measurement, keep, measurement_key
from rtl.config import PRESETS
from sim.cache import CACHE_VARIABLE
from tests.npu.optimize.networks import two_convolutions

CONFIG = PRESETS["npu256c"]
CYCLES = 123_456


def task_of(content: bytes, folder: Path) -> run.Task:
    (folder / "net.tflite").write_bytes(content)
    return run.Task(
        model=folder / "net.tflite", out=folder / "out", config=CONFIG, config_name="npu256c"
    )


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def test_estimated_from_macs(tmp_path: Path) -> None:
    report = run.optimize(task_of(two_convolutions(), tmp_path), Settings(clusters=4))
    for stage in report.stages:
        assert stage.cpu_cycles == round(FASTEST.cycles_per_mac * stage.macs)
        assert not stage.cpu_measured
    assert any(
        "estimated by 2.5 cycles a MAC, measured" in note and "--measure-cpu" in note
        for note in report.notes
    )
    assert "| ~" in markdown_table(report.stages)


def test_known_from_a_measurement(tmp_path: Path) -> None:
    content = two_convolutions()
    graph = read_model_bytes(content, "net")
    image = network_image(graph, load_inputs([], graph), None)
    known = Measurement(FASTEST.name, CYCLES, 0, 1, 1, len(image), "zig", "1", "-O3")
    keep(measurement_key(FASTEST, image, wait_states=0, compiler="zig", npu=None), known)
    report = run.optimize(task_of(content, tmp_path), Settings(clusters=4))
    assert [stage.cpu_cycles for stage in report.stages] == [CYCLES, CYCLES]
    assert all(stage.cpu_measured for stage in report.stages)
    assert any("measured in RTL simulation" in note for note in report.notes)
    first, last = report.record()["stages"]
    assert last["speedup_over_cpu"] == CYCLES / last["cycles"] > first["speedup_over_cpu"]
    assert "~" not in markdown_table(report.stages)


def test_what_the_firmware_does_not_run_is_estimated(tmp_path: Path) -> None:
    report = run.optimize(task_of(two_convolutions(real=True), tmp_path), Settings(clusters=4))
    assert report.stages[0].cpu_cycles
    assert not report.stages[0].cpu_measured
    (note,) = [note for note in report.notes if note.startswith("CPU: ")]
    assert "not measured (dense: " in note
    assert "DEQUANTIZE" in note
