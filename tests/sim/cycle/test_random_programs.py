"""Random programs: single commands of odd geometry, and several that share memories and engines."""

import random
from functools import cache

import pytest

from npu.verify.random_programs import KINDS, random_program
from rtl.config import PRESETS
from rtl.isa import Opcode
from sim.memory import MemoryConfig
from sim.program import Program
from tests.sim import configs
from tests.sim.cycle.compare import check_program

CONFIGS = {**configs.RTL, "npu64": PRESETS["npu64"], "npu256": PRESETS["npu256"]}

LATENCIES = (1, 2, 3, 7, 20, 63, 100, 1500)
"""From the fastest to one that exceeds the watchdog's patience."""


@cache
def _program(name: str, seed: int, kinds: tuple[Opcode, ...], size: int) -> Program:
    return random_program(CONFIGS[name], seed, kinds, size)[0]


@pytest.mark.parametrize("first", range(0, 40, 10), ids=lambda seed: f"seeds {seed}-{seed + 9}")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", CONFIGS)
def test_single_commands(name: str, kind: Opcode, first: int) -> None:
    for seed in range(first, first + 10):
        rng = random.Random(seed)
        program = _program(name, seed, (kind,), rng.choice([2, 4, 6, 9]))
        check_program(program, MemoryConfig(latency_cycles=rng.choice(LATENCIES)), f"seed {seed}")


@pytest.mark.parametrize("first", range(100, 140, 10), ids=lambda seed: f"seeds {seed}-{seed + 9}")
@pytest.mark.parametrize("name", CONFIGS)
def test_sequences(name: str, first: int) -> None:
    """Engines at work at the same time: shared bus, shared banks, waits in all directions."""
    for seed in range(first, first + 10):
        rng = random.Random(seed)
        kinds = tuple(rng.choices(KINDS, k=rng.randint(2, 8)))
        program = _program(name, seed, kinds, rng.choice([2, 4, 6]))
        for latency in rng.sample(LATENCIES, 3):
            check_program(program, MemoryConfig(latency_cycles=latency), f"seed {seed}")
