"""Commands with one changed field: RTL and functional simulator refuse the same ones.

A changed field may be legal, refused at once, or lead outside a memory in the middle of the
command. Whatever it does, RTL and functional simulator agree on it, nothing outside the arena is
written, and the NPU runs the next program.
"""

import random
from collections import Counter

import numpy as np
import pytest
from amaranth.hdl import Shape
from numpy.typing import NDArray

from npu.verify.random_programs import INPUT, KINDS, OUTPUT, random_program
from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Command, Destination, Opcode, encode_all
from rtl.registers import ErrorCode, Status
from sim.errors import CommandError, SimulationError
from sim.functional import FunctionalSimulator
from sim.hazards import check_dependencies
from sim.memory import MemoryConfig
from sim.program import Program, TensorBinding
from tests.sim import configs
from tests.sim.board import BASE, Board

BOUNDS = {ErrorCode.REGION_BOUNDS, ErrorCode.SCRATCHPAD_BOUNDS, ErrorCode.BUFFER_BOUNDS}
"""Which of a command's several faults is found first is not defined."""

# clamps with minimum above maximum: no defined result
_UNDEFINED = ("activation_min", "activation_max")


def _changed(rng: random.Random, command: Command) -> tuple[str, int]:
    """A field of the command and another value for it."""
    fields = COMMANDS[command.opcode].fields
    names = [n for n in fields if not n.startswith("wait") and n not in _UNDEFINED]
    name = rng.choice(names)
    shape = Shape.cast(fields[name])
    low = -(1 << shape.width - 1) if shape.signed else 0
    high = low + (1 << shape.width) - 1
    old = command[name]
    value = rng.choice(
        [
            *(0, 1, low, high, high - 1, old - 1, old + 1, 2 * old),
            *(rng.randint(low, high), rng.randint(low, min(high, 64))),
        ]
    )
    return name, max(low, min(high, value))


def _whole_arena(program: Program, commands: list[Command]) -> Program:
    """The program with other commands, and all of its arena both input and output."""
    size = program.arena_bytes
    return Program(
        program.config,
        encode_all(commands),
        program.constants,
        size,
        (TensorBinding("before", INPUT, 0, (size,)),),
        (TensorBinding("after", OUTPUT, 0, (size,)),),
    )


def _is_defined(config: NpuConfig, command: Command) -> bool:
    """The command leaves no choice to whoever executes it: parameters are not cut out of other
    bytes, multipliers are positive, no word is written twice, constants stay constant."""
    if command.opcode == Opcode.LOAD:
        return command["destination"] != Destination.PARAMETERS
    if command.opcode == Opcode.STORE:
        return command["region"] != 0
    if command["ofm_multiplier"] >> 31 or command["operand_multiplier"] >> 31:
        return False
    if command.opcode == Opcode.ELEMENTWISE:
        return True
    height, width = command["ofm_height"], command["ofm_width"]
    rows = command["ofm_base"] + np.arange(height)[:, None] * command["ofm_row_pitch"]
    count = command["blocks"] * command["depth"] // config.groups_per_word
    planes = np.arange(count)[:, None, None]
    words = rows + np.arange(width) + planes * command["ofm_plane_pitch"]
    return len(np.unique(words % (1 << ADDRESS_BITS))) == words.size


def _expected(program: Program, arena: NDArray[np.int8]) -> CommandError | NDArray[np.int8] | None:
    """The error, or the arena after the run; None when that is not defined."""
    try:
        result = FunctionalSimulator(program.config).run(program, {INPUT: arena})
        check_dependencies(program)
    except CommandError as error:
        return error
    except SimulationError:
        return None
    return result.outputs[OUTPUT]


def _check(name: str, seed: int) -> str:
    """One changed command; returns what came of it."""
    config = configs.RTL[name]
    rng = random.Random(seed)
    kinds = tuple(rng.choices(KINDS, k=rng.randint(1, 2)))
    program, inputs = random_program(config, seed, kinds, size=3)
    commands = program.decode()
    index = rng.randrange(1, len(commands) - 1)
    old = commands[index]
    field, value = _changed(rng, old)
    commands[index] = Command(old.opcode, {**old.fields, field: value})
    message = f"{name} seed {seed}: command {index} {old.opcode.name} {field} = {value}"
    program = _whole_arena(program, commands)
    noise = rng.randbytes(program.arena_bytes - len(inputs[INPUT]))
    arena = np.concatenate([inputs[INPUT], np.frombuffer(noise, np.int8)])
    expected = _expected(program, arena)

    memory = MemoryConfig(
        latency_cycles=rng.choice([1, 20, 100]),
        stall_probability=rng.choice([0.0, 0.0, 0.3]),
        stall_seed=seed,
    )
    board = Board(config, memory, seed=seed)
    try:
        placed = board.place(program, arena)
        before = board.data.copy()
        outcome = board.run(placed)
        after = board.data.copy()
        result = after[placed.arena - BASE :][: placed.arena_bytes].copy()
        if old.opcode != Opcode.STORE or field != "region":
            after[placed.arena - BASE :][: placed.arena_bytes] = arena.view(np.uint8)
            np.testing.assert_array_equal(after, before, err_msg=message)
        if isinstance(expected, CommandError):
            code = outcome.code
            if expected.code in BOUNDS and code in BOUNDS:
                code = expected.code
            reported = (code.name, outcome.command)
            assert reported == (expected.code.name, expected.command), message
        elif expected is not None:
            assert outcome.status == Status.DONE | Status.IRQ, f"{message}: {outcome.code.name}"
            if _is_defined(config, commands[index]):
                np.testing.assert_array_equal(result, expected.view(np.uint8), err_msg=message)
        check, check_inputs = random_program(config, 77, KINDS, size=2)
        board.check_program(check, check_inputs[INPUT])
    finally:
        board.close()
    return outcome.code.name


# seeds such that each half meets every outcome that is wanted
@pytest.mark.parametrize("first", [110, 305])
@pytest.mark.parametrize("name", configs.RTL)
def test_changed_fields(name: str, first: int) -> None:
    outcomes = Counter(_check(name, seed) for seed in range(first, first + 75))
    wanted = {"NONE", "ILLEGAL_FIELD", "REGION_BOUNDS", "SCRATCHPAD_BOUNDS"}
    assert wanted <= set(outcomes), outcomes
