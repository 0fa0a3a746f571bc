"""Building simulators: missing tools, failing tools, foreign libraries."""

from pathlib import Path

import pytest

from rtl.config import NpuConfig
from sim.errors import BuildError
from sim.rtl_runner.build import build_library, simulator_library
from sim.rtl_runner.library import open_library
from sim.verilator.toolchain import find_toolchain, fst_headers, run, run_all


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NPU_CACHE_DIR", str(folder))
    return folder


@pytest.mark.usefixtures("cache")
def test_missing_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    find_toolchain.cache_clear()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError, match=r"g\+\+ not found: install a C\+\+ compiler"):
        build_library("module npu; endmodule", 8)
    monkeypatch.undo()
    find_toolchain.cache_clear()


def test_failing_design_shows_the_tool(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.verilator.build._runtime_library", lambda *_: Path("unused"))
    with pytest.raises(BuildError, match=r"verilator_bin failed with exit code 1: .*syntax error"):
        build_library("module npu; this is not Verilog; endmodule", 8)
    assert not [path for path in (cache / "simulator").iterdir() if path.suffix != ".lock"]


def test_failing_command_stops_the_others() -> None:
    done: list[int] = []
    commands = [["sh", "-c", "echo broken; exit 3"], *[["sleep", "0.05"]] * 40]
    with pytest.raises(BuildError, match="sh failed with exit code 3: broken"):
        run_all(commands, lambda number, total: done.append(number))
    assert len(done) < 40


def test_environment_of_tools() -> None:
    assert run(["sh", "-c", "echo $EXTRA"], {"EXTRA": "value"}) == "value\n"


def test_foreign_library(tmp_path: Path) -> None:
    path = tmp_path / "libnpu.so"
    path.write_bytes(b"not a library")
    with pytest.raises(BuildError, match="cannot load the simulator"):
        open_library(path)


def test_headers_of_fst_are_where_the_compiler_looks() -> None:
    folders = [flag[2:] for flag in find_toolchain().include_flags("fst") if flag[:2] == "-I"]
    names = {path.name for folder in folders for path in Path(folder).glob("*.h")}
    assert {"lz4.h", "zlib.h", "verilated_fst_c.h"} <= names
    assert len(fst_headers()) == 2


def test_a_missing_compiler_is_told_before_anything_is_generated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[str] = []
    find_toolchain.cache_clear()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BuildError, match=r"g\+\+ not found"):
        simulator_library(NpuConfig(scratchpad_kib=100), steps.append)
    assert steps == []
    find_toolchain.cache_clear()
