"""The RTL runner: faults, bus errors, hung runs, counters, progress, traces."""

import json
from pathlib import Path

import numpy as np
import pytest

from npu.verify.random_programs import KINDS, random_program
from rtl.isa import Engine, Opcode
from rtl.registers import ErrorCode, Event
from sim.errors import CommandError, SimulationError
from sim.memory import MemoryConfig
from sim.rtl_runner import BusFaults, RtlSimulator
from sim.rtl_runner.runner import unwrap_indices
from sim.trace import write_trace
from tests.sim.configs import SMALL
from tests.sim.test_functional_errors import FAULTS, faulty_program

FAST = MemoryConfig(latency_cycles=1)


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_reported_as_in_the_functional_simulator(name: str) -> None:
    program, inputs, index, code = faulty_program(name)
    with pytest.raises(CommandError) as caught:
        RtlSimulator(SMALL, FAST).run(program, inputs)
    assert caught.value.code == code
    # with a deadlock the NPU reports how far the dispatcher came, which may be further
    if code == ErrorCode.DEADLOCK:
        assert caught.value.command >= index
    else:
        assert caught.value.command == index


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (BusFaults(commands=0), ErrorCode.FETCH_BUS),
        (BusFaults(commands=72), ErrorCode.FETCH_BUS),
        (BusFaults(constants=40), ErrorCode.READ_BUS),
        (BusFaults(arena=30), ErrorCode.READ_BUS),
    ],
    ids=str,
)
def test_bus_errors(faults: BusFaults, code: ErrorCode) -> None:
    program, inputs = random_program(SMALL, 2, (Opcode.CONV,))
    with pytest.raises(CommandError) as caught:
        RtlSimulator(SMALL).run(program, inputs, faults=faults)
    assert caught.value.code == code


def test_bus_error_of_a_write() -> None:
    program, inputs = random_program(SMALL, 2, (Opcode.CONV,))
    commands = program.decode()
    index = next(i for i, c in enumerate(commands) if c.opcode == Opcode.STORE)
    faults = BusFaults(arena_write=commands[index]["offset"] + 1)
    with pytest.raises(CommandError) as caught:
        RtlSimulator(SMALL).run(program, inputs, faults=faults)
    assert (caught.value.code, caught.value.command) == (ErrorCode.WRITE_BUS, index)


def test_cycles_are_a_function_of_program_and_memory() -> None:
    program, inputs = random_program(SMALL, 4, KINDS)
    cycles = {}
    for latency in (1, 20, 100):
        simulator = RtlSimulator(SMALL, MemoryConfig(latency_cycles=latency))
        first, second = simulator.run(program, inputs), simulator.run(program, inputs)
        assert first.cycles == second.cycles
        assert first.counters == second.counters
        cycles[latency] = first.cycles or 0
    assert cycles[1] < cycles[20] < cycles[100]


def test_counters_and_events() -> None:
    program, inputs = random_program(SMALL, 4, KINDS)
    result = RtlSimulator(SMALL).run(program, inputs, trace=True)
    assert set(result.counters) == {event.name for event in Event}
    assert result.cycles == result.counters["CYCLES"]
    assert result.wall_cycles is not None
    assert abs(result.wall_cycles - (result.cycles or 0)) <= 4
    expected = [index for index, c in enumerate(program.decode()) if c.opcode > Opcode.END]
    for start in (True, False):
        assert sorted(e.command for e in result.events if e.start is start) == expected
    busy = {engine: 0 for engine in (Engine.LOAD, Engine.COMPUTE, Engine.STORE)}
    begun: dict[Engine, int] = {}
    for event in result.events:
        if event.start:
            assert event.engine not in begun
            begun[event.engine] = event.cycle
        else:
            busy[event.engine] += event.cycle - begun.pop(event.engine)
    for engine, cycles in busy.items():
        commands = sum(e.engine == engine for e in result.events) // 2
        assert abs(result.counters[f"{engine.name}_BUSY"] - cycles) <= commands


def test_hung_run_ends_with_the_state_of_each_engine() -> None:
    program, inputs = random_program(SMALL, 4, (Opcode.CONV,))
    simulator = RtlSimulator(SMALL)
    whole = simulator.run(program, inputs).cycles or 0
    with pytest.raises(SimulationError, match="no interrupt after") as caught:
        simulator.run(program, inputs, max_cycles=whole // 2)
    assert str(caught.value).startswith(f"no interrupt after {whole // 2} cycles; STATUS BUSY")
    for text in ("LOAD: ", "COMPUTE: ", "STORE: 0 started, 0 completed", "reads and"):
        assert text in str(caught.value)


def test_progress_ends_with_all_commands() -> None:
    program, inputs = random_program(SMALL, 4, (Opcode.CONV,))
    calls: list[tuple[int, int]] = []
    RtlSimulator(SMALL).run(program, inputs, lambda done, total: calls.append((done, total)))
    total = len(program.decode())
    assert calls[0] == (0, total)
    assert calls[-1] == (total, total)


def test_trace_file(tmp_path: Path) -> None:
    program, inputs = random_program(SMALL, 4, KINDS)
    result = RtlSimulator(SMALL).run(program, inputs, trace=True)
    path = tmp_path / "trace.json"
    write_trace(path, [(program, result), (program, result)])
    document = json.loads(path.read_text())
    slices = [event for event in document["traceEvents"] if event["ph"] == "X"]
    names = {event["name"] for event in slices}
    assert names == {kind.name for kind in KINDS} | {"STORE"}
    cycles = result.cycles or 0
    half = len(slices) // 2
    assert all(e["ts"] >= 0 and e["ts"] + e["dur"] <= cycles for e in slices[:half])
    assert [e["ts"] - cycles for e in slices[half:]] == [e["ts"] for e in slices[:half]]
    with pytest.raises(SimulationError, match="run the RTL simulator with trace=True"):
        write_trace(path, [(program, RtlSimulator(SMALL).run(program, inputs))])
    with pytest.raises(SimulationError, match="cannot write trace"):
        write_trace(tmp_path / "no" / "folder.json", [(program, result)])


def test_command_indices_beyond_16_bits() -> None:
    engines = np.array([0, 1, 0, 1, 0, 0, 0], np.uint8)
    commands = np.array([65530, 65533, 65535, 3, 2, 65534, 1], np.uint16)
    assert unwrap_indices(engines, commands).tolist() == [
        *(65530, 65533, 65535, 65539, 65538, 131070, 131073)
    ]
