"""Timelines of a run for the Chrome and Perfetto trace viewers (https://ui.perfetto.dev).

A track per engine with a slice for every command, a track with the operators, and counters of the
scratchpad's occupancy and of the traffic to and from the external memory. All of it follows from
the program and from when its commands started and completed, so that the RTL and the cycle model
give the same file.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rtl.isa import Engine
from sim.command_table import CommandTable, decode_table
from sim.errors import SimulationError
from sim.occupancy import scratchpad_occupancy
from sim.program import Program
from sim.result import SimulationResult

_ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
_OPERATORS = len(_ENGINES)
_PROCESS = 1

Record = dict[str, Any]
Slice = tuple[int, int, int]
"""A command and the cycles of its start and its completion."""


def write_trace(path: str | Path, runs: Sequence[tuple[Program, SimulationResult]]) -> None:
    """Write a timeline; a microsecond stands for a cycle.

    Parameters
    ----------
    path : the JSON file to write.
    runs : what ran, one after the other, each with a result that has events.

    Raises
    ------
    SimulationError : a run has no events, or the file cannot be written.
    """
    events = [*_tracks()]
    counters: Counter[str] = Counter()
    begin = 0
    for program, result in runs:
        if not result.events:
            raise SimulationError("a run has no events: run the RTL simulator with trace=True")
        events += _timeline(program, result, begin)
        begin += result.cycles or 0
        counters.update(result.counters)
    document = {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"unit": "1 us = 1 cycle", **counters},
    }
    try:
        Path(path).write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    except OSError as error:
        raise SimulationError(f"cannot write trace {path}: {error.strerror}") from None


def _tracks() -> Iterator[Record]:
    yield _metadata("process_name", 0, {"name": "NPU"})
    names = [*(engine.name for engine in _ENGINES), "operators"]
    for track, name in enumerate(names):
        yield _metadata("thread_name", track, {"name": name})
        yield _metadata("thread_sort_index", track, {"sort_index": track})


def _metadata(name: str, track: int, arguments: Record) -> Record:
    return {"name": name, "ph": "M", "pid": _PROCESS, "tid": track, "args": arguments}


def _timeline(program: Program, result: SimulationResult, offset: int) -> Iterator[Record]:
    table = decode_table(program.commands)
    slices = _slices(result)
    operators = {
        command: f"{layer.operator_index} {layer.kind}"
        for layer in program.layers
        for command in layer.compute_commands
    }
    for engine, own in slices.items():
        for command, begin, end in own:
            label = _label(table, command, operators)
            yield _slice(label, int(engine), offset + begin, end - begin)
    yield from _operators(program, slices[Engine.COMPUTE], offset)
    for name, engine in (("read", Engine.LOAD), ("written", Engine.STORE)):
        yield from _traffic(table, slices[engine], name, offset)
    for cycle, words in scratchpad_occupancy(program, result.events):
        kib = words * program.config.lanes / 1024
        yield _counter("scratchpad in use", offset + cycle, {"KiB": kib})


def _slices(result: SimulationResult) -> dict[Engine, list[Slice]]:
    """The commands of each engine, in order."""
    slices: dict[Engine, list[Slice]] = {engine: [] for engine in _ENGINES}
    started: dict[Engine, int] = {}
    for event in result.events:
        if event.start:
            started[event.engine] = event.cycle
        elif event.engine in started:
            slices[event.engine].append((event.command, started.pop(event.engine), event.cycle))
    return slices


def _slice(label: Record, track: int, begin: int, cycles: int) -> Record:
    return {**label, "ph": "X", "pid": _PROCESS, "tid": track, "ts": begin, "dur": cycles}


def _counter(name: str, cycle: int, values: Record) -> Record:
    return {"name": name, "ph": "C", "pid": _PROCESS, "ts": cycle, "args": values}


def _label(table: CommandTable, index: int, operators: dict[int, str]) -> Record:
    command = table.command(index)
    operator = operators.get(index)
    name = command.opcode.name + (f" ({operator})" if operator else "")
    fields = {field: value for field, value in command.fields.items() if value}
    return {"name": name, "cat": command.opcode.name, "args": {"command": index, **fields}}


def _operators(program: Program, compute: list[Slice], offset: int) -> Iterator[Record]:
    """From the start of an operator's first compute command to the end of its last."""
    spans = {command: (begin, end) for command, begin, end in compute}
    for layer in program.layers:
        own = [spans[command] for command in layer.compute_commands if command in spans]
        if own:
            begin = min(first for first, _ in own)
            cycles = max(last for _, last in own) - begin
            label = {
                "name": f"{layer.operator_index} {layer.kind}",
                "cat": "operator",
                "args": {"macs": layer.macs},
            }
            yield _slice(label, _OPERATORS, offset + begin, cycles)


def _traffic(table: CommandTable, slices: list[Slice], name: str, offset: int) -> Iterator[Record]:
    """Bytes per cycle of each command, evenly over its time."""
    level = 0.0
    until = 0
    for command, begin, end in slices:
        if level and begin > until:
            yield _counter(f"bytes {name} per cycle", offset + until, {"bytes": 0})
        fields = table.command(command)
        row_bytes = fields["row_bytes"] or fields["pixels"] * fields["pixel_bytes"]
        level = fields["rows"] * row_bytes / (end + 1 - begin)
        until = end + 1
        yield _counter(f"bytes {name} per cycle", offset + begin, {"bytes": round(level, 3)})
    if level:
        yield _counter(f"bytes {name} per cycle", offset + until, {"bytes": 0})
