"""The cost model against what synthesis found, and energy against a count by hand."""

from collections import defaultdict
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from npu.cost import model as model_module
from npu.cost.blocks import BLOCKS, structure
from npu.cost.depth import longest_path_ns
from npu.cost.energy import EnergyTable, energy_parts, load_energy
from npu.cost.fit import make_model, save_model
from npu.cost.model import load_model
from npu.cost.samples import Samples, load_samples, save_samples
from npu.cost.sampling import HELD_OUT, plan
from npu.cost.structure import block_rams, multipliers
from npu.errors import OutputError
from rtl.config import PRESETS, WEIGHT_FORMATS, NpuConfig
from rtl.errors import ConfigError
from rtl.npu import Npu


def configured(sample: object) -> NpuConfig:
    return NpuConfig.from_dict(dict(sample.parameters))  # type: ignore[attr-defined]


def submodules(component: Any) -> set[str]:
    """Names of the types of a component's parts, none of which becomes hardware here."""
    module = component.elaborate(None)
    parts = [part for part, *_ in module._named_submodules.values()]
    for one in (component, module, *parts):
        one._MustUse__used = True
    return {type(part).__name__ for part in parts}


def test_blocks_are_all_of_the_hardware() -> None:
    """Every submodule of the top, and of the compute engine, is one of the blocks."""
    from rtl.compute_engine import ComputeEngine

    config = PRESETS["npu32"]
    found = (submodules(Npu(config)) | submodules(ComputeEngine(config))) - {"ComputeEngine"}
    assert found == {kind.component for kind in BLOCKS.values()}
    for kind in BLOCKS.values():
        assert set(kind.features) <= set(structure(config))


def test_multipliers_and_block_rams_are_exact() -> None:
    """Of every whole configuration, and of every one of which all blocks were synthesized."""
    samples = load_samples()
    for sample in samples.wholes:
        config = configured(sample)
        assert multipliers(config) == sample.figures["DSP"]
        assert block_rams(config) == sample.figures["block RAM"]
    for sample in samples.blocks:
        if sample.block == "grid":
            assert sample.figures["DSP"] == configured(sample).macs_per_cycle


def test_held_out_configurations() -> None:
    """None of their blocks, in two parameters at least, was synthesized for the fit; LUTeq is
    within 10 %, DSP and block RAM exact."""
    samples, model = load_samples(), load_model()
    held_out = [sample for sample in samples.wholes if not sample.of_preset]
    assert len(held_out) == len(HELD_OUT) >= 3
    assert any(config.decodes_weights for config in map(configured, held_out))
    for one in held_out:
        for sample in samples.blocks:
            different = [n for n, v in sample.parameters.items() if one.parameters[n] != v]
            assert len(different) >= 2
        area = model.area(configured(one))
        assert area.luts == pytest.approx(one.figures["LUTeq"], rel=0.10)
        assert area.figures["DSP"] == one.figures["DSP"]
        assert area.figures["block RAM"] == one.figures["block RAM"]
    assert max(map(abs, model.errors["LUTeq"])) <= 0.10
    assert set(model.errors["DSP"]) == set(model.errors["block RAM"]) == {0.0}


def test_presets_that_were_synthesized() -> None:
    model = load_model()
    for sample in load_samples().wholes:
        if sample.of_preset:
            assert model.area(configured(sample)).luts == pytest.approx(
                sample.figures["LUTeq"], rel=0.06
            )


def test_shipped_fits_are_those_of_the_shipped_samples(tmp_path: Path) -> None:
    samples = load_samples()
    again = make_model(samples)
    assert again.scale == pytest.approx(load_model().scale)
    for figure, blocks in load_model().coefficients.items():
        for block, fitted in blocks.items():
            assert again.coefficients[figure][block] == pytest.approx(fitted, rel=1e-3, abs=1e-2)
    path = save_model(again, tmp_path / "fits.json")
    assert load_model(path).coefficients == again.coefficients
    assert load_samples(save_samples(samples, tmp_path / "samples.json")) == samples


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        save_model(load_model(), tmp_path)
    with pytest.raises(OutputError, match="cannot write"):
        save_samples(load_samples(), tmp_path)


def test_samples_of_another_rtl_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model()
    monkeypatch.setattr(model_module, "rtl_digest", lambda: model.rtl)
    assert not model.stale
    assert not any("make cost-samples" in note for note in model.notes())
    monkeypatch.setattr(model_module, "rtl_digest", lambda: "0123456789")
    assert model.stale
    assert any("today's is 01234567: make cost-samples" in note for note in model.notes())


def test_the_clock_follows_what_was_routed(monkeypatch: pytest.MonkeyPatch) -> None:
    model, npu64 = load_model(), PRESETS["npu64"]
    monkeypatch.setattr(model_module, "_routed", list)
    assert model.clock(npu64).extrapolated
    assert any("extrapolated" in note for note in model.notes())
    monkeypatch.setattr(model_module, "_routed", lambda: [(npu64, 80.0)])
    clock = model.clock(npu64)
    assert clock.mhz == pytest.approx(80.0)
    assert (clock.routed, clock.extrapolated) == (1, False)
    assert model.clock(PRESETS["npu1024"]).extrapolated
    assert any("1 routed" in note for note in model.notes())


