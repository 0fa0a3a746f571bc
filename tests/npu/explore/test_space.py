"""What `--vary` accepts, and which points it means."""

import pytest

from npu.errors import ExploreError
from npu.explore.space import LATENCY, PARAMETERS, Point, Space, parse_vary
from rtl.config import NpuConfig
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
    ],
)
def test_refusals(option: str, message: str) -> None:
    with pytest.raises(ExploreError, match=message):
        parse_vary([option])


def test_a_parameter_is_varied_once() -> None:
    with pytest.raises(ExploreError, match="pixels is given twice"):
        parse_vary(["pixels=4", "pixels=8"])
