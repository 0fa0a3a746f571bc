"""What the model refuses, as the hardware would, and what it gives back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from npu.verify.random_programs import INPUT, KINDS, OUTPUT, random_program
from rtl.errors import ConfigError
from rtl.isa import Command, Opcode, encode_all
from rtl.registers import ErrorCode, Event
from sim.cycle import CycleSimulator, simulate
from sim.errors import CommandError
from sim.functional import FunctionalSimulator
from sim.memory import HANDSHAKES, MemoryConfig
from sim.program import Program
from sim.rtl_runner import RtlSimulator
from tests.sim.configs import SMALL


def program_of(commands: list[Command], base: Program) -> Program:
    return replace(base, commands=encode_all(commands))


@pytest.fixture(name="base", scope="module")
def base_fixture() -> Program:
    return random_program(SMALL, 3, (Opcode.CONV,))[0]


def refusal(program: Program) -> tuple[ErrorCode, int]:
    """What the model says, after checking that the RTL says the same."""
    with pytest.raises(CommandError) as model:
        simulate(program)
    inputs = {INPUT: np.zeros(program.inputs[0].shape, np.int8)}
    with pytest.raises(CommandError) as rtl:
        RtlSimulator(SMALL).run(program, inputs)
    assert (model.value.code, model.value.command) == (rtl.value.code, rtl.value.command)
    return model.value.code, model.value.command


def with_field(base: Program, opcode: Opcode, name: str, value: int) -> Program:
    """The program with a field of its first command of this kind changed."""
    commands = base.decode()
    index = next(i for i, command in enumerate(commands) if command.opcode == opcode)
    commands[index] = Command(opcode, {**commands[index].fields, name: value})
    return program_of(commands, base)


def test_illegal_field(base: Program) -> None:
    program = with_field(base, Opcode.LOAD, "rows", 0)
    assert refusal(program) == (ErrorCode.ILLEGAL_FIELD, 1)


def test_other_hardware(base: Program) -> None:
    program = with_field(base, Opcode.CONFIG, "config_id", SMALL.config_id ^ 1)
    assert refusal(program) == (ErrorCode.CONFIG_MISMATCH, 0)


def test_config_in_the_wrong_place(base: Program) -> None:
    commands = base.decode()
    assert refusal(program_of(commands[1:], base)) == (ErrorCode.CONFIG_MISMATCH, 0)
    again = [commands[0], commands[0], *commands[1:]]
    assert refusal(program_of(again, base)) == (ErrorCode.CONFIG_MISMATCH, 1)


def test_a_file_with_config_twice(base: Program, tmp_path: Path) -> None:
    """All three simulators refuse what was saved and loaded like any other program."""
    commands = base.decode()
    path = tmp_path / "twice.npuprog.npz"
    program_of([*commands[:2], commands[0], *commands[2:]], base).save(path)
    program = Program.load(path)
    assert refusal(program) == (ErrorCode.CONFIG_MISMATCH, 2)
    inputs = {INPUT: np.zeros(program.inputs[0].shape, np.int8)}
    with pytest.raises(CommandError) as caught:
        FunctionalSimulator(SMALL).run(program, inputs)
    assert (caught.value.code, caught.value.command) == (ErrorCode.CONFIG_MISMATCH, 2)


def test_truncated_stream(base: Program) -> None:
    count = len(base.decode())
    without_end = replace(base, commands=base.commands[:-1])
    assert refusal(without_end) == (ErrorCode.TRUNCATED_STREAM, count - 1)


def test_unknown_opcode(base: Program) -> None:
    stream = base.commands.copy()
    stream[-1] = 0xEE
    code, command = refusal(replace(base, commands=stream))
    assert (code, command) == (ErrorCode.ILLEGAL_OPCODE, len(base.decode()) - 1)


@pytest.mark.parametrize("wait", ["wait_load", "wait_compute", "wait_store"])
def test_deadlock(base: Program, wait: str) -> None:
    """A wait for a command that never comes."""
    program = with_field(base, Opcode.CONV, wait, 60)
    code, command = refusal(program)
    assert code == ErrorCode.DEADLOCK
    assert command == len(base.decode()) - 1


def test_words_behind_end_are_fetched_and_ignored(base: Program) -> None:
    """The prefetch runs on past END; the NPU stops when its last burst has arrived."""
    inputs = {INPUT: np.zeros(base.inputs[0].shape, np.int8)}
    for extra in (1, 7, 40, 300):
        stream = np.concatenate([base.commands, np.full(extra, 0x55, np.uint64)])
        program = replace(base, commands=stream)
        for latency in (1, 20, 400):
            memory = MemoryConfig(latency_cycles=latency)
            rtl = RtlSimulator(SMALL, memory).run(program, inputs)
            assert simulate(program, memory).counters == rtl.counters, (extra, latency)


def test_no_commands_but_config_and_end() -> None:
    commands = [Command(Opcode.CONFIG, {"config_id": SMALL.config_id}), Command(Opcode.END, {})]
    program = Program(
        config=SMALL,
        commands=encode_all(commands),
        constants=np.zeros(0, np.uint8),
        arena_bytes=8,
        inputs=(),
        outputs=(),
    )
    for latency in (1, 20):
        memory = MemoryConfig(latency_cycles=latency)
        rtl = RtlSimulator(SMALL, memory).run(program, {})
        assert simulate(program, memory).counters == rtl.counters


def test_random_stalls_are_refused(base: Program) -> None:
    stalls = MemoryConfig(stall_probability=0.1)
    for call in (lambda: simulate(base, stalls), lambda: CycleSimulator(SMALL, stalls)):
        with pytest.raises(ConfigError, match=r"stall_probability must be 0, got 0\.1"):
            call()


def test_orders_of_handshakes_cost_cycles(base: Program) -> None:
    eager = simulate(base, MemoryConfig()).cycles
    cycles = {name: simulate(base, MemoryConfig(handshake=name)).cycles for name in HANDSHAKES}
    # the NPU issues an address before its data
    assert cycles["eager"] == cycles["address_first"] == eager
    assert cycles["after_valid"] > eager
    assert cycles["one_at_a_time"] > eager


def test_simulator_gives_data_and_time() -> None:
    program, inputs = random_program(SMALL, 8, KINDS)
    memory = MemoryConfig(latency_cycles=7)
    result = CycleSimulator(SMALL, memory).run(program, inputs)
    expected = FunctionalSimulator(SMALL).run(program, inputs)
    np.testing.assert_array_equal(result.outputs[OUTPUT], expected.outputs[OUTPUT])
    timing = simulate(program, memory)
    assert (result.cycles, result.counters) == (timing.cycles, timing.counters)
    assert result.events == timing.events
    assert list(timing.counters) == [event.name for event in Event]


def test_results_of_one_program_do_not_depend_on_each_other() -> None:
    program, _ = random_program(SMALL, 8, KINDS)
    first = simulate(program, MemoryConfig(latency_cycles=20))
    simulate(program, MemoryConfig(latency_cycles=300))
    again = simulate(program, MemoryConfig(latency_cycles=20))
    assert (first.cycles, first.counters, first.events) == (
        again.cycles,
        again.counters,
        again.events,
    )
