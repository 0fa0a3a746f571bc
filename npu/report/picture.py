"""What a picture of a run shows beside its record: edges, engines over time, memories.

Everything is plain numbers and words, so that a page, or a program, can draw it.
"""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import Graph
from npu.offload.result import RunResult
from rtl.isa import COMMANDS, Destination, Engine, Opcode
from sim.command_table import CommandTable, decode_table
from sim.occupancy import scratchpad_lives, scratchpad_occupancy
from sim.program import Program
from sim.result import SimulationResult

ENGINES = {"load": Engine.LOAD, "compute": Engine.COMPUTE, "store": Engine.STORE}
MAX_SLICES = 2500
"""Of each engine; more are joined with their neighbours of the same label."""
MAX_POINTS = 4000
"""Of a curve; of more, the greatest of neighbours are kept."""
MAP_ROWS, MAP_COLUMNS = 64, 200
"""Addresses and times that the map of the scratchpad tells apart."""

Slice = tuple[int, int, str]
"""First cycle, cycles and label of something that an engine did."""
Runs = Sequence[tuple[Program, SimulationResult]]


def picture_record(graph: Graph, result: RunResult) -> dict[str, Any]:
    """What `npu run --html` shows beside `npu.report.record.run_record`.

    `network` always; `timeline`, `scratchpad` and `scratchpad_map` for a backend with time;
    `regions` for one with a command stream. Segments that ran one after the other are one line of
    time.
    """
    timed = [(program, run) for program, run in result.runs if run.events]
    record: dict[str, Any] = {"network": _network(graph)}
    if result.runs:
        record["regions"] = [_regions(program) for program, _ in result.runs]
    if timed:
        record["timeline"] = _timeline(timed)
        record["scratchpad"] = _scratchpad(timed)
        record["scratchpad_map"] = _map(timed)
    return record


def _network(graph: Graph) -> dict[str, Any]:
    """Operators with their outputs' shapes, and who reads whom."""
    shapes = [list(graph.output_tensor(op).shape) if op.outputs else [] for op in graph.operators]
    edges = [
        [producer.index, op.index]
        for op in graph.operators
        for producer in dict.fromkeys(map(graph.producer, op.inputs))
        if producer is not None
    ]
    return {"operators": [op.kind for op in graph.operators], "shapes": shapes, "edges": edges}


def _regions(program: Program) -> dict[str, Any]:
    """What a segment keeps in external memory, in bytes, and where tensors lie in its arena."""
    handed = {binding.tensor_index for binding in program.inputs}
    results = {binding.tensor_index for binding in program.outputs}
    bindings = {b.tensor_index: b for b in (*program.tensors, *program.inputs, *program.outputs)}
    return {
        "operators": [program.layers[0].operator_index, program.layers[-1].operator_index]
        if program.layers
        else [],
        "commands": program.commands.nbytes,
        "constants": program.constants.nbytes,
        "arena": program.arena_bytes,
        "tensors": [
            {
                "index": binding.tensor_index,
                "name": binding.name,
                "offset": binding.offset,
                "bytes": prod(binding.shape),
                "role": "input"
                if binding.tensor_index in handed
                else "output"
                if binding.tensor_index in results
                else "between",
            }
            for binding in sorted(bindings.values(), key=lambda b: (b.offset, b.tensor_index))
        ],
    }


def _timeline(runs: Runs) -> dict[str, list[Slice]]:
    slices: dict[str, list[Slice]] = {name: [] for name in ENGINES}
    offset = 0
    for program, result in runs:
        table = decode_table(program.commands)
        operators = command_operators(program, table)
        for name, engine in ENGINES.items():
            for command, begin, end in _spans(result, engine):
                label = _label(table, command, operators)
                slices[name].append((offset + begin, end - begin, label))
        offset += result.cycles or 0
    return {name: join_slices(own, MAX_SLICES) for name, own in slices.items()}


def _spans(result: SimulationResult, engine: Engine) -> Iterator[tuple[int, int, int]]:
    started = 0
    for event in result.events:
        if event.engine is engine:
            if event.start:
                started = event.cycle
            else:
                yield event.command, started, event.cycle


