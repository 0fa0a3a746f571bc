"""The bus of the whole NPU: every order of handshakes, every answer, and no answer at all."""

import dataclasses
import random

import numpy as np
import pytest

from npu.verify.random_programs import KINDS, OUTPUT, random_program
from rtl.axi import Response
from rtl.isa import Opcode
from rtl.registers import TIMEOUT_UNIT, Control, ErrorCode, Register, Status
from sim.cycle import simulate
from sim.errors import CommandError
from sim.functional import FunctionalSimulator
from sim.memory import HANDSHAKES, MemoryConfig
from sim.rtl_runner import BusFaults, RtlSimulator, Silence
from sim.rtl_runner.bus import CHANNELS, FOR_EVER
from tests.sim import configs
from tests.sim.board import Board
from tests.sim.scene import CONFIG, Scene, small_program


@pytest.mark.parametrize("stalls", [0.0, 0.4])
@pytest.mark.parametrize("handshake", HANDSHAKES)
@pytest.mark.parametrize("name", configs.RTL)
def test_every_order_of_handshakes(name: str, handshake: str, stalls: float) -> None:
    config = configs.RTL[name]
    for seed in range(6000, 6012):
        rng = random.Random(seed)
        program, inputs = random_program(config, seed, tuple(rng.choices(KINDS, k=3)), size=4)
        expected = FunctionalSimulator(config).run(program, inputs)
        memory = MemoryConfig(
            latency_cycles=rng.choice([1, 7, 40]),
            response_cycles=rng.choice([None, 1, 130]),
            handshake=handshake,
            stall_probability=stalls,
            stall_seed=seed,
        )
        result = RtlSimulator(config, memory).run(program, inputs)
        np.testing.assert_array_equal(
            result.outputs[OUTPUT], expected.outputs[OUTPUT], err_msg=f"seed {seed}, {memory}"
        )


@pytest.mark.parametrize("handshake", HANDSHAKES)
@pytest.mark.parametrize("name", configs.RTL)
def test_cycles_of_every_order(name: str, handshake: str) -> None:
    config = configs.RTL[name]
    for seed in range(6100, 6120):
        rng = random.Random(seed)
        program, inputs = random_program(config, seed, tuple(rng.choices(KINDS, k=3)), size=4)
        memory = MemoryConfig(
            latency_cycles=rng.choice([1, 7, 40]),
            response_cycles=rng.choice([None, 1, 130]),
            handshake=handshake,
        )
        result = RtlSimulator(config, memory).run(program, inputs, trace=True)
        model = simulate(program, memory)
        assert model.counters == result.counters, f"seed {seed}, {memory}"
        assert model.events == result.events, f"seed {seed}, {memory}"


@pytest.mark.parametrize("response", [Response.EXOKAY, Response.SLVERR, Response.DECERR])
def test_every_answer_but_okay_is_an_error(response: Response) -> None:
    program, inputs = random_program(CONFIG, 2, (Opcode.CONV,))
    index = next(i for i, c in enumerate(program.decode()) if c.opcode == Opcode.STORE)
    written = program.decode()[index]["offset"]
    for faults, code in (
        (BusFaults(commands=72, response=response), ErrorCode.FETCH_BUS),
        (BusFaults(constants=40, response=response), ErrorCode.READ_BUS),
        (BusFaults(arena_write=written, response=response), ErrorCode.WRITE_BUS),
    ):
        with pytest.raises(CommandError) as caught:
            RtlSimulator(CONFIG).run(program, inputs, faults=faults)
        assert caught.value.code == code


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("lasts", [20 * TIMEOUT_UNIT, FOR_EVER])
def test_a_silent_channel_ends_in_an_error(channel: str, lasts: int) -> None:
    """From any cycle on. A command that was not finished is named, nothing is written outside, and
    BUSY stays until the memory has answered after all."""
    kinds = (Opcode.CONV, Opcode.LOAD, Opcode.ELEMENTWISE)
    opcodes = set()
    program, inputs = small_program(kinds, 5)
    whole = simulate(program, MemoryConfig(latency_cycles=30)).cycles
    rng = random.Random(11)
    for first in (0, *(rng.randrange(whole) for _ in range(12))):
        end = min(first + lasts, FOR_EVER)
        silence = Silence((channel,), first, end)
        board = Board(CONFIG, MemoryConfig(latency_cycles=30), silence=silence, seed=first)
        try:
            scene = Scene(board, program, inputs)
            board.write(Register.BUS_TIMEOUT, 1)
            outcome = board.start(scene.placed)
            if outcome.code == ErrorCode.NONE:
                # the channel had no more to do
                assert outcome.status == Status.DONE | Status.IRQ
                continue
            assert outcome.code == ErrorCode.BUS_TIMEOUT
            assert outcome.status == Status.BUSY | Status.ERROR | Status.IRQ
            opcode = scene.commands[outcome.command].opcode
            opcodes.add(opcode)
            if channel in ("AW", "W", "B"):
                assert opcode == Opcode.STORE
            scene.check_memory(message=f"cycle {first}")
            board.write(Register.CONTROL, Control.START | Control.RESET)
            if end == FOR_EVER:
                assert Status.BUSY in Status(board.read(Register.STATUS))
                continue
            board.step(2 * lasts)
            assert Status(board.read(Register.STATUS)) == Status.ERROR | Status.IRQ
            scene.check_memory(message=f"cycle {first}")
        finally:
            board.close()
    assert opcodes, "the channel was never missed"
    if channel in ("AR", "R"):
        assert Opcode.LOAD in opcodes


def test_time_in_which_the_npu_itself_waits_is_no_silence() -> None:
    """A memory that is slow, but not for a whole unit, is never given up."""
    program, inputs = random_program(CONFIG, 3, KINDS)
    memory = MemoryConfig(latency_cycles=TIMEOUT_UNIT - 40)
    simulator = RtlSimulator(CONFIG, memory)
    expected = FunctionalSimulator(CONFIG).run(program, inputs)
    result = simulator.run(program, inputs, bus_timeout=1)
    np.testing.assert_array_equal(result.outputs[OUTPUT], expected.outputs[OUTPUT])
    slower = dataclasses.replace(memory, latency_cycles=TIMEOUT_UNIT + 40)
    with pytest.raises(CommandError, match="BUS_TIMEOUT"):
        RtlSimulator(CONFIG, slower).run(program, inputs, bus_timeout=1)
