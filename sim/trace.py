"""Traces of a run for the Chrome and Perfetto trace viewers (https://ui.perfetto.dev)."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rtl.isa import Engine
from sim.command_table import CommandTable, decode_table
from sim.errors import SimulationError
from sim.program import Program
from sim.result import SimulationResult

_ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
_PROCESS = 1


def write_trace(path: str | Path, runs: Sequence[tuple[Program, SimulationResult]]) -> None:
    """Write one slice per command, on a track per engine; a microsecond stands for a cycle.

    Parameters
    ----------
    path : the JSON file to write.
    runs : what ran, one after the other, each with the result of a run with tracing.

    Raises
    ------
    SimulationError : a run was not traced, or the file cannot be written.
    """
    events = [*_tracks()]
    counters: Counter[str] = Counter()
    begin = 0
    for program, result in runs:
        if not result.events:
            raise SimulationError("a run has no events: run the RTL simulator with trace=True")
        events += _slices(program, result, begin)
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


def _tracks() -> Iterator[dict[str, Any]]:
    yield _metadata("process_name", 0, {"name": "NPU"})
    for engine in _ENGINES:
        yield _metadata("thread_name", int(engine), {"name": engine.name})
        yield _metadata("thread_sort_index", int(engine), {"sort_index": int(engine)})


def _metadata(name: str, track: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "pid": _PROCESS, "tid": track, "args": arguments}


def _slices(program: Program, result: SimulationResult, offset: int) -> Iterator[dict[str, Any]]:
    table = decode_table(program.commands)
    operators = {
        command: f"{layer.operator_index} {layer.kind}"
        for layer in program.layers
        for command in layer.compute_commands
    }
    started: dict[Engine, int] = {}
    for event in result.events:
        if event.start:
            started[event.engine] = event.cycle
        elif event.engine in started:
            begin = started.pop(event.engine)
            yield {
                **_label(table, event.command, operators),
                "ph": "X",
                "pid": _PROCESS,
                "tid": int(event.engine),
                "ts": offset + begin,
                "dur": event.cycle - begin,
            }


def _label(table: CommandTable, index: int, operators: dict[int, str]) -> dict[str, Any]:
    command = table.command(index)
    operator = operators.get(index)
    name = command.opcode.name + (f" ({operator})" if operator else "")
    fields = {field: value for field, value in command.fields.items() if value}
    return {"name": name, "cat": command.opcode.name, "args": {"command": index, **fields}}