def test_more_hardware_is_more_area() -> None:
    model = load_model()
    base = PRESETS["npu64"]
    larger = (replace(base, pixels=4), replace(base, bus_bytes=16), replace(base, requant_lanes=16))
    for config in larger:
        assert model.area(config).luts > model.area(base).luts
    assert model.area(PRESETS["npu64c"]).luts > model.area(base).luts
    assert model.area(base).fits("ecp5-85k")
    assert not model.area(PRESETS["npu1024"]).fits("ecp5-85k")
    assert not model.area(base).fits("generic")
    blocks = model.block_luts(base)
    assert sum(blocks.values()) == pytest.approx(model.area(base).luts)


def test_the_plan_is_always_the_same() -> None:
    configs = list(plan())
    assert configs == list(plan())
    assert {name for config in configs for name in config.weight_formats} == set(WEIGHT_FORMATS)


def _cell(kind: str, **ports: tuple[str, list[int]]) -> dict[str, object]:
    return {
        "type": kind,
        "port_directions": {name: way for name, (way, _) in ports.items()},
        "connections": {name: bits for name, (_, bits) in ports.items()},
    }


def test_the_longest_path_of_a_netlist() -> None:
    """Register, two LUTs, register: 0.5 + 2 x (0.9 + 0.25) + 0.9 ns; a wider way is shorter."""
    cells = {
        "a": _cell("TRELLIS_FF", CLK=("input", [1]), DI=("input", [9]), Q=("output", [2])),
        "l1": _cell("LUT4", A=("input", [2]), Z=("output", [3])),
        "l2": _cell("LUT4", A=("input", [3]), B=("input", [2]), Z=("output", [4])),
        "b": _cell("TRELLIS_FF", CLK=("input", [1]), DI=("input", [4]), Q=("output", [9])),
    }
    assert longest_path_ns({"cells": cells}) == pytest.approx(3.7)
    carry = _cell("CCU2C", CIN=("input", [3]), A0=("input", [2]), S0=("output", [4]))
    assert longest_path_ns({"cells": {**cells, "l2": carry}}) == pytest.approx(2.75)
    assert longest_path_ns({"cells": {}}) == 0.0


ACTIVITY = {
    "mac_cycles": 1000,
    "fetch_cycles": 0,
    "output_cycles": 0,
    "read_bytes": 0,
    "write_bytes": 0,
}


def test_energy_by_hand() -> None:
    table, config = load_energy(), PRESETS["npu64"]
    parts = energy_parts(config, ACTIVITY, table, 20_000, 1.0)
    assert parts["multipliers"] == pytest.approx(1000 * 64 * (0.2 + 0.1 * 7 / 8) / 1e6)
    assert parts["accumulators"] == pytest.approx(1000 * 8 * 0.1 / 1e6)
    # 4 x 8 bytes of weights in each of 1000 cycles, from columns of 16 KiB
    assert parts["memory on chip"] == pytest.approx(32_000 * table.sram_byte(16 * 1024) / 1e6)
    assert parts["external memory"] == parts["requantization"] == parts["leakage"] == 0
    assert table.sram_byte(8 * 1024) == pytest.approx(10 / 8)
    assert table.sram_byte(32 * 1024) == pytest.approx(20 / 8)
    assert table.sram_byte(1024 * 1024) == pytest.approx(100 / 8)
    assert 10 / 8 < table.sram_byte(16 * 1024) < 20 / 8
    assert replace(table, sram_8_kib=0.0).sram_byte(9000) == 0
    moved = energy_parts(config, {**ACTIVITY, "read_bytes": 800}, table, 20_000, 1.0)
    assert moved["external memory"] == pytest.approx(100 * 1950 / 1e6)


def test_a_table_of_energies_can_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "energy.toml"
    path.write_text("leakage_lut_us = 0.01\nregister_byte = 1\n")
    table = load_energy(path)
    assert table.lacks == []
    assert load_energy().lacks == ["registers", "leakage"]
    assert (table.multiply_8, str(path) in table.source) == (load_energy().multiply_8, True)
    parts = energy_parts(PRESETS["npu64"], ACTIVITY, table, 20_000, 2.0)
    assert parts["leakage"] == pytest.approx(20_000 * 2000 * 0.01 / 1e6)
    assert {field.name for field in fields(EnergyTable)} >= {"source", "dram_64_bit"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("volts = 1", "unknown energy 'volts'; allowed: source"),
        ("add_32 = -1", "add_32 must be a number of picojoules, got -1"),
        ("add_32 = 'much'", "add_32 must be a number of picojoules, got 'much'"),
        ("add_32 =", "cannot read"),
    ],
)
def test_bad_tables_of_energies(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "energy.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_energy(path)
    with pytest.raises(ConfigError, match="No such file"):
        load_energy(tmp_path / "none.toml")


def test_samples_have_every_block() -> None:
    samples: Samples = load_samples()
    found: dict[str, int] = defaultdict(int)
    for sample in samples.blocks:
        found[sample.block] += 1
    assert set(found) == set(BLOCKS)
    assert min(found.values()) >= 5
