"""The points of a sweep: every combination of the varied parameters, over a base."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from npu.errors import ExploreError
from rtl.config import NpuConfig
from sim.memory import MemoryConfig

LATENCY = "latency_cycles"
"""The one parameter of the external memory that can be varied."""

PARAMETERS = (*(field.name for field in dataclasses.fields(NpuConfig)), LATENCY)
"""Everything that `--vary` knows: the hardware's parameters and the memory's latency."""

Value = int | str


@dataclass(frozen=True)
class Point:
    """One combination of parameters for one network; not necessarily a legal one.

    Parameters
    ----------
    model : position of the network in the sweep's list.
    values : every name of `PARAMETERS`, in that order.
    """

    model: int
    values: dict[str, Value]

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
    base, latency_cycles : the parameters that are not varied.
    varied : values by parameter name, in the user's order.
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
        base: dict[str, Value] = {**self.base.to_dict(), LATENCY: self.latency_cycles}
        for model in range(models):
            for combination in itertools.product(*self.varied.values()):
                chosen = dict(zip(self.varied, combination, strict=True))
                yield Point(model, {**base, **chosen})


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
        if name not in PARAMETERS:
            raise ExploreError(
                f"--vary: unknown parameter {name!r}; allowed: {', '.join(PARAMETERS)}"
            )
        if name in varied:
            raise ExploreError(f"--vary: {name} is given twice")
        values = [_value(name, text.strip()) for text in listed.split(",")]
        varied[name] = tuple(dict.fromkeys(values))
    return varied


def _value(name: str, text: str) -> Value:
    default = getattr(NpuConfig(), name, 0)
    if isinstance(default, str):
        if not text:
            raise ExploreError(f"--vary: {name} has an empty value")
        return text
    # more digits are no hardware, and no integer that a file of rows can hold
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
        raise ExploreError(f"--vary: {name} takes integers, got {text!r}")
    return int(text)