def command_operators(program: Program, table: CommandTable) -> list[int]:
    """The operator of each command: of one that computes nothing, that of the next which does."""
    computing = {
        command: layer.operator_index
        for layer in program.layers
        for command in layer.compute_commands
    }
    operators = [-1] * len(table)
    current = program.layers[-1].operator_index if program.layers else -1
    for index in reversed(range(len(table))):
        current = computing.get(index, current)
        operators[index] = current
    return operators


def _label(table: CommandTable, index: int, operators: list[int]) -> str:
    opcode = Opcode(int(table.opcodes[index]))
    if COMMANDS[opcode].engine is Engine.COMPUTE:
        return f"{operators[index]} {opcode.name}"
    if opcode == Opcode.LOAD:
        return Destination(table.command(index)["destination"]).name.lower()
    return opcode.name.lower()


def join_slices(slices: Sequence[Slice], limit: int) -> list[Slice]:
    """At most `limit` slices: neighbours of one label joined, across the smallest gaps first.

    Where labels change more often than that, all but the last of them stay.
    """
    gap = 0
    joined = list(slices)
    while len(joined) > limit:
        shorter: list[Slice] = []
        for begin, cycles, label in joined:
            if shorter:
                first, length, before = shorter[-1]
                if label == before and begin - (first + length) <= gap:
                    shorter[-1] = (first, begin + cycles - first, label)
                    continue
            shorter.append((begin, cycles, label))
        if len(shorter) == len(joined) and gap > sum(cycles for _, cycles, _ in slices):
            return shorter[:limit]
        joined, gap = shorter, 2 * gap + 1
    return joined


def _scratchpad(runs: Runs) -> dict[str, Any]:
    """KiB in use, from each cycle on, and the capacity."""
    cycles, used = [0], [0.0]
    offset = 0
    for program, result in runs:
        for cycle, words in scratchpad_occupancy(program, result.events):
            cycles.append(offset + cycle)
            used.append(words * program.config.lanes / 1024)
        offset += result.cycles or 0
    peak = max(used)
    every = -(-len(cycles) // MAX_POINTS)
    return {
        "capacity_kib": runs[0][0].config.scratchpad_kib,
        "peak_kib": peak,
        "cycles": cycles[::every],
        "used_kib": [max(used[at : at + every]) for at in range(0, len(used), every)],
    }


def _map(runs: Runs) -> dict[str, Any]:
    """Whose values lie where: the operator that wrote them, or that what was loaded is for.

    A cell of `operators` is a range of addresses (rows, from 0 to the greatest that is used) in a
    range of cycles; of several operators in it, the last one counts. None: nothing is in use.
    """
    config = runs[0][0].config
    total = sum(result.cycles or 0 for _, result in runs)
    grid = np.full((MAP_ROWS, MAP_COLUMNS), -1, dtype=np.int64)
    all_lives = [list(scratchpad_lives(program, result.events)) for program, result in runs]
    used = [lives.addresses for run in all_lives for lives in run if lives.addresses.size]
    top = max((int(addresses.max()) + 1 for addresses in used), default=config.scratchpad_words)
    offset = 0
    for (program, result), run in zip(runs, all_lives, strict=True):
        operators = np.array([*command_operators(program, decode_table(program.commands)), -1])
        for lives in run:
            rows = lives.addresses * MAP_ROWS // top
            first = (offset + lives.begin) * MAP_COLUMNS // (total + 1)
            last = (offset + lives.end) * MAP_COLUMNS // (total + 1)
            cells: NDArray[np.int64] = np.unique(
                np.stack([rows, first, last, operators[lives.writers]]), axis=1
            )
            for row, begin, end, operator in cells.T.tolist():
                grid[row, begin : end + 1] = operator
        offset += result.cycles or 0
    return {
        "kib": [top * config.lanes * row / MAP_ROWS / 1024 for row in range(MAP_ROWS)],
        "cycles": [total * column / MAP_COLUMNS for column in range(MAP_COLUMNS)],
        "operators": [[None if cell < 0 else cell for cell in row] for row in grid.tolist()],
    }
