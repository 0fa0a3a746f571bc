"""Any choice of a space becomes legal hardware."""

import random
from pathlib import Path

import numpy as np
import pytest

from npu.errors import ExploreError
from npu.explore.domain import NETWORK, Domain, default_domain, read_space, useful_formats
from npu.explore.samplers import grid_choices, random_choices
from npu.explore.space import Point
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS, WEIGHT_FORMATS, NpuConfig
from rtl.errors import ConfigError
from tests.npu.small_model import classifier

SEED = 7


def graph() -> object:
    return read_model_bytes(classifier(), "classifier")


def test_every_choice_of_the_default_space_is_legal() -> None:
    domain = default_domain([graph()], NpuConfig(), 20)  # type: ignore[list-item]
    choices = random_choices(domain.dimensions, SEED)
    found = {Point(0, domain.values(next(choices))).config() for _ in range(400)}
    assert len(found) > 300, f"seed {SEED}"
    assert max(config.macs_per_cycle for config in found) <= 1024
    assert {config.lanes for config in found} == {4, 8, 16}
    assert len(domain) > 10**6


def test_all_values_with_decoders() -> None:
    choices = {
        "pixels": (2, 16),
        "lanes": (4, 8, 16),
        "channels": (1, 2, 16),
        "accumulator_depth": (3, 32),
        "requant_lanes": (4, 8, 64),
        "scratchpad_kib": (4, 5),
        "parameter_channels": (16, 24),
        **dict.fromkeys(WEIGHT_FORMATS, (False, True)),
    }
    domain = Domain(NpuConfig(), 20, choices)
    seen = [domain.values(c) for c in grid_choices(domain.dimensions, 400)]
    configs = [Point(0, values).config() for values in seen]
    assert any(config.decodes_weights for config in configs)
    assert all(config.lanes == 8 for config in configs if config.decodes_weights)


def test_what_is_legal_is_not_changed() -> None:
    for config in PRESETS.values():
        choices = {name: (value,) for name, value in config.to_dict().items()}
        values = Domain(NpuConfig(), 20, choices).values({})
        assert Point(0, values).config() == config


def test_a_space_without_anything_legal_says_so() -> None:
    domain = Domain(NpuConfig(), 20, {"lanes": (4,), "channels": (8, 16)})
    with pytest.raises(ConfigError, match="none of 8, 16 is legal with pixels 8, lanes 4"):
        domain.values({"channels": 0})


def test_a_grid_is_all_of_it_or_evenly_spread() -> None:
    sizes = {"a": 3, NETWORK: 4}
    everything = list(grid_choices(sizes, 100))
    assert len(everything) == 12
    assert everything[:5] == [
        *({"a": 0, NETWORK: at} for at in range(4)),
        {"a": 1, NETWORK: 0},
    ]
    some = list(grid_choices(sizes, 5))
    assert len(some) == 5
    assert {choice["a"] for choice in some} == {0, 1, 2}
    first = random_choices(sizes, 3)
    again = random_choices(sizes, 3)
    assert [next(first) for _ in range(20)] == [next(again) for _ in range(20)]


def test_formats_that_weights_are_for() -> None:
    plain = graph()
    assert useful_formats([plain]) == []  # type: ignore[list-item]
    rng = random.Random(SEED)
    for tensor in plain.tensors:  # type: ignore[attr-defined]
        if tensor.data is not None and tensor.data.dtype == np.int8:
            zeros = np.array([rng.random() < 0.8 for _ in range(tensor.data.size)])
            data = np.where(zeros.reshape(tensor.shape), 0, tensor.data % 4).astype(np.int8)
            object.__setattr__(tensor, "data", data)
    found = useful_formats([plain])  # type: ignore[list-item]
    large = [
        t
        for t in plain.tensors  # type: ignore[attr-defined]
        if t.data is not None and t.data.dtype == np.int8 and t.data.size >= 256
    ]
    assert found == (list(WEIGHT_FORMATS) if large else [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = [1]", "unknown parameter 'colour'; allowed: pixels, "),
        ("pixels = []", "pixels takes a list of integers, got []"),
        ("pixels = ['2']", "pixels takes a list of integers, got"),
        ("int4_weights = [1]", "int4_weights takes a list of true and false"),
        ("preset = 'npu1'", "no preset 'npu1'"),
        ("pixels = [", "cannot read --space"),
    ],
)
def test_bad_spaces(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(ExploreError) as error:
        read_space(path, NpuConfig(), 20)
    assert message in str(error.value)


def test_a_space_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text("preset = 'npu64'\npixels = [2, 4, 4]\nlatency_cycles = 50\n")
    domain = read_space(path, NpuConfig(), 20, variants=3)
    assert domain.dimensions == {"pixels": 2, NETWORK: 3}
    values = domain.values({"pixels": 1, NETWORK: 2})
    assert (values["pixels"], values["latency_cycles"], values["requant_lanes"]) == (4, 50, 8)
    with pytest.raises(ExploreError, match="No such file"):
        read_space(tmp_path / "none.toml", NpuConfig(), 20)
