"""The configuration: every rule refuses with the value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from rtl.config import DEFAULT_PRESET, PRESETS, ROUNDINGS, NpuConfig, load_config
from rtl.errors import ConfigError

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pixels": 3}, r"pixels must be one of \[2, 4, 8, 16\], got 3"),
        ({"lanes": 5}, r"lanes must be one of \[4, 8, 16\], got 5"),
        ({"channels": 16}, r"channels must be one of \[1, 2, 4, 8\], got 16"),
        ({"accumulator_depth": 0}, "accumulator_depth must be between 1 and 32, got 0"),
        ({"accumulator_depth": 3}, "accumulator_depth must be a multiple of .* = 2 .*got 3"),
        (
            {"requant_lanes": 24},
            "requant_lanes must be lanes .8. divided by 2 or 4, or times a .*24",
        ),
        ({"scratchpad_kib": 2}, "scratchpad_kib must be between 4 and 4096, got 2"),
        ({"parameter_channels": 12}, "parameter_channels must be a multiple of lanes .8., got 12"),
        ({"bus_bytes": "8"}, "bus_bytes must be an integer, got '8'"),
        ({"burst_beats": True}, "burst_beats must be an integer, got True"),
        ({"queue_beats": 4}, r"queue_beats must be one of \[8, 16, 32, 64\], got 4"),
        ({"counters": 8}, r"counters must be one of \[1, 4, 16\], got 8"),
        ({"rounding": "down"}, r"rounding must be one of \['double', 'single', .*got 'down'"),
        ({"rounding": 1}, "rounding must be one of .*got 1"),
        ({"int4_weights": 1}, "int4_weights must be true or false, got 1"),
        (
            {"masked_weights": True, "int4_weights": True, "lanes": 16, "channels": 8},
            "int4_weights and masked_weights need lanes = 8 and at least 2 channels, got 16 and 8",
        ),
    ],
)
def test_illegal_values_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NpuConfig(**parameters)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown configuration key 'speed'; allowed: pixels, "):
        NpuConfig.from_dict({"speed": 1})


@pytest.mark.parametrize("preset", PRESETS)
def test_toml_reads_back_as_the_same_hardware(preset: str, tmp_path: Path) -> None:
    path = tmp_path / "hardware.toml"
    path.write_text(PRESETS[preset].to_toml())
    loaded = load_config(str(path))
    assert loaded == PRESETS[preset] == load_config(preset)
    assert loaded.config_id == PRESETS[preset].config_id
    assert preset == f"npu{loaded.macs_per_cycle}{'c' if loaded.decodes_weights else ''}"


def test_a_file_overrides_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "hardware.toml"
    changes = {"scratchpad_kib": 128, "rounding": "half_up"}
    path.write_text(f'preset = "{DEFAULT_PRESET}"\nscratchpad_kib = 128\nrounding = "half_up"\n')
    loaded = load_config(str(path))
    assert loaded.to_dict() == {**PRESETS[DEFAULT_PRESET].to_dict(), **changes}
    assert loaded.config_id != PRESETS[DEFAULT_PRESET].config_id


def test_roundings_are_different_hardware(tmp_path: Path) -> None:
    configs = [NpuConfig(rounding=rounding) for rounding in ROUNDINGS]
    assert len({config.config_id for config in configs}) == len(ROUNDINGS)
    for config in configs:
        path = tmp_path / f"{config.rounding}.toml"
        path.write_text(config.to_toml())
        assert load_config(str(path)) == config == NpuConfig.from_dict(config.to_dict())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pixels = ", "cannot read configuration"),
        ('preset = "npu7"', "unknown preset 'npu7' in .*; allowed: npu32, "),
        ('preset = ["npu64"]', r"unknown preset \['npu64'\] in .*; allowed: npu32, "),
        ("lanes = " + "9" * 5000, "cannot read configuration .*: Exceeds the limit"),
        ("lanes = " + "[" * 5000, "cannot read configuration"),
        ("lanes = [8]", r"configuration .*hardware.toml: lanes must be an integer, got \[8\]"),
        ("pixel = 8", r"configuration .*hardware.toml: unknown configuration key 'pixel'; allowed"),
        ("rounding = [1]", r"rounding must be one of .*, got \[1\]"),
    ],
)
def test_bad_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "hardware.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(str(path))
    with pytest.raises(ConfigError, match=r"no preset or configuration file .*; presets: npu32, "):
        load_config(str(tmp_path / "absent.toml"))
    with pytest.raises(ConfigError, match=r"cannot read configuration x*: .*File name too long"):
        load_config("x" * 300)
