"""`npu speedup`: measured on the bench SoC, looked up where it is known, refused in one line."""

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from npu.errors import ModelError, OutputError, SpeedupError
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.reference.network import run_reference
from npu.speedup import measure, regenerate, store
from npu.speedup.image import network_image
from npu.speedup.measure import Entry, Setting, measure_all
from npu.speedup.report import print_speedup, speedup_record
from npu.speedup.rungs import CPU_RUNGS, NPU_RUNG, RUNGS
from npu.speedup.store import Measurement, find, keep, measurement_key, ship
from rtl.config import PRESETS
from sim.soc.build import hardware_sources
from sim.soc.cores import CORES
from sim.soc.memory_map import ExitCode
from tests.npu.small_model import classifier
from tests.sim import configs
from tests.support.command_line import npu
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder

CONFIG = configs.RTL["small"]
SMALL_MEASUREMENT = Measurement(
    rung="optimized on VexRiscv",
    cycles=1000,
    npu_cycles=0,
    code_bytes=10,
    ram_bytes=20,
    image_bytes=30,
    compiler="cc 1",
    core_version="2",
    flags="-O2",
)

needs_soc = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None
    or any(importlib.util.find_spec(core.module) is None for core in CORES.values()),
    reason="needs the optional packages: pip install -e '.[soc]'",
)


@pytest.fixture(name="results", autouse=True)
def results_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Measurements are kept here, apart from the user's; builds stay where they are."""
    folder = tmp_path / "results"
    monkeypatch.setattr(store, "cache_folder", lambda: folder)
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "shipped")
    return folder


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.tflite"
    path.write_bytes(classifier())
    return path


@pytest.fixture(name="config")
def config_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CONFIG.to_toml())
    return path


@pytest.fixture(name="no_tools")
def no_tools_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without compilers and without the cores' packages."""
    missing = {"ziglang", *(core.module for core in CORES.values())}
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in missing else real(name)
    )
    monkeypatch.setenv("PATH", "")


def measured(name: str, *, cached: bool = False, **changes: Any) -> Entry:
    """A made-up entry of the rung of that name."""
    rung = next(rung for rung in RUNGS if rung.name == name)
    values = {**vars(SMALL_MEASUREMENT), "rung": name, **changes}
    return Entry(rung, "key", Measurement(**values), cached)


