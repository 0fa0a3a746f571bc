"""The RTL computes what the functional simulator computes, at any memory latency and stalls."""

import random
from functools import cache, partial

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.verify.random_programs import KINDS, OUTPUT, random_program
from rtl.config import PRESETS
from rtl.isa import COMMANDS, Engine, Opcode
from sim.functional import FunctionalSimulator
from sim.memory import MemoryConfig
from sim.program import Program
from sim.rtl_runner import RtlSimulator
from tests.sim import configs
from tests.sim.comparison import assert_same
from tests.sim.configs import SMALL

CONFIGS = {**configs.RTL, "npu64": PRESETS["npu64"], "npu256": PRESETS["npu256"]}

LATENCIES = (1, 20, 100)
STALLS = (0.0, 0.1, 0.5, 0.8)

Case = tuple[Program, dict[int, NDArray[np.int8]]]


@cache
def _case(name: str, seed: int) -> Case:
    """A program of one to six pieces; the seed decides everything."""
    rng = random.Random(seed)
    kinds = tuple(rng.choices(KINDS, k=rng.randint(1, 6)))
    return random_program(CONFIGS[name], seed, kinds, size=rng.choice([2, 4, 6]))


def _check(name: str, seed: int, memory: MemoryConfig) -> int:
    """Compare one run with the functional simulator; returns the cycles."""
    config = CONFIGS[name]
    program, inputs = _case(name, seed)
    expected = FunctionalSimulator(config).run(program, inputs)
    run = partial(RtlSimulator(config, memory).run, program, inputs)
    result = assert_same(program, run, expected, f"{name}, seed {seed}, {memory}")
    assert result.cycles is not None
    return result.cycles


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("name", configs.RTL)
def test_small_configurations(name: str, latency: int) -> None:
    for seed in range(40):
        stalls = STALLS[seed % len(STALLS)]
        memory = MemoryConfig(latency_cycles=latency, stall_probability=stalls, stall_seed=seed)
        _check(name, seed, memory)


@pytest.mark.parametrize("kind", KINDS[1:], ids=lambda kind: kind.name)
def test_another_rounding(kind: Opcode) -> None:
    """Nothing but the bits differs, in neither cycles nor events."""
    differ = 0
    for seed in range(2500, 2510):
        program, inputs = random_program(configs.SINGLE, seed, (kind, kind), size=6)
        expected = FunctionalSimulator(configs.SINGLE).run(program, inputs)
        run = partial(RtlSimulator(configs.SINGLE).run, program, inputs)
        result = assert_same(program, run, expected, f"seed {seed}")
        double, _ = random_program(SMALL, seed, (kind, kind), size=6)
        other = RtlSimulator(SMALL).run(double, inputs)
        assert other.counters == result.counters, f"seed {seed}"
        differ += int((other.outputs[OUTPUT] != result.outputs[OUTPUT]).sum())
    assert differ > 0 or kind == Opcode.MAX_POOL


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", ["npu64", "npu256"])
def test_presets(name: str, kind: Opcode) -> None:
    config = CONFIGS[name]
    for seed in range(1000, 1003):
        program, inputs = random_program(config, seed, (kind, kind), size=8)
        expected = FunctionalSimulator(config).run(program, inputs)
        run = partial(RtlSimulator(config).run, program, inputs)
        assert_same(program, run, expected, f"{name}, seed {seed}")


@pytest.mark.parametrize("name", ["npu64", "npu256"])
def test_presets_under_stalls(name: str) -> None:
    for seed in range(2000, 2006):
        memory = MemoryConfig(
            latency_cycles=LATENCIES[seed % 3], stall_probability=0.5, stall_seed=seed
        )
        _check(name, seed, memory)


@pytest.mark.parametrize("name", CONFIGS)
def test_cycles_are_a_function_of_the_program(name: str) -> None:
    for seed in range(3000, 3005):
        program, inputs = _case(name, seed)
        first, second = (
            RtlSimulator(CONFIGS[name]).run(program, inputs, trace=True) for _ in range(2)
        )
        assert first.counters == second.counters, f"seed {seed}"
        assert first.events == second.events, f"seed {seed}"


def test_cycles_do_not_depend_on_data() -> None:
    name = "deep"
    for seed in range(3100, 3105):
        program, inputs = _case(name, seed)
        zeros = {index: np.zeros_like(data) for index, data in inputs.items()}
        simulator = RtlSimulator(CONFIGS[name])
        assert simulator.run(program, inputs).cycles == simulator.run(program, zeros).cycles, (
            f"seed {seed}"
        )


@pytest.mark.parametrize("name", configs.RTL)
def test_latency_and_stalls_cost_cycles(name: str) -> None:
    for seed in range(3200, 3205):
        cycles = [_check(name, seed, MemoryConfig(latency_cycles=latency)) for latency in LATENCIES]
        assert cycles == sorted(set(cycles)), f"seed {seed}"
        stalled = MemoryConfig(latency_cycles=20, stall_probability=0.8, stall_seed=seed)
        assert _check(name, seed, stalled) > cycles[1], f"seed {seed}"


@pytest.mark.parametrize("name", configs.RTL)
def test_trace_and_counters(name: str) -> None:
    """Every command starts and completes once, on its engine, in order, inside the run."""
    for seed in range(3300, 3305):
        program, inputs = _case(name, seed)
        result = RtlSimulator(CONFIGS[name]).run(program, inputs, trace=True)
        assert result.cycles is not None
        for engine in (Engine.LOAD, Engine.COMPUTE, Engine.STORE):
            expected = [
                index
                for index, command in enumerate(program.decode())
                if COMMANDS[command.opcode].engine == engine
            ]
            events = [event for event in result.events if event.engine == engine]
            starts = [event for event in events if event.start]
            ends = [event for event in events if not event.start]
            assert [event.command for event in starts] == expected, f"seed {seed} {engine.name}"
            assert [event.command for event in ends] == expected, f"seed {seed} {engine.name}"
            busy = result.counters[f"{engine.name}_BUSY"]
            assert (busy > 0) == bool(expected), f"seed {seed} {engine.name}"
            for start, end in zip(starts, ends, strict=True):
                assert 0 < start.cycle <= end.cycle < result.cycles + 16, f"seed {seed}"
