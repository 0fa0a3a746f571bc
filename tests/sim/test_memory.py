"""What a simulated memory may be."""

from typing import Any

import pytest

from rtl.errors import ConfigError
from sim.memory import HANDSHAKES, MAX_LATENCY_CYCLES, MemoryConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latency_cycles": 0}, "latency_cycles must be between 1 and 100000, got 0"),
        ({"latency_cycles": 1.5}, "latency_cycles must be an integer, got 1.5"),
        ({"response_cycles": 0}, "response_cycles must be between 1 and 100000, got 0"),
        ({"response_cycles": MAX_LATENCY_CYCLES + 1}, "got 100001"),
        ({"handshake": "lazy"}, "handshake must be one of eager, after_valid, .*, got 'lazy'"),
        ({"stall_probability": "often"}, "stall_probability must be a number, got 'often'"),
        ({"stall_probability": 0.91}, "stall_probability must be between 0 and 0.9, got 0.91"),
        ({"stall_seed": -1}, "stall_seed must be between 0 and 4294967295, got -1"),
    ],
)
def test_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MemoryConfig(**values)


def test_limits_are_allowed() -> None:
    for handshake in HANDSHAKES:
        MemoryConfig(handshake=handshake, latency_cycles=1, response_cycles=MAX_LATENCY_CYCLES)