@needs_soc
def test_measured_once_then_known_without_any_tool(
    model: Path,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    output = tmp_path / "out.json"
    assert npu("speedup", model, "--config", config, "--json", output) == 0
    first = json.loads(output.read_text())
    text = capsys.readouterr().out
    assert [rung["name"] for rung in first["rungs"]] == [rung.name for rung in RUNGS]
    assert not any(rung["cached"] for rung in first["rungs"])
    reference, optimized, simd, with_npu = (rung["cycles"] for rung in first["rungs"])
    assert reference > optimized > simd > with_npu == first["npu_cycles"]
    assert 0 < first["npu_busy_cycles"] < first["npu_cycles"]
    for rung in first["rungs"][:3]:
        assert rung["speedup"] == pytest.approx(rung["cycles"] / with_npu)
        assert first["speedup"][rung["name"]] == rung["speedup"]
        assert f"{rung['cycles']:,}" in text
        assert rung["compiler"].startswith("ziglang")
        assert "-O2" in rung["flags"]
        assert rung["core_version"] in text
        assert 4096 < rung["code_bytes"] < 65536
        assert 100 < rung["ram_bytes"] < 65536
    assert f"{first['rungs'][1]['speedup']:,.1f}x over optimized on VexRiscv" in text
    assert "From the cache" not in text

    request.getfixturevalue("no_tools")
    assert npu("speedup", model, "--config", config, "--json", output) == 0
    second = json.loads(output.read_text())
    assert all(rung.pop("cached") for rung in second["rungs"])
    for rung in first["rungs"]:
        del rung["cached"]
    assert second == first
    assert "From the cache: reference on VexRiscv, " in capsys.readouterr().out
    # anything else has to be measured
    for other in (("--wait-states", 1), ("--input", "random:1"), ("--rebuild",)):
        assert npu("speedup", model, "--config", config, *other) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("npu: error: no RISC-V C compiler found (neither ziglang nor ")
        assert "pip install -e '.[soc]'" in line


@needs_soc
def test_wait_states_cost_everyone(model: Path) -> None:
    graph = read_model(model)
    inputs = load_inputs([], graph)
    fast = measure_all(graph, inputs, Setting(CONFIG))
    slow = measure_all(graph, inputs, Setting(CONFIG, wait_states=4))
    for one, other in zip(fast, slow, strict=True):
        assert other.measurement.cycles > one.measurement.cycles, one.rung.name


@needs_soc
def test_wrong_outputs_are_refused(
    model: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(graph: Any, inputs: Any) -> Any:
        values = run_reference(graph, inputs)
        values[graph.outputs[0]] = values[graph.outputs[0]] ^ np.int8(1)
        return values

    monkeypatch.setattr(measure, "run_reference", wrong)
    graph = read_model(model)
    message = r"reference on VexRiscv: output '\w+' differs from the reference kernels in 5 of 5"
    with pytest.raises(SpeedupError, match=message):
        measure_all(graph, load_inputs([], graph), Setting(CONFIG))
    assert not list(results.glob("**/*.json"))


def test_what_the_kernels_refuse_is_refused_before_anything_is_built(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(graph: Any, inputs: Any) -> Any:
        raise ModelError("no kernel accepts this")

    def build(*arguments: Any) -> Any:
        raise AssertionError("something is built")

    monkeypatch.setattr(measure, "run_reference", refuse)
    monkeypatch.setattr(measure, "find_compiler", lambda name: None)
    monkeypatch.setattr(measure, "core_version", lambda core: "1")
    monkeypatch.setattr(measure, "network_firmware", build)
    graph = read_model(model)
    with pytest.raises(ModelError, match="no kernel accepts this"):
        measure_all(graph, load_inputs([], graph), Setting(CONFIG))


@needs_soc
def test_firmware_that_stops(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image whose first operator is of no known kind."""
    real = network_image

    def broken(*arguments: Any) -> bytes:
        image = bytearray(real(*arguments))
        operators = int.from_bytes(image[20:24], "little")
        image[operators : operators + 4] = b"\x63\0\0\0"
        return bytes(image)

    monkeypatch.setattr(measure, "network_image", broken)
    graph = read_model(model)
    message = rf"firmware stopped with {ExitCode.UNKNOWN_OPERATOR.name} at operator 0 of the image"
    with pytest.raises(SpeedupError, match=message):
        measure_all(graph, load_inputs([], graph), Setting(CONFIG))


@needs_soc
def test_regenerate_writes_what_ships(
    model: Path,
    config: Path,
    results: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert regenerate.main([str(model), "--config", str(config)]) == 0
    (path,) = store.SHIPPED.glob("*.json")
    assert path.stem == "classifier"
    assert len(json.loads(path.read_text())) == len(RUNGS)
    # the user's cache is not needed any more
    kept = list(results.glob("**/*.json"))
    assert kept
    for own in kept:
        own.unlink()
    request.getfixturevalue("no_tools")
    graph = read_model(model)
    entries = measure_all(graph, load_inputs([], graph), Setting(CONFIG))
    assert all(entry.cached for entry in entries)
    with pytest.raises(SystemExit, match="2"):
        regenerate.main(["missing.tflite"])
    assert "missing.tflite" in capsys.readouterr().err.splitlines()[-1]


def test_an_operator_that_the_firmware_cannot_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    builder = ModelBuilder()
    rng = np.random.default_rng(3)
    x = builder.input((1, 4, 4, 3), scale=0.1, zero_point=0, name="x")
    y = random_conv2d(builder, rng, x, 4)
    path = tmp_path / "float.tflite"
    path.write_bytes(builder.build([builder.dequantize(y)]))
    assert npu("speedup", path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "operator 1 (DEQUANTIZE)" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--wait-states", "256"), "wait_states must be between 0 and 255, got 256"),
        (("--config", "npu1"), "npu1"),
        (("--input", "random:x"), "the seed 'x' is not a whole number"),
        (("--json", "no/such/folder/x.json"), "--json 'no/such/folder/x.json'"),
    ],
)
def test_bad_arguments(
    model: Path, arguments: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert npu("speedup", model, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert message in line


def test_record_and_table() -> None:
    entries = [
        measured("reference on VexRiscv", cycles=90_000, cached=True),
        measured("optimized on VexRiscv", cycles=30_000, flags="-O2 -Dlast"),
        measured("SIMD on CV32E40P", cycles=15_000, compiler="cc 2"),
        measured("NPU + VexRiscv", cycles=1_500, npu_cycles=1_200, flags="-O2 -Dlast"),
    ]
    setting: dict[str, Any] = {"config": "npu64", "wait_states": 2, "macs": 10_000}
    hardware = PRESETS["npu64"]
    graph = read_model_bytes(classifier(), "m")
    record = speedup_record(
        entries, graph, model="m.tflite", hardware=hardware, config="npu64", wait_states=2
    )
    assert (record["schema"], record["parameters"]) == ("npu-speedup", hardware.to_dict())
    assert record["macs"] == graph.total_macs
    assert record["npu_cycles"] == 1_500
    assert record["npu_busy_cycles"] == 1_200
    assert list(record["speedup"].values()) == [60.0, 20.0, 10.0]
    assert list(record["speedup_at_own_clocks"] or record["speedup"]) == list(record["speedup"])
    assert record["clocks"]["system_mhz"] <= record["clocks"]["npu_mhz"]
    assert record["npu_milliseconds"] == 1.5 / record["clocks"]["system_mhz"]
    assert [rung["headline"] for rung in record["rungs"]] == [False, True, True, False]
    assert [rung["cached"] for rung in record["rungs"]] == [True, False, False, False]
    assert json.loads(json.dumps(record)) == record

    text = io.StringIO()
    console = Console(file=text, width=120)
    print_speedup(console, entries, hardware=PRESETS["npu64"], **setting)
    lines = text.getvalue()
    for part in (
        "(60.0x)",
        "npu64: 20.0x over optimized on VexRiscv, 10.0x over SIMD on CV32E40P.",
        "works in 80% of the cycles",
        "Memories of 2 wait states for CPUs and NPU alike",
        "cc 1: -O2 -Dlast",
        "cc 2: -O2",
        "From the cache: reference on VexRiscv.",
    ):
        assert part in lines
    assert lines.count("-Dlast") == 1
    (row,) = (line for line in lines.splitlines() if line.strip().startswith("optimized"))
    assert row.split()[3:6] == ["30,000", "3.000", "20.0x"]


def test_a_narrow_terminal_cuts_no_figure() -> None:
    large: dict[str, Any] = {"code_bytes": 30_000, "ram_bytes": 3_000_000, "cached": True}
    entries = [measured(rung.name, cycles=2_123_456_789, **large) for rung in RUNGS]
    setting: dict[str, Any] = {"config": "npu64", "wait_states": 0, "macs": 300_000_000}
    text = io.StringIO()
    console = Console(file=text, width=80)
    print_speedup(console, entries, hardware=PRESETS["npu64"], **setting)
    assert "\u2026" not in text.getvalue()
    assert text.getvalue().count("2,123,456,789") == len(RUNGS)


def test_keys_depend_on_all_that_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**changes: Any) -> str:
        values = {"wait_states": 0, "compiler": "zig", "npu": None, **changes}
        rung = values.pop("rung", CPU_RUNGS[1])
        return measurement_key(rung, values.pop("image", b"image"), **values)

    changes: list[dict[str, Any]] = [
        {},
        {"rung": CPU_RUNGS[0]},
        {"rung": CPU_RUNGS[2]},
        {"rung": NPU_RUNG, "npu": CONFIG},
        {"rung": NPU_RUNG, "npu": PRESETS["npu64"]},
        {"image": b"other"},
        {"wait_states": 1},
        {"compiler": "gcc"},
    ]
    assert len({key(**change) for change in changes}) == len(changes)
    cpu, accelerated = key(), key(rung=NPU_RUNG, npu=CONFIG)
    real = hardware_sources
    for added, same in (("  // a comment\n", True), (" wire more;", False)):
        monkeypatch.setattr(
            store, "hardware_sources", lambda *a, end=added: [real(*a)[0] + end, *real(*a)[1:]]
        )
        assert (key() == cpu) is same
    monkeypatch.setattr(store, "hardware_sources", real)
    monkeypatch.setattr(store, "_rtl_key", lambda: "other RTL")
    assert key() == cpu
    assert key(rung=NPU_RUNG, npu=CONFIG) != accelerated


def test_kept_measurements_are_found_and_replaced() -> None:
    assert find("key") is None
    keep("key", SMALL_MEASUREMENT)
    assert find("key") == SMALL_MEASUREMENT
    newer = measured("SIMD on CV32E40P", cycles=5).measurement
    keep("key", newer)
    assert find("key") == newer


def test_damaged_entries_count_as_unknown(results: Path) -> None:
    keep("key", SMALL_MEASUREMENT)
    (path,) = results.glob("**/key.json")
    for text in ("", "[]", '{"cycles": 1}'):
        path.write_text(text)
        assert find("key") is None
    ship("network", {"key": SMALL_MEASUREMENT})
    assert find("key") == SMALL_MEASUREMENT


def test_unwritable_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path / "file")
    with pytest.raises(OutputError, match=r"cannot use cache folder .* set NPU_CACHE_DIR"):
        keep("key", SMALL_MEASUREMENT)
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "file" / "measured")
    with pytest.raises(OutputError, match=r"cannot write '.*network\.json'"):
        ship("network", {})
