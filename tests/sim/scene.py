"""A program on a board whose whole memory is watched, for tests of errors."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from npu.verify.random_programs import INPUT, KINDS, OUTPUT, random_program
from rtl.isa import COMMANDS, Command, Opcode, encode
from rtl.registers import ErrorCode, Status
from sim.functional import FunctionalSimulator
from sim.memory import MemoryConfig
from sim.program import Program
from tests.sim.board import BASE, Board, Outcome, Placed, written_bytes
from tests.sim.configs import SMALL

CONFIG = SMALL
TIMINGS = {
    "fast": MemoryConfig(latency_cycles=1),
    "slow": MemoryConfig(latency_cycles=60, stall_probability=0.3, stall_seed=5),
}


class Scene:
    """A program on a board, and what a run of it may change.

    Parameters
    ----------
    board : where it runs.
    program : a correct program; the tests change its copy in the board's memory.
    """

    def __init__(self, board: Board, program: Program, inputs: NDArray[np.int8]) -> None:
        self.board = board
        self.program = program
        self.inputs = inputs
        self.commands = program.decode()
        self.placed = board.place(program, inputs)
        result = FunctionalSimulator(CONFIG).run(program, {INPUT: inputs})
        golden = np.concatenate([inputs, result.outputs[OUTPUT]]).view(np.uint8)
        self.golden = np.where(written_bytes(program), golden, board.arena(self.placed))
        self.before = board.data.copy()

    def index(self, opcode: Opcode, number: int = 0) -> int:
        """The position in the stream of a command of this kind."""
        return [i for i, c in enumerate(self.commands) if c.opcode == opcode][number]

    def beat(self, index: int) -> int:
        """The position in the stream of a command's first beat."""
        return sum(COMMANDS[command.opcode].beats for command in self.commands[:index])

    def change(self, index: int, **fields: int) -> None:
        """Change fields of a command."""
        command = self.commands[index]
        changed = encode(Command(command.opcode, {**command.fields, **fields}))
        address = self.placed.commands + 8 * self.beat(index)
        self.board.view(address, changed.nbytes)[:] = changed.view(np.uint8)

    def flip(self, index: int, bit: int) -> None:
        """Flip a bit of a command."""
        self.board.view(self.placed.commands + 8 * self.beat(index) + bit // 8, 1)[0] ^= (
            1 << bit % 8
        )

    def run(self, **changes: int) -> Outcome:
        """Run with other bases or sizes."""
        self.before = self.board.data.copy()
        return self.board.run(dataclasses.replace(self.placed, **changes))

    def check(
        self, outcome: Outcome, code: ErrorCode, command: int, message: str = "", limit: int = -1
    ) -> None:
        """The error is reported, and every byte of memory is what it was, or in the arena before
        byte `limit` what the correct program writes there."""
        assert (outcome.code.name, outcome.command) == (code.name, command), message
        assert outcome.status == Status.ERROR | Status.IRQ, message
        self.check_memory(limit, message)

    def check_memory(self, limit: int = -1, message: str = "") -> None:
        after = self.board.data.copy()
        start = self.placed.arena - BASE
        size = self.placed.arena_bytes if limit < 0 else limit
        arena, before = after[start : start + size], self.before[start : start + size]
        wrong = (arena != before) & (arena != self.golden[:size])
        assert not wrong.any(), f"{message}: wrong bytes in the arena at {np.flatnonzero(wrong)}"
        after[start : start + size] = before
        changed = np.flatnonzero(after != self.before)
        assert not len(changed), f"{message}: bytes outside written at {changed - start}"

    def check_restart(self) -> None:
        """The NPU works, without a reset."""
        program, inputs = small_program(KINDS, 77)
        self.board.check_program(program, inputs)


def small_program(kinds: tuple[Opcode, ...], seed: int) -> tuple[Program, NDArray[np.int8]]:
    """A random program for `CONFIG`, and its inputs."""
    program, inputs = random_program(CONFIG, seed, kinds, size=3)
    return program, inputs[INPUT]


@contextmanager
def staged(
    kinds: tuple[Opcode, ...],
    timing: MemoryConfig,
    seed: int = 5,
    *,
    read: int | None = None,
    write: int | None = None,
) -> Iterator[Scene]:
    """A scene on its own board; `read`, `write`: bus address of a fault."""
    board = Board(CONFIG, timing, fault_read=read, fault_write=write, seed=seed)
    try:
        yield Scene(board, *small_program(kinds, seed))
    finally:
        board.close()


def placement(kinds: tuple[Opcode, ...], seed: int = 5) -> Placed:
    """Where a scene's program will be: a fault's address must be known before."""
    with staged(kinds, MemoryConfig(), seed) as scene:
        return scene.placed
