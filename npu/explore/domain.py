"""The space of a search: what may vary, and how any choice becomes legal hardware."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npu.errors import ExploreError
from npu.explore.settle import Value
from npu.explore.space import LATENCY, PARAMETERS
from npu.model.graph import Graph
from rtl.config import DECODER_LANES, LISTED_DEPTH, PRESETS, WEIGHT_FORMATS, NpuConfig
from rtl.errors import ConfigError

NETWORK = "network"
"""The dimension of network variants, beside hardware."""

# a parameter comes after those that its legal values depend on
_ORDER = ("pixels", "lanes", "channels", "accumulator_depth", "requant_lanes")

_DEFAULT: dict[str, tuple[Value, ...]] = {
    "pixels": (2, 4, 8, 16),
    "lanes": (4, 8, 16),
    "channels": (1, 2, 4, 8, 16),
    "accumulator_depth": (1, 2, 4, 8, 16, 32),
    "requant_lanes": (2, 4, 8, 16, 32, 64),
    "scratchpad_kib": (32, 64, 128, 256, 512),
    "weight_buffer_kib": (16, 32, 64, 128, 256),
    "bus_bytes": (4, 8, 16),
    "burst_beats": (16, 32, 64, 128),
}
MAX_MACS = 1024
"""Of the default space: the largest preset."""


@dataclass(frozen=True)
class Domain:
    """Values by parameter, from which any combination is made legal.

    Parameters
    ----------
    base, latency_cycles : what does not vary; parameters of it follow where they must.
    choices : values by parameter, in order, at least one each.
    variants : how many variants of the networks there are.
    max_macs : larger grids shrink along pixels and channels.
    """

    base: NpuConfig
    latency_cycles: int
    choices: Mapping[str, tuple[Value, ...]]
    variants: int = 1
    max_macs: int | None = field(default=None, kw_only=True)

    @property
    def dimensions(self) -> dict[str, int]:
        """How many choices each dimension has, those with one choice left out."""
        sizes = {name: len(values) for name, values in self.choices.items() if len(values) > 1}
        if self.variants > 1:
            sizes[NETWORK] = self.variants
        return sizes

    def __len__(self) -> int:
        """Combinations before they are made legal."""
        size = 1
        for count in self.dimensions.values():
            size *= count
        return size

    def values(self, chosen: Mapping[str, int]) -> dict[str, Value]:
        """Parameters, and the latency, of a choice of positions by dimension; legal hardware.

        Raises
        ------
        ConfigError : what may vary allows nothing legal beside the other choices.
        """
        found: dict[str, Value] = {**self.base.to_dict(), LATENCY: self.latency_cycles}
        for name, values in self.choices.items():
            found[name] = values[chosen.get(name, 0)]
        for name in _ORDER:
            found[name] = self._nearest(name, found)
        self._shrink(found)
        illegal: tuple[str, ...] = ()
        if found["lanes"] != DECODER_LANES or int(found["channels"]) < 2:
            illegal = WEIGHT_FORMATS
        elif int(found["accumulator_depth"]) > LISTED_DEPTH:
            illegal = ("pruned_weights",)
        for name in illegal:
            if False in self.choices.get(name, (False,)):
                found[name] = False
        self._fill_banks(found)
        NpuConfig.from_dict({name: value for name, value in found.items() if name != LATENCY})
        return found

    def _nearest(self, name: str, found: Mapping[str, Value]) -> Value:
        """The value allowed and legal that is nearest to the one chosen, as a factor."""
        legal = _legal(name, found)
        wanted = int(found[name])
        if legal is None or wanted in legal:
            return wanted
        allowed = [v for v in self.choices.get(name, tuple(legal)) if v in legal]
        if not allowed:
            given = ", ".join(map(str, self.choices[name]))
            raise ConfigError(
                f"{name}: none of {given} is legal with pixels {found['pixels']}, lanes"
                f" {found['lanes']}, channels {found['channels']}; legal are"
                f" {', '.join(map(str, sorted(legal)))}"
            )
        return min(allowed, key=lambda v: (_factor(int(v), wanted), v))

    def _shrink(self, found: dict[str, Value]) -> None:
        """Halve the grid until it has no more than `max_macs`."""
        while self.max_macs is not None:
            p, k, c = (int(found[name]) for name in ("pixels", "channels", "lanes"))
            if p * k * c <= self.max_macs:
                return
            smaller = [
                (name, int(value))
                for name in ("pixels", "channels")
                for value in self.choices.get(name, ())
                if int(value) < int(found[name])
            ]
            if not smaller:
                return
            name, value = max(smaller, key=lambda pair: pair[1])
            found[name] = value
            for other in ("accumulator_depth", "requant_lanes"):
                found[other] = self._nearest(other, found)

    @staticmethod
    def _fill_banks(found: dict[str, Value]) -> None:
        """Sizes that fill whole words and banks, the next larger ones."""
        banks, lanes = 2 * int(found["pixels"]), int(found["lanes"])
        row = max(1, banks * lanes // 1024)
        found["scratchpad_kib"] = -(-int(found["scratchpad_kib"]) // row) * row
        channels = int(found["parameter_channels"])
        found["parameter_channels"] = -(-channels // lanes) * lanes


def _legal(name: str, found: Mapping[str, Value]) -> set[int] | None:
    """Legal values of a parameter beside those before it; None where any is."""
    pixels, lanes, channels = (int(found[n]) for n in ("pixels", "lanes", "channels"))
    if name == "channels":
        return {k for k in (1, 2, 4, 8, 16) if k <= lanes}
    if name == "accumulator_depth":
        return set(range(lanes // channels, 33, lanes // channels))
    if name == "requant_lanes":
        return {lanes >> 2, lanes >> 1} | {lanes << i for i in range(pixels.bit_length())}
    return None


def _factor(value: int, wanted: int) -> float:
    return max(value, wanted) / max(1, min(value, wanted))


def default_domain(
    graphs: Sequence[Graph], base: NpuConfig, latency_cycles: int, variants: int = 1
) -> Domain:
    """What varies when the user does not say: the shape of grid and memories, the bus; decoders
    where a network has weights that they are for."""
    choices = dict(_DEFAULT)
    most = max((t.shape[-1] for g in graphs for t in g.tensors if t.shape), default=1)
    choices["parameter_channels"] = tuple(
        size for size in (128, 256, 512, 1024, 2048) if size >= min(most, 1024)
    )
    useful = useful_formats(graphs)
    choices.update(dict.fromkeys(useful, (False, True)))
    return Domain(base, latency_cycles, choices, variants, max_macs=MAX_MACS)


def useful_formats(graphs: Sequence[Graph]) -> list[str]:
    """Those of `WEIGHT_FORMATS` that some weights of the networks would be smaller in."""
    import numpy as np

    found = set()
    for graph in graphs:
        for tensor in graph.tensors:
            data = tensor.data
            if data is None or data.dtype != np.int8 or data.ndim < 2 or data.size < 256:
                continue
            if np.count_nonzero(data) < 0.6 * data.size:
                found.add("masked_weights")
            if len(np.unique(data)) <= 16:
                found.add("clustered_weights")
            if data.min() >= -8 and data.max() <= 7:
                found.add("int4_weights")
            if data.shape[-1] % DECODER_LANES == 0:
                words = data.reshape(-1, DECODER_LANES).any(axis=1)
                if np.count_nonzero(words) < 0.7 * words.size:
                    found.add("pruned_weights")
    return [name for name in WEIGHT_FORMATS if name in found]


def read_space(path: Path, base: NpuConfig, latency_cycles: int, variants: int = 1) -> Domain:
    """The space of a TOML file: a list of values by parameter; `preset` names another base.

    Raises
    ------
    ExploreError : the file cannot be read, or says what no space can have.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExploreError(f"cannot read --space '{path}': {error.strerror}") from None
    except ValueError as error:
        raise ExploreError(
            f"cannot read --space '{path}': {' '.join(str(error).split())}"
        ) from None
    preset = document.pop("preset", None)
    if preset is not None:
        if preset not in PRESETS:
            allowed = ", ".join(PRESETS)
            raise ExploreError(f"--space '{path}': no preset {preset!r}; allowed: {allowed}")
        base = PRESETS[preset]
    choices = {name: _listed(path, name, values, base) for name, values in document.items()}
    return Domain(base, latency_cycles, choices, variants)


def _listed(path: Path, name: str, values: Any, base: NpuConfig) -> tuple[Value, ...]:
    if name not in PARAMETERS:
        allowed = ", ".join((*PARAMETERS, "preset"))
        raise ExploreError(f"--space '{path}': unknown parameter {name!r}; allowed: {allowed}")
    listed = values if isinstance(values, list) else [values]
    kind = type(getattr(base, name, 0))
    if not listed or any(type(value) is not kind for value in listed):
        wanted = {bool: "true and false", int: "integers", str: "strings"}[kind]
        raise ExploreError(f"--space '{path}': {name} takes a list of {wanted}, got {values!r}")
    return tuple(dict.fromkeys(listed))
