"""The external memory that a simulated NPU sees."""

import math
from dataclasses import dataclass

from rtl.errors import ConfigError

MAX_LATENCY_CYCLES = 100_000

HANDSHAKES = (
    "eager",
    "after_valid",
    "address_first",
    "data_first",
    "together",
    "one_at_a_time",
)
"""When a memory accepts addresses and data; all that AXI allows. "eager": while there is room.
"after_valid": in the cycle after VALID was seen, each once. "address_first": write data when the
burst's address was taken. "data_first": a write address when all data of its burst was taken.
"together": a write address in the cycle in which its first data is taken. "one_at_a_time": an
address when nothing of its direction is unanswered."""


@dataclass(frozen=True, kw_only=True)
class MemoryConfig:
    """Timing of the external memory; its width is the NPU's `bus_bytes`.

    Parameters
    ----------
    latency_cycles : cycles from an accepted read address to its first beat (later beats follow
        one per cycle, bursts in order), and from the last accepted write beat to its response.
    response_cycles : the latter, if it is not `latency_cycles`.
    handshake : one of `HANDSHAKES`.
    stall_probability : chance per cycle and channel that a ready or valid is withheld, 0 to 0.9.
        Cycle counts are a function of the program only without stalls.
    stall_seed : seed of the stalls, 0 to 2**32 - 1.

    Raises
    ------
    ConfigError : a value outside these ranges.
    """

    latency_cycles: int = 20
    response_cycles: int | None = None
    handshake: str = "eager"
    stall_probability: float = 0.0
    stall_seed: int = 0

    def __post_init__(self) -> None:
        self._require_integer("latency_cycles", 1, MAX_LATENCY_CYCLES)
        if self.response_cycles is not None:
            self._require_integer("response_cycles", 1, MAX_LATENCY_CYCLES)
        if self.handshake not in HANDSHAKES:
            raise ConfigError(
                f"handshake must be one of {', '.join(HANDSHAKES)}, got {self.handshake!r}"
            )
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
