"""Two runs side by side: `npu compare`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from npu.errors import OutputError
from npu.report.compare import compare_runs, read_run
from npu.report.compare_tables import print_compared
from tests.npu.small_model import classifier
from tests.support.command_line import npu
from tests.support.tflite_builder import ModelBuilder

pytestmark = pytest.mark.quick


def run(folder: Path, name: str, model: bytes, *options: object) -> Path:
    """The record of a run on the cycle model."""
    network, out = folder / f"{name}.tflite", folder / f"{name}.json"
    network.write_bytes(model)
    command = ("run", network, "--backend", "cycle", "--quiet", "--json", out, *options)
    assert npu(*command) == 0
    return out


@pytest.fixture(name="files")
def files_fixture(tmp_path: Path) -> tuple[Path, Path]:
    """One network on two configurations, and on another memory."""
    model = classifier()
    return (
        run(tmp_path, "same", model),
        run(tmp_path, "other", model, "--config", "npu64", "--latency", 100),
    )


def test_what_changed_and_what_came_of_it(files: tuple[Path, Path]) -> None:
    a, b = map(read_run, files)
    record = compare_runs(a, b)
    assert record["schema"] == "npu-compare"
    assert record["names"] == ["same, npu256, cycle", "other, npu64, cycle"]
    changed = record["changed"]
    assert changed["parameters.pixels"] == [8, 2]
    assert changed["memory.latency_cycles"] == [20, 100]
    assert changed["config"] == ["npu256", "npu64"]
    assert not {"model_sha256", "backend", "parameters.lanes", "tool_version"} & set(changed)
    assert record["totals"]["cycles"] == [a["cycles"], b["cycles"]]
    assert record["ratio"] == b["cycles"] / a["cycles"]
    for number, layer in enumerate(record["layers"]):
        one, other = a["layers"][number], b["layers"][number]
        assert layer["index"] == [number, number]
        assert layer["cycles"] == [one["cycles"], other["cycles"]]
        assert layer["placed"] == [one["placed"], other["placed"]]
        if one["cycles"]:
            assert layer["ratio"] == other["cycles"] / one["cycles"]
            assert layer["bound"] == [one["bound"]["by"], other["bound"]["by"]]


def test_equal_runs(files: tuple[Path, Path]) -> None:
    record = compare_runs(read_run(files[0]), read_run(files[0]))
    assert record["changed"] == {}
    assert {layer["ratio"] for layer in record["layers"] if layer["cycles"][0]} == {1.0}
    assert "changed: nothing" in printed(record)


def printed(record: dict[str, Any], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_compared(console, ("a.json", "b.json"), record)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table(files: tuple[Path, Path]) -> None:
    a, b = map(read_run, files)
    text = printed(compare_runs(a, b))
    assert "A: same, npu256, cycle (a.json)" in text
    assert "pixels 8 -> 2" in text
    assert "memory.latency_cycles 20 -> 100" in text
    row = next(line for line in text.splitlines() if " total " in line).split()
    percent = 100 * (b["cycles"] / a["cycles"] - 1)
    assert row[1:4] == [f"{a['cycles']:,}", f"{b['cycles']:,}", f"{percent:+.1f}"]


def test_operators_of_different_networks_find_each_other(tmp_path: Path) -> None:
    """One that is between others is alone; those behind it are not."""

    def network(middle: bool) -> bytes:
        m = ModelBuilder()
        x = m.input((1, 4, 4, 8), scale=0.5)
        y = m.relu(x, scale=0.5, zero_point=0)
        if middle:
            y = m.add(y, x, scale=1.0, zero_point=0)
        return m.build([m.relu(y, scale=0.5, zero_point=0)])

    a = read_run(run(tmp_path, "a", network(middle=False)))
    b = read_run(run(tmp_path, "b", network(middle=True)))
    record = compare_runs(a, b)
    assert [layer["index"] for layer in record["layers"]] == [[0, 0], [None, 1], [1, 2]]
    assert record["layers"][1]["ratio"] is None
    assert set(record["changed"]) >= {"model", "model_sha256"}
    text = printed(record)
    assert "1 operators are in one network only" in text
    assert "model " in text


def test_an_edited_network_of_the_same_name(tmp_path: Path, files: tuple[Path, Path]) -> None:
    a = read_run(files[0])
    b = {**a, "model_sha256": "0" * 64, "layers": [{**a["layers"][0], "placed": "CPU"}]}
    text = printed(compare_runs(a, b), width=80)
    assert "changed: the network's file" in text
    assert "NPU -> CPU" in text
    assert "1 operators ran elsewhere" in text


def test_the_command(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert npu("compare", *files, "--json", "-") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == compare_runs(*map(read_run, files))
    assert "cycles A" in captured.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read '.*x.json': No such file"),
        ("{", "x.json' is not a JSON file: Expecting property name"),
        ("[" * 100_000, "x.json' is not a JSON file: "),
        ("[]", "x.json' was not written by `npu run --json`: it names no schema"),
        ('{"schema": "npu-speedup"}', "not written by `npu run --json`: it is 'npu-speedup'"),
        ('{"schema": "npu-run", "schema_version": 9}', "schema version 9, this tool reads 1"),
        ('{"schema": "npu-run", "schema_version": 1}', "is damaged: no 'model' is in it"),
    ],
)
def test_other_files(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(OutputError, match=message):
        read_run(path)


def test_layers_that_are_cut(tmp_path: Path, files: tuple[Path, Path]) -> None:
    record = json.loads(files[0].read_text())
    record["layers"][0] = {"index": 0}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(record))
    with pytest.raises(OutputError, match="is damaged: no list of layers"):
        read_run(path)


def test_values_of_another_type(tmp_path: Path, files: tuple[Path, Path]) -> None:
    """One line whatever somebody has put into the file."""
    record = {**json.loads(files[0].read_text()), "cycles": "many"}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(record))
    with pytest.raises(OutputError, match="is damaged: 'cycles' is 'many', no number"):
        read_run(path)
