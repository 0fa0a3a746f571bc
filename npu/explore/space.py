"""The points of a sweep: every combination of the varied parameters, over a base."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from npu.errors import ExploreError
from npu.explore.settle import Value, settle
from rtl.config import DEFAULT_PRESET, PRESETS, NpuConfig
from sim.memory import MemoryConfig

LATENCY = "latency_cycles"
"""The one parameter of the external memory that can be varied."""

PARAMETERS = (*(field.name for field in dataclasses.fields(NpuConfig)), LATENCY)
"""What a point says: the hardware's parameters and the memory's latency."""

PRESET = "preset"
"""What `--vary` knows beside them: all of the hardware at once."""

AROUND: dict[str, tuple[Value, ...]] = {"pixels": (2, 4, 8, 16), "lanes": (4, 8, 16)}
"""What varies around a configuration of the user's who does not say what is to vary."""


@dataclass(frozen=True)
class Point:
    """One combination of parameters for one network; not necessarily a legal one.

    Parameters
    ----------
    model : position of the network in the sweep's list.
    values : every name of `PARAMETERS`, in that order.
    preset : what varied parameters were put into, where presets are varied.
    settled : parameters that nobody varied and that had to follow the varied ones, with the values
        that they would have had.
    """

    model: int
    values: dict[str, Value]
    preset: str | None = None
    settled: dict[str, Value] = field(default_factory=dict)

    def config(self) -> NpuConfig:
        """The hardware of this point.

        Raises
        ------
        ConfigError : the combination is illegal; the message names the rule.
        """
        return NpuConfig.from_dict({k: v for k, v in self.values.items() if k != LATENCY})

    def memory(self) -> MemoryConfig:
        """The external memory of this point.

        Raises
        ------
        ConfigError : an illegal latency.
        """
        return MemoryConfig(latency_cycles=int(self.values[LATENCY]))


@dataclass(frozen=True)
class Space:
    """What is varied, over a base.

    Parameters
    ----------
    base, latency_cycles : the parameters that are not varied; of them, some follow the varied ones
        where hardware would be illegal otherwise (`npu.explore.settle`).
    varied : values by parameter name, or `PRESET`, in the user's order.
    """

    base: NpuConfig
    latency_cycles: int
    varied: dict[str, tuple[Value, ...]]

    def __len__(self) -> int:
        """Combinations, for one network."""
        size = 1
        for values in self.varied.values():
            size *= len(values)
        return size

    def points(self, models: int) -> Iterator[Point]:
        """All points for `models` networks, the last varied parameter fastest."""
        combinations = [self._point(c) for c in itertools.product(*self.varied.values())]
        for model in range(models):
            for point in combinations:
                yield dataclasses.replace(point, model=model)

    def _point(self, combination: Sequence[Value]) -> Point:
        chosen = dict(zip(self.varied, combination, strict=True))
        preset = chosen.pop(PRESET, None)
        base = self.base if preset is None else PRESETS[str(preset)]
        values: dict[str, Value] = {**base.to_dict(), LATENCY: self.latency_cycles, **chosen}
        hardware = {name: value for name, value in values.items() if name != LATENCY}
        changes = settle(hardware, chosen)
        settled = {name: values[name] for name in changes}
        return Point(0, {**values, **changes}, None if preset is None else str(preset), settled)


def choose_space(config: str, base: NpuConfig, latency_cycles: int, vary: Sequence[str]) -> Space:
    """What `npu explore` sweeps, from its options; `config` is the name of `base`.

    Without anything to vary: all presets, or `AROUND` a configuration that is not the default.

    Raises
    ------
    ExploreError : see `parse_vary`; or presets are varied and a configuration is given too.
    """
    if vary:
        varied = parse_vary(vary)
        if PRESET in varied and config != DEFAULT_PRESET:
            raise ExploreError(f"--vary preset=... and --config {config} are given, one expected")
    else:
        varied = {PRESET: tuple(PRESETS)} if config == DEFAULT_PRESET else AROUND
    return Space(base, latency_cycles, varied)


def parse_vary(options: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Values by parameter from `name=value,value,...`, as `--vary` takes them.

    Raises
    ------
    ExploreError : no `=`, an unknown or repeated name, no value, or one of the wrong type. Whether
        a combination is legal hardware is decided point by point.
    """
    varied: dict[str, tuple[Value, ...]] = {}
    for option in options:
        name, separator, listed = option.partition("=")
        name = name.strip()
        if not separator:
            raise ExploreError(f"--vary needs NAME=VALUE,VALUE,..., got {option!r}")
        if name not in (*PARAMETERS, PRESET):
            allowed = ", ".join((*PARAMETERS, PRESET))
            raise ExploreError(f"--vary: unknown parameter {name!r}; allowed: {allowed}")
        if name in varied:
            raise ExploreError(f"--vary: {name} is given twice")
        values = [_value(name, text.strip()) for text in listed.split(",")]
        varied[name] = tuple(dict.fromkeys(values))
    return varied


def _value(name: str, text: str) -> Value:
    if name == PRESET:
        if text not in PRESETS:
            raise ExploreError(f"--vary: no preset {text!r}; allowed: {', '.join(PRESETS)}")
        return text
    default = getattr(NpuConfig(), name, 0)
    if isinstance(default, str):
        if not text:
            raise ExploreError(f"--vary: {name} has an empty value")
        return text
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ExploreError(f"--vary: {name} takes true and false, got {text!r}")
        return text == "true"
    # more digits are no hardware, and no integer that a file of rows can hold
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
        raise ExploreError(f"--vary: {name} takes integers, got {text!r}")
    return int(text)
