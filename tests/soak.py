"""`make soak`: the random tests of the suite with seeds that nobody has seen, for a night.

Every trial prints its seed before it begins; `python -m tests.soak --seed N --trials 1` repeats it.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from npu.inference import compare_with_golden, infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.verify.random_programs import KINDS, random_program
from rtl.config import NpuConfig
from sim.functional import FunctionalSimulator
from sim.memory import HANDSHAKES, MemoryConfig
from sim.rtl_runner import RtlSimulator
from tests.npu.compiler.random_mixtures import random_mixture
from tests.npu.compiler.random_movements import random_moving_network
from tests.npu.compiler.random_networks import random_network
from tests.npu.compiler.support import CONFIGS as NETWORK_CONFIGS
from tests.npu.compiler.support import tiny_memories
from tests.sim.comparison import assert_same
from tests.sim.configs import RTL
from tests.sim.cycle.compare import check_program

Trial = Callable[[int], str]
"""Tries something that a seed decides; returns what it was, raises when it fails."""

LATENCIES = (1, 2, 3, 7, 20, 63, 100, 1500)
STALLS = (0.0, 0.1, 0.5, 0.8)


def program_on_rtl(seed: int) -> str:
    """A random program: bits of the RTL under stalls, every cycle and counter without them."""
    rng = random.Random(seed)
    name = rng.choice(list(RTL))
    kinds = tuple(rng.choices(KINDS, k=rng.randint(1, 8)))
    program, inputs = random_program(RTL[name], seed, kinds, rng.choice([2, 4, 6, 9]))
    timing: dict[str, Any] = {
        "latency_cycles": rng.choice(LATENCIES),
        "handshake": rng.choice(HANDSHAKES),
    }
    check_program(program, MemoryConfig(**timing))
    stalls = rng.choice(STALLS)
    memory = MemoryConfig(**timing, stall_probability=stalls, stall_seed=seed)
    expected = FunctionalSimulator(RTL[name]).run(program, inputs)
    assert_same(program, partial(RtlSimulator(RTL[name], memory).run, program, inputs), expected)
    return f"{name}, {len(kinds)} pieces, {memory}"


def network_as_tflm(seed: int) -> str:
    """A random network on a random configuration: every tensor as TFLM has it."""
    rng = random.Random(seed)
    kind = rng.choice((random_network, random_moving_network, random_mixture))
    graph = read_model_bytes(kind(seed), "m")
    name = rng.choice(["tiny", *NETWORK_CONFIGS])
    config: NpuConfig = tiny_memories(seed) if name == "tiny" else NETWORK_CONFIGS[name]
    inputs = load_inputs([f"random:{seed}"], graph)
    result = infer(graph, inputs, config=config, backend="functional", keep_intermediates=True)
    comparison = compare_with_golden(graph, inputs, result, config=config, backend="functional")
    assert comparison.bit_exact, comparison.mismatches[0]
    return f"{name}, {len(graph.operators)} operators"


TRIALS: tuple[Trial, ...] = (program_on_rtl, network_as_tflm)


def soak(
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Of the first trial; default: from the clock.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="How long trials begin.")] = 480,
    trials: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
) -> None:
    """Try random programs and networks until the time is over or one fails."""
    first = time.time_ns() // 1000 % 10**12 if seed is None else seed
    end = time.monotonic() + 60 * minutes
    done = 0
    print(f"first seed: {first}", flush=True)
    while (trials is None or done < trials) and time.monotonic() < end:
        for trial in TRIALS:
            print(f"{trial.__name__} {first + done}: ", end="", flush=True)
            print(trial(first + done), flush=True)
        done += 1
    print(f"{done} seeds, nothing found")


if __name__ == "__main__":
    typer.run(soak)
