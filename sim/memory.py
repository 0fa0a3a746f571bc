"""The external memory that a simulated NPU sees."""

import math
from dataclasses import dataclass

from rtl.errors import ConfigError

MAX_LATENCY_CYCLES = 100_000


@dataclass(frozen=True, kw_only=True)
class MemoryConfig:
    """Timing of the external memory; its width is the NPU's `bus_bytes`.

    Parameters
    ----------
    latency_cycles : cycles from an accepted read address to its first beat (later beats follow
        one per cycle, bursts in order), and from the last accepted write beat to its response.
    stall_probability : chance per cycle and channel that a ready or valid is withheld, 0 to 0.9.
        Cycle counts are a function of the program only without stalls.
    stall_seed : seed of the stalls, 0 to 2**32 - 1.

    Raises
    ------
    ConfigError : a value outside these ranges.
    """

    latency_cycles: int = 20
    stall_probability: float = 0.0
    stall_seed: int = 0

    def __post_init__(self) -> None:
        self._require_integer("latency_cycles", 1, MAX_LATENCY_CYCLES)
        self._require_integer("stall_seed", 0, 2**32 - 1)
        probability = self.stall_probability
        if isinstance(probability, bool) or not isinstance(probability, int | float):
            raise ConfigError(f"stall_probability must be a number, got {probability!r}")
        if not math.isfinite(probability) or not 0.0 <= probability <= 0.9:
            raise ConfigError(f"stall_probability must be between 0 and 0.9, got {probability}")

    def _require_integer(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{name} must be an integer, got {value!r}")
        if not low <= value <= high:
            raise ConfigError(f"{name} must be between {low} and {high}, got {value}")
