"""Where the RTL went wrong: the command, the element and the cycles behind bytes that differ."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, Command, Destination, Engine, Opcode, Region
from sim.accesses import scratchpad_writes
from sim.command_table import CommandTable, decode_table
from sim.disassembly import disassemble
from sim.program import Program
from sim.result import SimulationResult, TraceEvent
from sim.waves import Waves

MARGIN = 20
"""Cycles around a command that its waves show."""

Tensors = Mapping[int, NDArray[Any]]


@dataclass(frozen=True)
class Suspect:
    """A byte that differs, and who wrote it.

    Attributes
    ----------
    tensor : its name. position : index into it. expected, got : the values.
    store : the STORE that wrote it last, None if none did.
    maker : the last command before that which wrote the word; None if none did.
    place : y, x and c in what the maker writes.
    """

    tensor: str
    position: tuple[int, ...]
    expected: int
    got: int
    store: int | None
    maker: int | None
    place: tuple[int, int, int] | None


Run = Callable[..., SimulationResult]
"""Runs a program on the RTL, with options of `sim.rtl_runner.RtlSimulator.run`."""


def assert_same(
    program: Program, run: Run, expected: SimulationResult, label: str = ""
) -> SimulationResult:
    """Run a program and compare its outputs and tensors with those of another simulator.

    Returns the run's result.

    Raises
    ------
    AssertionError : they differ; with the first suspect's command and operands as text, tensor,
        position, values and cycles, and a file with the waves of these cycles.
    """
    got = run()
    wanted, found = (result.outputs | result.tensors for result in (expected, got))
    wrong = sum(int((wanted[index] != found[index]).sum()) for index in wanted)
    if not wrong:
        return got
    suspect = find_suspect(program, wanted, found)
    raise AssertionError(_message(program, run, suspect, wrong, label))


def find_suspect(program: Program, expected: Tensors, got: Tensors) -> Suspect:
    """Of all elements that differ, one that the earliest command made."""
    table = decode_table(program.commands)
    owners = _stores(program, table)
    suspects = []
    for binding in {b.tensor_index: b for b in (*program.outputs, *program.tensors)}.values():
        wanted, found = expected[binding.tensor_index], got[binding.tensor_index]
        size = wanted.itemsize
        for flat in np.flatnonzero(wanted != found).tolist():
            byte = binding.offset + flat * size
            store, address, lane = owners.get(byte, (None, 0, 0))
            maker = None if store is None else _maker(program.config, table, store, address)
            place = None
            if maker is not None:
                place = _place(program.config, table.command(maker), address, lane)
            suspects.append(
                Suspect(
                    binding.name,
                    tuple(int(n) for n in np.unravel_index(flat, wanted.shape)),
                    int(wanted.flat[flat]),
                    int(found.flat[flat]),
                    store,
                    maker,
                    place,
                )
            )
    last = len(table)
    return min(suspects, key=lambda s: (last if s.maker is None else s.maker, s.place or (0, 0, 0)))


def _stores(program: Program, table: CommandTable) -> dict[int, tuple[int, int, int]]:
    """The STORE that writes a byte of the arena last, and the word and lane that it comes from."""
    owners = {}
    lanes = program.config.lanes
    for index in range(len(table)):
        command = table.command(index)
        if command.opcode != Opcode.STORE or command["region"] != Region.ARENA:
            continue
        for r in range(command["rows"]):
            start = command["offset"] + r * command["row_stride"]
            for n in range(command["pixels"] * command["pixel_bytes"]):
                i, byte = divmod(n, command["pixel_bytes"])
                j, lane = divmod(byte, lanes)
                word = command["base"] + j * command["plane_pitch"] + r * command["row_pitch"] + i
                owners[start + n] = (index, word % (1 << ADDRESS_BITS), lane)
    return owners


def _maker(config: NpuConfig, table: CommandTable, store: int, address: int) -> int | None:
    """The last command before `store` that writes a word of the scratchpad."""
    for index in reversed(range(store)):
        command = table.command(index)
        runs = scratchpad_writes(config, command.opcode, command)
        first = runs[:, 0] % (1 << ADDRESS_BITS)
        if ((address >= first) & (address < first + runs[:, 1])).any():
            return index
    return None


def _place(config: NpuConfig, command: Command, address: int, lane: int) -> tuple[int, int, int]:
    """y, x and c of a byte in what a command writes."""
    if command.opcode == Opcode.ELEMENTWISE:
        return 0, address - command["ofm_base"], lane
    if command.opcode == Opcode.LOAD:
        assert command["destination"] == Destination.SCRATCHPAD
        base, pitch, plane = (command[name] for name in ("base", "row_pitch", "plane_pitch"))
        shape = command["rows"], command["pixels"], command["pixel_words"]
    else:
        base, pitch, plane = (
            command[f"ofm_{name}"] for name in ("base", "row_pitch", "plane_pitch")
        )
        words = command["blocks"] * command["depth"] // config.groups_per_word
        shape = command["ofm_height"], command["ofm_width"], words
    for y, x, j in np.ndindex(shape):
        if (base + y * pitch + x + j * plane) % (1 << ADDRESS_BITS) == address:
            return y, x, j * config.lanes + lane
    raise AssertionError("the command does not write this word")


def _message(program: Program, run: Run, suspect: Suspect, wrong: int, label: str) -> str:
    table = decode_table(program.commands)
    events = run(trace=True).events
    lines = [
        f"{label}: " * bool(label) + f"the RTL differs in {wrong} elements; of the earliest command"
        f" {suspect.tensor}{list(suspect.position)} should be {suspect.expected},"
        f" is {suspect.got}"
    ]
    cycles: list[int] = []
    for role, index in (("computed", suspect.maker), ("stored", suspect.store)):
        if index is None:
            lines.append(f"{role} by no command")
            continue
        begin, end = _cycles(events, index)
        cycles += [begin, end]
        where = ""
        if role == "computed" and suspect.place is not None:
            y, x, c = suspect.place
            where = f" (its y {y}, x {x}, c {c})"
        command = disassemble(table.command(index))
        lines.append(f"{role} in cycles {begin} to {end} by command {index}{where}: {command}")
    if cycles:
        path = Path(tempfile.mkdtemp(prefix="npu-waves-")) / "waves.fst"
        waves = Waves(path=path, first=max(0, min(cycles) - MARGIN), last=max(cycles) + MARGIN)
        run(waves=waves)
        lines.append(f"waves of cycles {waves.first} to {waves.last}: {path}")
    return "\n".join(lines)


def _cycles(events: Sequence[TraceEvent], index: int) -> tuple[int, int]:
    """When a command started, and when it was complete."""
    own = [event for event in events if event.command == index]
    assert own[0].engine != Engine.CONTROL
    return own[0].cycle, own[-1].cycle
