"""What is run on the hardware under test: programs aimed at each of its blocks."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from npu.verify.random_programs import KINDS, random_program
from npu.verify.requantizer_vectors import vector_program
from rtl.config import NpuConfig
from rtl.isa import Command, Opcode, encode_all
from sim.memory import MemoryConfig
from sim.program import Program

Inputs = dict[int, NDArray[np.int8]]
Maker = Callable[[NpuConfig, int], tuple[Program, Inputs]]
"""A program for a configuration and a seed, and its inputs."""

FAST = MemoryConfig(latency_cycles=1)
USUAL = MemoryConfig()


def _always(config: NpuConfig) -> bool:
    return True


def _encoded(config: NpuConfig) -> bool:
    return config.decodes_weights or config.pruned_weights


@dataclass(frozen=True)
class Aim:
    """Programs that exercise some blocks.

    Attributes
    ----------
    name : what a person reads. blocks : of `npu.cost.blocks.BLOCKS`, those that it is aimed at.
    make : its programs. quick, full : how many.
    stalls : the memory pauses at random, so that cycles are not known beforehand.
    needs : whether the hardware has what it is about.
    """

    name: str
    blocks: tuple[str, ...]
    make: Maker
    quick: int
    full: int
    stalls: bool = False
    needs: Callable[[NpuConfig], bool] = _always

    def memory(self, number: int) -> MemoryConfig:
        """The timing of the memory for its program of this number."""
        if not self.stalls:
            return (FAST, USUAL)[number % 2]
        return MemoryConfig(
            latency_cycles=(1, 20, 100)[number % 3],
            stall_probability=(0.1, 0.5, 0.8)[number // 3 % 3],
            stall_seed=number,
        )


def _pieces(*kinds: Opcode) -> Maker:
    return partial(random_program, kinds=kinds, size=4)


def _mixed(config: NpuConfig, seed: int) -> tuple[Program, Inputs]:
    kinds = tuple(random.Random(seed).choices(KINDS, k=4))
    return random_program(config, seed, kinds, 3)


def _faulty(config: NpuConfig, seed: int) -> tuple[Program, Inputs]:
    """A program that the hardware has to refuse, and the command at which."""
    rng = random.Random(seed)
    program, inputs = random_program(config, seed, (rng.choice(KINDS),), 3)
    commands = list(program.decode())
    compute = [i for i, command in enumerate(commands) if command.opcode in KINDS[1:]]
    loads = [i for i, command in enumerate(commands) if command.opcode == Opcode.LOAD]
    stores = [i for i, command in enumerate(commands) if command.opcode == Opcode.STORE]
    changes: list[tuple[int, dict[str, int]]] = [
        (0, {"config_id": config.config_id ^ 1 << rng.randrange(32)}),
        (loads[0], {"rows": 0}),
        (loads[0], {"offset": program.arena_bytes}),
        (stores[-1], {"offset": program.arena_bytes}),
        (stores[-1], {"pixels": 0}),
        (stores[-1], {"base": config.scratchpad_words}),
        *((i, {"ofm_base": config.scratchpad_words}) for i in compute),
    ]
    index, fields = changes[seed % len(changes)]
    commands[index] = Command(commands[index].opcode, {**commands[index].fields, **fields})
    return replace(program, commands=encode_all(commands)), inputs


_TRANSFERS = ("load", "store", "reads")
_GRID = ("compute control", "sequencer", "windows", "mac control", "grid", "weights")
_SUMS = ("accumulators", "drain", "parameters", "requantizers")

AIMS = (
    Aim("load and store", (*_TRANSFERS, "scratchpad"), _pieces(Opcode.LOAD, Opcode.LOAD), 20, 200),
    Aim("bus with pauses", (*_TRANSFERS, "command fetch"), _mixed, 20, 200, stalls=True),
    Aim("convolution", (*_GRID, *_SUMS), _pieces(Opcode.CONV), 24, 240),
    Aim(
        "depthwise convolution",
        ("windows", "grid", "accumulators"),
        _pieces(Opcode.DEPTHWISE),
        24,
        240,
    ),
    Aim("max-pooling", ("windows", "accumulators"), _pieces(Opcode.MAX_POOL), 20, 200),
    Aim(
        "elementwise",
        ("elementwise", "table", "requantizers"),
        _pieces(Opcode.ELEMENTWISE),
        24,
        240,
    ),
    Aim("requantizer", ("requantizers", "parameters"), vector_program, 16, 160),
    Aim(
        "encoded weights",
        ("load", "weights", "mac control"),
        _pieces(Opcode.CONV, Opcode.CONV),
        24,
        240,
        needs=_encoded,
    ),
    Aim("faults", ("control", "dispatcher", "command fetch"), _faulty, 28, 280),
    Aim("all together", ("dispatcher", "control", "scratchpad"), _mixed, 16, 160),
)
"""In the order in which they run."""
