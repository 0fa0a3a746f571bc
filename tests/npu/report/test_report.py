"""The tables and the JSON record that a run ends with."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from npu.errors import OutputError
from npu.golden import Comparison, Mismatch
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.result import LayerResult, RunResult
from npu.report.record import SCHEMA_VERSION, RunSetting, check_output_path, run_record, write_json
from npu.report.tables import make_console, prediction_lines, print_comparison, print_run
from npu.version import tool_version
from rtl.config import PRESETS
from sim.cycle import LayerAccount, add_accounts
from sim.memory import MemoryConfig
from tests.npu.small_model import classifier
from tests.support.tflite_builder import ModelBuilder

SETTING = RunSetting(
    model="m.tflite",
    config="npu256",
    hardware=PRESETS["npu256"],
    backend="rtl",
    memory=MemoryConfig(latency_cycles=30),
    clock_mhz=200.0,
    clock_origin="as given",
    inputs=("random:3",),
)
LAYERS = (
    LayerResult(index=0, kind="CONV_2D", placed="NPU", reason="", macs=64_000, cycles=500),
    LayerResult(index=1, kind="ADD", placed="NPU", reason="", macs=0, cycles=100),
    LayerResult(
        index=2,
        kind="CUSTOM:[bold]x",
        placed="CPU",
        reason="the NPU has no command for it",
        macs=0,
    ),
)


@pytest.fixture(name="graph")
def graph_fixture() -> Graph:
    return read_model_bytes(classifier(), "m")


@pytest.fixture(name="result")
def result_fixture(graph: Graph) -> RunResult:
    (output,) = graph.outputs
    scores = {output: np.array([[-128, -100, 64, -128, -128]], np.int8)}
    return RunResult(
        outputs=scores, values=scores, layers=LAYERS, cycles=600, counters={"beats": 7}
    )


def printed(graph: Graph, result: RunResult, width: int = 120, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width)
    settings = {
        "macs_per_cycle": 256,
        "bus_bytes": 8,
        "clock_mhz": 100.0,
        "setting": "npu256, backend rtl",
    }
    print_run(console, graph, result, **{**settings, **options})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_utilization(result: RunResult) -> None:
    assert result.macs == 64_000
    assert result.utilization(256) == 64_000 / (256 * 600)
    untimed = RunResult(outputs={}, values={}, layers=LAYERS)
    assert untimed.utilization(256) is None


def test_macs_on_the_cpu_do_not_count_as_utilization() -> None:
    layers = (
        LayerResult(index=0, kind="CONV_2D", placed="NPU", reason="", macs=1000, cycles=10),
        LayerResult(index=1, kind="CONV_2D", placed="CPU", reason="too large", macs=5000),
    )
    result = RunResult(outputs={}, values={}, layers=layers, cycles=10)
    assert (result.macs, result.npu_macs) == (6000, 1000)
    assert result.utilization(200) == 0.5


def test_table_and_lines(graph: Graph, result: RunResult) -> None:
    text = printed(graph, result)
    rows = {line.split()[1]: line for line in text.splitlines() if len(line.split()) > 3}
    assert "64,000" in rows["CONV_2D"]
    assert rows["CONV_2D"].split()[2:5] == ["NPU", "64,000", "500"]
    assert rows["CONV_2D"].rstrip().endswith("50.0 %")
    assert "CPU: the NPU has no command for it" in rows["CUSTOM:[bold]x"]
    assert "NPU 2 of 3" in text
    assert "600 cycles, 0.006 ms at 100 MHz, utilization 41.7 % of 256 MACs/cycle" in text
    assert "(npu256, backend rtl; operators on the CPU are not timed)" in text
    assert "predicted class: 2, score 0.750" in text
    (sheet,) = [line for line in text.splitlines() if line.startswith("score sheet: 2 0.750, ")]
    values = [float(part.split()[-1]) for part in sheet.split(", ")]
    assert values == sorted(values, reverse=True)
    assert "\x1b" not in text


def test_clock_and_class_names(graph: Graph, result: RunResult) -> None:
    text = printed(graph, result, clock_mhz=62.5, class_names=["a", "b", "cat"])
    assert "600 cycles, 0.010 ms at 62.5 MHz" in text
    assert "predicted class: 2 (cat), score 0.750" in text


def accounted(result: RunResult) -> RunResult:
    """The same run, with accounts of its NPU operators."""
    conv = LayerAccount(
        operator_index=0,
        macs=64_000,
        cycles=500,
        load={"busy": 100, "compute": 400},
        compute={"weights": 249, "busy": 251},
        store={"commands": 500},
        read_bytes=3000,
        written_bytes=200,
    )
    add = LayerAccount(
        operator_index=1,
        macs=0,
        cycles=100,
        load={"finished": 100},
        compute={"busy": 30, "finished": 70},
        store={"busy": 60, "bus": 40},
    )
    layers = (
        replace(LAYERS[0], account=conv),
        replace(LAYERS[1], account=add),
        LAYERS[2],
    )
    return replace(result, layers=layers, account=add_accounts([conv, add]))


def test_accounts_are_shown(graph: Graph, result: RunResult) -> None:
    text = printed(graph, accounted(result))
    rows = {line.split()[1]: line for line in text.splitlines() if len(line.split()) > 3}
    # 20 MACs per byte at 8 bytes per cycle allow 160 MACs per cycle, of which 128 are attained
    assert rows["CONV_2D"].split()[-6:] == ["MACs", "50", "%", "20.0", "80.0", "%"]
    assert rows["ADD"].split()[-5:] == ["stores", "70", "%", "-", "-"]
    assert rows["CUSTOM:[bold]x"].split()[-3:] == ["-", "-", "-"]
    assert "load engine: compute 66.7 %, busy 16.7 %, finished 16.7 %" in text
    assert "compute engine: busy 46.8 %, weights 41.5 %, finished 11.7 %" in text
    assert "store engine: commands 83.3 %, busy 10.0 %, bus 6.7 %" in text
    assert (
        "roofline: 20.0 MACs/byte of 3,000 bytes read and 200 written;"
        " 106.7 of 160.0 attainable MACs/cycle" in text
    )


def test_a_narrow_terminal_cuts_no_figure(graph: Graph, result: RunResult) -> None:
    first = replace(
        LAYERS[0], kind="RESIZE_NEAREST_NEIGHBOR", macs=4_123_456_789, cycles=98_765_432
    )
    wide = accounted(replace(result, cycles=98_765_532))
    wide = replace(wide, layers=(replace(first, account=wide.layers[0].account), *wide.layers[1:]))
    text = printed(graph, wide, width=80)
    assert max(map(len, text.splitlines()[: len(wide.layers) + 6])) <= 80
    assert "\u2026" not in text
    assert "MACs/byte of" in text
    row = next(line for line in text.splitlines() if "4,123,456,789" in line)
    assert row.split()[0] == "0"
    assert "98,765,432" in row


def test_accounts_as_json(graph: Graph, result: RunResult) -> None:
    record = run_record(
        graph,
        accounted(result),
        replace(SETTING, backend="cycle"),
        bit_exact=None,
    )
    record = json.loads(json.dumps(record))
    conv, add, custom = record["layers"]
    assert conv["bound"] == {"by": "MACs", "share": 0.502}
    assert conv["roofline"] == {
        "macs_per_byte": 20.0,
        "macs_per_cycle": 128.0,
        "attainable_macs_per_cycle": 160.0,
        "read_bytes": 3000,
        "written_bytes": 200,
    }
    assert conv["engines"]["compute"] == {"weights": 249, "busy": 251}
    assert (add["bound"]["by"], add["roofline"]) == ("stores", None)
    assert (custom["bound"], custom["roofline"], custom["engines"]) == (None, None, None)
    assert record["engines"]["store"] == {"commands": 500, "busy": 60, "bus": 40}
    assert record["roofline"]["attainable_macs_per_cycle"] == 160.0


def test_without_cycles(graph: Graph, result: RunResult) -> None:
    untimed = RunResult(outputs=result.outputs, values=result.values, layers=LAYERS)
    assert "64,000 MACs, not timed (npu256, backend rtl)" in printed(graph, untimed)


def test_reconstruction_has_no_predicted_class() -> None:
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5)
    y = m.relu(x, scale=0.5, zero_point=0)
    graph = read_model_bytes(m.build(), "m")
    assert prediction_lines(graph, {y.index: np.zeros((1, 4), np.int8)}) == []


def test_piped_console_is_plain_and_wide_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert make_console().width == 120
    monkeypatch.setenv("COLUMNS", "90")
    assert make_console().width == 90


def test_only_the_first_mismatches_are_shown() -> None:
    mismatches = tuple(Mismatch(i, f"[t{i}]", 3, 10, (0, 1), 5, 6) for i in range(8))
    console = Console(file=io.StringIO(), width=60)
    print_comparison(console, Comparison(0, 1, 3, 10, 10, mismatches))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("NOT bit-exact with TFLM: 0 of 1 outputs and 3 of 10")
    assert lines[1] == "  tensor 0 '[t0]': 3 of 10 values differ, first at [0, 1]: 6, TFLM has 5"
    assert len(lines) == 7
    assert lines[-1] == "  and 3 more tensors"


def test_json_record(graph: Graph, result: RunResult) -> None:
    record = run_record(
        graph,
        result,
        SETTING,
        bit_exact=True,
    )
    record = json.loads(json.dumps(record))
    assert record["model"] == "m.tflite"
    assert record["config"] == "npu256"
    assert record["backend"] == "rtl"
    assert (record["schema"], record["schema_version"]) == ("npu-run", SCHEMA_VERSION)
    assert record["tool_version"] == tool_version()
    assert record["inputs"] == ["random:3"]
    assert record["parameters"] == PRESETS["npu256"].to_dict()
    assert record["memory"]["latency_cycles"] == 30
    assert record["clock"] == {"mhz": 200.0, "origin": "as given"}
    assert record["milliseconds"] == 600 / 200_000
    assert record["cycles"] == 600
    assert record["macs"] == 64_000
    assert record["utilization"] == pytest.approx(64_000 / (256 * 600))
    assert record["bit_exact"] is True
    assert record["counters"] == {"beats": 7}
    (output,) = record["outputs"]
    assert output == {
        "name": graph.tensors[graph.outputs[0]].name,
        "shape": [1, 5],
        "dtype": "int8",
        "scale": 1 / 256,
        "zero_point": -128,
        "data": [[-128, -100, 64, -128, -128]],
    }
    assert record["layers"][0] == {
        "index": 0,
        "op": "CONV_2D",
        "placed": "NPU",
        "reason": "",
        "macs": 64_000,
        "cycles": 500,
        "utilization": 0.5,
        "bound": None,
        "roofline": None,
        "engines": None,
    }
    assert record["layers"][2]["cycles"] is None
    assert record["layers"][2]["reason"] == "the NPU has no command for it"


def test_json_to_file_and_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_json({"a": 1}, tmp_path / "o.json")
    assert json.loads((tmp_path / "o.json").read_text()) == {"a": 1}
    write_json({"b": 2}, Path("-"))
    assert json.loads(capsys.readouterr().out) == {"b": 2}


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"--json '.*' is a folder, a file expected"):
        check_output_path(tmp_path, "--json")
    with pytest.raises(OutputError, match=r"--json '.*': the folder '.*none' does not exist"):
        check_output_path(tmp_path / "none" / "o.json", "--json")
    with pytest.raises(OutputError, match=r"--json '.*': File name too long"):
        check_output_path(tmp_path / ("o" * 300), "--json")
    with pytest.raises(OutputError, match="--out cannot write to standard output"):
        check_output_path(Path("-"), "--out")
    check_output_path(Path("-"), "--json", stdout=True)
    check_output_path(None, "--json")
    with pytest.raises(OutputError, match=r"cannot write '.*': Is a directory"):
        write_json({}, tmp_path)
