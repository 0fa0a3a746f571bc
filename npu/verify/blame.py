"""Where hardware went wrong: the command, the element and the cycles behind bytes that differ."""

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


@dataclass(frozen=True)
class Part:
    """What a command has to do with a byte that differs.

    Attributes
    ----------
    role : computed or stored. command : its index, None if there is none; `text` of it.
    begin, end : its first and last cycle; 0 where the hardware does not trace.
    place : y, x and c in what it writes.
    """

    role: str
    command: int | None
    text: str = ""
    begin: int = 0
    end: int = 0
    place: tuple[int, int, int] | None = None

    def __str__(self) -> str:
        if self.command is None:
            return f"{self.role} by no command"
        where = ""
        if self.place is not None:
            y, x, c = self.place
            where = f" (its y {y}, x {x}, c {c})"
        cycles = f" in cycles {self.begin} to {self.end}" if self.end else ""
        return f"{self.role}{cycles} by command {self.command}{where}: {self.text}"


@dataclass(frozen=True)
class Difference:
    """Where outputs differ first.

    Attributes
    ----------
    wrong : elements that differ. suspect : of them the one that the earliest command made.
    parts : the commands behind it. waves : of their cycles, if any.
    """

    wrong: int
    suspect: Suspect
    parts: tuple[Part, ...]
    waves: Waves | None

    def lines(self) -> list[str]:
        """What a person reads."""
        suspect = self.suspect
        first = (
            f"the RTL differs in {self.wrong} elements; of the earliest command"
            f" {suspect.tensor}{list(suspect.position)} should be {suspect.expected},"
            f" is {suspect.got}"
        )
        lines = [first, *map(str, self.parts)]
        if self.waves is not None:
            lines.append(
                f"waves of cycles {self.waves.first} to {self.waves.last}: {self.waves.path}"
            )
        return lines


Run = Callable[..., SimulationResult]
"""Runs a program on the RTL, with options of `sim.rtl_runner.RtlSimulator.run`."""


def difference(
    program: Program,
    run: Run,
    expected: SimulationResult,
    got: SimulationResult,
    waves: Path | None = None,
) -> Difference | None:
    """Compare outputs and tensors of a run with those of another simulator.

    Parameters
    ----------
    run : repeats it, for a trace and waves.
    waves : the file for waves; None: `waves.fst` in a new temporary folder.
    """
    wanted, found = (result.outputs | result.tensors for result in (expected, got))
    wrong = sum(int((wanted[index] != found[index]).sum()) for index in wanted)
    if not wrong:
        return None
    suspect = find_suspect(program, wanted, found)
    table = decode_table(program.commands)
    events = run(trace=True).events
    parts = []
    for role, index in (("computed", suspect.maker), ("stored", suspect.store)):
        if index is None:
            parts.append(Part(role, None))
            continue
        begin, end = _cycles(events, index)
        place = suspect.place if role == "computed" else None
        parts.append(Part(role, index, disassemble(table.command(index)), begin, end, place))
    window = None
    timed = [part for part in parts if part.end]
    if timed:
        path = waves or Path(tempfile.mkdtemp(prefix="npu-waves-")) / "waves.fst"
        path.parent.mkdir(parents=True, exist_ok=True)
        first = min(part.begin for part in timed) - MARGIN
        window = Waves(path=path, first=max(0, first), last=max(p.end for p in timed) + MARGIN)
        run(waves=window)
    return Difference(wrong, suspect, tuple(parts), window)


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


def _cycles(events: Sequence[TraceEvent], index: int) -> tuple[int, int]:
    """When a command started, and when it was complete; 0 and 0 if no event tells."""
    own = [event for event in events if event.command == index]
    if not own:
        return 0, 0
    assert own[0].engine != Engine.CONTROL
    return own[0].cycle, own[-1].cycle
