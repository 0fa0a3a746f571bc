"""The table that ships, and whoever takes clocks from it."""

import dataclasses
import re
from pathlib import Path

import pytest

from npu.speedup.clocks import clock_lines, own_clocks
from npu.speedup.measure import Entry
from npu.speedup.rungs import RUNGS
from npu.speedup.store import Measurement
from npu.synth import clocks, shipped
from npu.synth.blocks import Block
from npu.synth.clocks import ASSUMED_MHZ, chosen_clock, core_clock, npu_clock
from npu.synth.cores import core_design, find_core
from npu.synth.design import rtl_digest
from npu.synth.errors import SynthesisError
from npu.synth.report import markdown_tables
from npu.synth.result import Cost, source_digest
from npu.synth.routing import Routed
from npu.synth.shipped import UPDATE_COMMAND, Shipped, load_shipped, save_shipped
from npu.synth.targets import TARGETS
from npu.synth.update import PLANS
from rtl.config import PRESETS
from sim.soc.cores import CORES


def cost(name: str, *mhz: float, target: str = "ecp5-85k") -> Cost:
    """A made-up result with a clock for each seed."""
    figures = {"LUTeq": 10.0, "FF": 3.0, "DSP": 1.0, "block RAM": 0.5}
    return Cost(
        name=name,
        target=TARGETS[target],
        sources="s",
        parameters=PRESETS[name].to_dict() if name in PRESETS else None,
        figures=figures,
        blocks=Block("npu", 1, 1, figures, figures, ()),
        tools={"pyosys": "1"},
        routed=tuple(Routed(i, f, None, 1.0) for i, f in enumerate(mhz, start=1)),
    )


@pytest.fixture(name="table")
def table_fixture(monkeypatch: pytest.MonkeyPatch) -> Shipped:
    """In place of what ships: npu64 at 90 MHz beside cores at 60 and 40."""
    table = Shipped(
        rtl=rtl_digest(),
        presets={"npu64": {"ecp5-85k": cost("npu64", 80.0, 95.0, 90.0)}},
        cores={
            "vexriscv": {"ecp5-85k": cost("vexriscv", 60.0)},
            "cv32e40p": {"ecp5-85k": cost("cv32e40p", 40.0)},
        },
    )
    monkeypatch.setattr(clocks, "load_shipped", lambda: table)
    return table


def entries() -> list[Entry]:
    """A million cycles on each CPU, ten thousand with the NPU."""

    def entry(rung: object) -> Entry:
        assert rung in RUNGS
        rung = next(r for r in RUNGS if r == rung)
        cycles = 10_000 if rung.with_npu else 1_000_000
        return Entry(rung, "k", Measurement(rung.name, cycles, 0, 0, 0, 0, "", "", ""), True)

    return [entry(rung) for rung in RUNGS]


def test_what_ships_is_of_this_rtl() -> None:
    """When this fails, run `npu synth --all-presets --pnr --update` and commit the result.

    A table that is marked as pending may be older, but only until it is made anew.
    """
    table = load_shipped()
    if table.pending:
        pytest.skip(f"{shipped.PATH.name} may be older than the RTL: {table.pending}")
    assert not table.stale, f"the RTL has changed since; run {UPDATE_COMMAND}"
    assert set(table.presets) == set(PRESETS)
    for name, by_target in table.presets.items():
        assert {PLANS[name].target, "xc7", "generic"} <= set(by_target), name
        for key, found in by_target.items():
            assert found.parameters == PRESETS[name].to_dict(), (name, key)


def test_the_cores_that_ship_are_those_of_the_packages() -> None:
    for name, by_target in load_shipped().cores.items():
        pytest.importorskip(CORES[name].module, reason="needs pip install -e '.[soc]'")
        digest = source_digest(core_design(find_core(name)))
        assert {found.sources for found in by_target.values()} == {digest}
    with pytest.raises(SynthesisError, match="unknown core 'z80'; allowed: vexriscv, cv32e40p"):
        find_core("z80")


def test_the_table_is_written_and_read(tmp_path: Path, table: Shipped) -> None:
    path = tmp_path / "new" / "costs.json"
    save_shipped(table, path)
    assert load_shipped(path) == table
    # a line for each cost
    assert len(re.findall("^   ", path.read_text(), re.M)) == 3
    assert not table.stale
    assert dataclasses.replace(table, rtl="older").stale
    assert load_shipped(tmp_path / "none") == Shipped(rtl="")


def test_clocks(table: Shipped) -> None:
    clock = npu_clock(PRESETS["npu64"])
    assert (clock.mhz, clock.measured) == (90.0, True)
    assert str(clock) == "90.0 MHz, measured on ecp5-85k -6"
    assert str(dataclasses.replace(clock, stale=True)).endswith(", of an older RTL")
    other = npu_clock(dataclasses.replace(PRESETS["npu64"], queue_beats=64))
    assert (other.mhz, other.measured) == (ASSUMED_MHZ, False)
    assert str(other) == "100 MHz, assumed"
    assert core_clock("vexriscv", "ecp5-45k") is None
    assert str(chosen_clock(62.5, PRESETS["npu64"])) == "62.5 MHz, as given"
    assert chosen_clock(None, PRESETS["npu64"]) == clock


def test_speedup_at_each_ones_own_clock(table: Shipped) -> None:
    found = own_clocks(entries(), PRESETS["npu64"])
    # the NPU runs at the clock of the CPU beside it when that is the slower one
    assert found.system.mhz == 60.0
    times = {entry.rung.name: found.milliseconds(entry) for entry in entries()}
    assert times["optimized on VexRiscv"] == pytest.approx(1e6 / 60e3)
    assert times["SIMD on CV32E40P"] == pytest.approx(1e6 / 40e3)
    ratios, clocked = clock_lines(entries(), PRESETS["npu64"])
    assert "100.0x over optimized on VexRiscv, 150.0x over SIMD on CV32E40P; 0.167 ms" in ratios
    assert "NPU 90.0 MHz, measured on ecp5-85k -6; vexriscv 60.0 MHz, cv32e40p 40.0" in clocked


def test_speedup_where_nothing_is_measured(table: Shipped) -> None:
    found = own_clocks(entries(), PRESETS["npu256"])
    assert not found.measured
    (line,) = clock_lines(entries(), PRESETS["npu256"])
    assert line.startswith("With the NPU 0.100 ms at 100 MHz, assumed.")
    table.cores.clear()
    assert not own_clocks(entries(), PRESETS["npu64"]).measured


def test_tables_in_markdown() -> None:
    figures = {"LUTeq": 1234.0, "block RAM": 7.5}
    large = Cost(
        name="npu64",
        target=TARGETS["ecp5-25k"],
        sources="s",
        parameters=None,
        figures={**figures, "DSP": 29.0},
        blocks=Block("npu", 1, 1, figures, figures, ()),
        tools={},
        alone={"npu_grid": 90.0, "npu_control": 80.0},
    )
    other = dataclasses.replace(large, target=TARGETS["xc7"], figures=figures, alone={})
    table = Shipped(rtl="x", presets={"npu64": {"ecp5-25k": large, "xc7": other}})
    first, second = (part.splitlines() for part in markdown_tables(table).split("\n\n"))
    assert first[0] == "|  | target | LUTeq | block RAM | DSP | Fmax MHz, -6 |"
    assert first[2] == "| npu64 | ecp5-25k, does not fit | 1,234 | 7.5 | 29 | (< 80.0) |"
    assert second[2] == "| npu64 | xc7 | 1,234 | 7.5 |"
    assert all(line.count("|") == part[0].count("|") for part in (first, second) for line in part)
