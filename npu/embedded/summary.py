"""What a hardware engineer asks of a compiled file: memories and cycles."""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npu.embedded.compiled_model import CompiledModel
from npu.embedded.tflm_host import TflmNpu
from rtl.isa import Opcode
from sim.accesses import scratchpad_writes
from sim.command_table import decode_table
from sim.cycle import simulate
from sim.memory import MemoryConfig
from sim.program import Program

_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")


@dataclass(frozen=True, kw_only=True)
class SegmentSummary:
    """A segment: its operators in the original file, bytes, and cycles.

    Attributes
    ----------
    constant_bytes : weights and parameters, as the NPU reads them.
    arena_bytes : memory that it needs while it runs.
    scratchpad_bytes : of the memory on chip, up to the highest word that it writes.
    """

    first_operator: int
    last_operator: int
    operators: int
    macs: int
    command_bytes: int
    constant_bytes: int
    arena_bytes: int
    scratchpad_bytes: int
    cycles: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A compiled file beside its original.

    Attributes
    ----------
    tflm_arena_bytes, original_arena_bytes : what TFLM's interpreter says that it has allocated for
        either file on this machine; None where it does not run it. Pointers have 8 bytes here and
        mostly 4 on a microcontroller.
    cpu_operators : those that stay, by index, with the reason.
    """

    file_bytes: int
    original_bytes: int
    config_id: int
    scratchpad_bytes: int
    tflm_arena_bytes: int | None
    original_arena_bytes: int | None
    segments: tuple[SegmentSummary, ...]
    cpu_operators: dict[int, str]

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain values."""
        return asdict(self)


def summarize(model: CompiledModel, memory: MemoryConfig | None = None) -> Summary:
    """Summarize a compiled file; cycles are those of the cycle model with this memory.

    Raises `BuildError` or `GoldenError` when TFLM with our operator is not to be had.
    """
    graph, config = model.network.graph, model.network.config
    npu = TflmNpu(config)
    segments = []
    for segment, program in model.network.programs.items():
        result = simulate(program, memory or MemoryConfig())
        segments.append(
            SegmentSummary(
                first_operator=segment.operators[0],
                last_operator=segment.operators[-1],
                operators=len(segment.operators),
                macs=program.macs,
                command_bytes=program.commands.nbytes,
                constant_bytes=program.constants.nbytes,
                arena_bytes=program.arena_bytes,
                scratchpad_bytes=scratchpad_peak(program),
                cycles=result.cycles,
            )
        )
    return Summary(
        file_bytes=len(model.file),
        original_bytes=len(graph.file),
        config_id=config.config_id,
        scratchpad_bytes=config.scratchpad_kib * 1024,
        tflm_arena_bytes=arena_bytes(lambda: npu.interpreter(model.file)),
        original_arena_bytes=arena_bytes(lambda: _plain(graph.file)),
        segments=tuple(segments),
        cpu_operators=dict(model.network.partition.reasons),
    )


def scratchpad_peak(program: Program) -> int:
    """Bytes of scratchpad up to the highest word that a program writes."""
    table, highest = decode_table(program.commands), 0
    for index in range(len(table)):
        opcode = Opcode(int(table.opcodes[index]))
        if opcode not in table.records:
            continue
        record = table.records[opcode][table.rows[index]]
        runs = scratchpad_writes(program.config, opcode, record)
        highest = max(highest, int(np.max(runs.sum(axis=1), initial=0)))
    return highest * program.config.lanes


def arena_bytes(make: Callable[[], Any]) -> int | None:
    """What TFLM says that the interpreter that `make` makes has allocated; None if it refuses."""
    with _captured_stderr() as text:
        try:
            make().print_allocations()
        except RuntimeError:
            return None
        finally:
            found = _TOTAL.search(text())
    return int(found[1]) if found else None


def _plain(file: bytes) -> Any:
    from tflite_micro import runtime

    return runtime.Interpreter.from_bytes(file)


@contextmanager
def _captured_stderr() -> Iterator[Callable[[], str]]:
    """What native code writes to standard error, which has no other way to be read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stderr"
        kept = os.dup(2)
        with open(path, "wb") as file:
            os.dup2(file.fileno(), 2)
        try:
            yield lambda: path.read_text(encoding="utf-8", errors="replace")
        finally:
            os.dup2(kept, 2)
            os.close(kept)
