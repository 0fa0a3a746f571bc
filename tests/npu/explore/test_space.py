"""What `--vary` accepts, and which points it means."""

from dataclasses import replace

import pytest

from npu.errors import ExploreError
from npu.explore.settle import CANDIDATES, settle
from npu.explore.space import (
    AROUND,
    LATENCY,
    PARAMETERS,
    PRESET,
    Point,
    Space,
    choose_space,
    parse_vary,
)
from rtl.config import DEFAULT_PRESET, PRESETS, NpuConfig
from rtl.errors import ConfigError

pytestmark = pytest.mark.quick


def test_all_combinations_in_order() -> None:
    space = Space(NpuConfig(), 20, parse_vary(["pixels=4,8", "latency_cycles=10,20,40"]))
    points = list(space.points(2))
    assert len(space) == 6
    assert [(p.model, p.values["pixels"], p.values[LATENCY]) for p in points] == [
        (model, pixels, latency)
        for model in (0, 1)
        for pixels in (4, 8)
        for latency in (10, 20, 40)
    ]
    assert all(tuple(p.values) == PARAMETERS for p in points)


def test_parameters_that_are_not_varied_are_the_bases() -> None:
    base = NpuConfig(scratchpad_kib=128)
    (point,) = Space(base, 33, {}).points(1)
    assert point.config() == base
    assert point.memory().latency_cycles == 33


def test_values_are_taken_once_and_spaces_do_not_matter() -> None:
    assert parse_vary([" pixels = 4, 8,4 "]) == {"pixels": (4, 8)}


def test_words_are_values_of_parameters_that_are_words() -> None:
    assert parse_vary(["rounding=double,single"]) == {"rounding": ("double", "single")}


def test_an_illegal_combination_is_found_at_its_point() -> None:
    (point,) = Space(NpuConfig(), 20, parse_vary(["pixels=5"])).points(1)
    with pytest.raises(ConfigError, match="pixels must be one of"):
        point.config()
    with pytest.raises(ConfigError, match="latency_cycles must be between"):
        Point(0, {**point.values, LATENCY: 0}).memory()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pixels", r"--vary needs NAME=VALUE,VALUE,\.\.\., got 'pixels'"),
        ("pixles=4", "unknown parameter 'pixles'; allowed: pixels, channels, lanes"),
        ("pixels=four", "pixels takes integers, got 'four'"),
        ("pixels=", "pixels takes integers, got ''"),
        ("pixels=1" + "0" * 18, "pixels takes integers, got '1000000000000000000'"),
        ("pixels=4,,8", "pixels takes integers, got ''"),
        ("rounding=", "rounding has an empty value"),
        ("preset=npu64,npu65", "no preset 'npu65'; allowed: npu32, npu64"),
    ],
)
def test_refusals(option: str, message: str) -> None:
    with pytest.raises(ExploreError, match=message):
        parse_vary([option])


def test_a_parameter_is_varied_once() -> None:
    with pytest.raises(ExploreError, match="pixels is given twice"):
        parse_vary(["pixels=4", "pixels=8"])


def test_presets_are_compared() -> None:
    space = Space(NpuConfig(), 20, parse_vary(["preset=npu64,npu256", "bus_bytes=4,16"]))
    points = list(space.points(1))
    assert [(p.preset, p.values["bus_bytes"]) for p in points] == [
        (preset, width) for preset in ("npu64", "npu256") for width in (4, 16)
    ]
    assert points[3].config() == replace(PRESETS["npu256"], bus_bytes=16)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(
    "option", ["lanes=4,8,16", "channels=1,2,4", "pixels=2,4,8,16", "requant_lanes=4,8"]
)
def test_what_is_not_varied_follows(name: str, option: str) -> None:
    """Every one is legal hardware, and only what had to change has changed."""
    base = PRESETS[name]
    varied = parse_vary([option])
    for point in Space(base, 20, varied).points(1):
        config = point.config()
        changed = {k for k, v in base.to_dict().items() if getattr(config, k) != v} - set(varied)
        assert changed == set(point.settled)
        assert all(point.settled[k] == getattr(base, k) for k in changed)
        for parameter in changed:
            with pytest.raises(ConfigError):
                replace(config, **{parameter: getattr(base, parameter)})


def test_the_smallest_change_is_made() -> None:
    base = PRESETS["npu1024"].to_dict()
    assert settle(base, ()) == {}
    assert settle({**base, "lanes": 4}, ["lanes"]) == {"channels": 4}
    assert settle({**base, "channels": 1}, ["channels"]) == {"accumulator_depth": 8}
    assert settle({**base, "parameter_channels": 1004}, []) == {"parameter_channels": 1008}


def test_what_was_asked_for_is_never_changed() -> None:
    base = PRESETS["npu1024"].to_dict()
    assert settle({**base, "lanes": 4}, ["lanes", "channels"]) == {}
    assert settle({**base, "pixels": 5}, ["pixels"]) == {}
    assert settle({**base, "lanes": 4}, ["lanes", *CANDIDATES]) == {}


def test_without_anything_to_vary() -> None:
    presets = choose_space(DEFAULT_PRESET, PRESETS[DEFAULT_PRESET], 20, [])
    assert presets.varied == {PRESET: tuple(PRESETS)}
    assert choose_space("npu64", PRESETS["npu64"], 20, []).varied == AROUND
    with pytest.raises(ExploreError, match="and --config npu64 are given"):
        choose_space("npu64", PRESETS["npu64"], 20, ["preset=npu32"])
