"""Hardware at the edges of what can be configured."""

import random

import pytest

from npu.verify.random_programs import KINDS, random_program
from rtl.config import NpuConfig
from sim.memory import MemoryConfig
from tests.sim.cycle.compare import check_program

EDGES = {
    "least": NpuConfig(
        pixels=2,
        channels=1,
        lanes=4,
        accumulator_depth=4,
        requant_lanes=1,
        scratchpad_kib=4,
        weight_buffer_kib=2,
        parameter_channels=64,
        bus_bytes=4,
        burst_beats=4,
        outstanding_bursts=1,
        queue_beats=8,
        counters=1,
    ),
    "many pixels, wide bus": NpuConfig(
        pixels=16,
        channels=1,
        lanes=4,
        accumulator_depth=8,
        requant_lanes=64,
        scratchpad_kib=32,
        weight_buffer_kib=8,
        parameter_channels=256,
        bus_bytes=16,
        burst_beats=256,
        outstanding_bursts=8,
        queue_beats=64,
    ),
    "wide words, narrow bus": NpuConfig(
        pixels=2,
        channels=2,
        lanes=16,
        accumulator_depth=24,
        requant_lanes=32,
        scratchpad_kib=48,
        weight_buffer_kib=24,
        parameter_channels=512,
        bus_bytes=4,
        burst_beats=32,
        outstanding_bursts=2,
        queue_beats=32,
        counters=4,
    ),
}
"""The smallest NPU of all, and two that are large in one direction and small in others."""


@pytest.mark.parametrize("first", range(0, 40, 20), ids=lambda seed: f"seeds {seed}-{seed + 19}")
@pytest.mark.parametrize("name", EDGES)
def test_random_programs(name: str, first: int) -> None:
    for seed in range(first, first + 20):
        rng = random.Random(seed)
        kinds = tuple(rng.choices(KINDS, k=rng.randint(1, 5)))
        program, _ = random_program(EDGES[name], seed, kinds, rng.choice([2, 4, 6]))
        for latency in rng.sample((1, 2, 5, 20, 90), 2):
            check_program(program, MemoryConfig(latency_cycles=latency), f"seed {seed}")
