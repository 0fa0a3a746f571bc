"""cocotb tests: programs over AXI. Started by `test_cosim` with a seed."""

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
import pytest
from cocotb.triggers import ClockCycles

from npu.verify.random_programs import KINDS
from rtl.isa import BEAT_BITS, COMMANDS, Opcode
from rtl.registers import Control, ErrorCode, Event, Register, Status, event_counter
from sim.cycle import simulate
from sim.errors import CommandError
from tests.cosim.bench import Bench, Job
from tests.cosim.simulation import CONFIG


async def _counter(bench: Bench, event: Event) -> int:
    return await bench.read(event_counter(event))


async def _check_counters(bench: Bench, job: Job, beats: tuple[int, int], cycles: int) -> None:
    """Compare the event counters with what the monitor saw and what the program holds."""
    assert await _counter(bench, Event.READ_BEATS) == bench.monitor.read_beats - beats[0]
    assert await _counter(bench, Event.WRITE_BEATS) == bench.monitor.write_beats - beats[1]
    total = await _counter(bench, Event.CYCLES)
    assert 0 < total < cycles
    opcodes = {command.opcode for command in job.program.decode()}
    for event, used in (
        (Event.LOAD_BUSY, Opcode.LOAD in opcodes),
        (Event.STORE_BUSY, Opcode.STORE in opcodes),
        (Event.COMPUTE_BUSY, not opcodes.isdisjoint(set(KINDS) - {Opcode.LOAD})),
        (Event.MAC_ACTIVE, not opcodes.isdisjoint(set(KINDS) - {Opcode.LOAD, Opcode.ELEMENTWISE})),
    ):
        assert (0 < await _counter(bench, event) <= total) == used, event.name


async def _programs(dut: Any, pause: float, runs: int) -> None:
    """Programs of all commands, one after the other, each from where the last one left the NPU."""
    bench = Bench(dut, CONFIG)
    await bench.start(pause)
    for _ in range(runs):
        job = bench.random_job()
        beats = (bench.monitor.read_beats, bench.monitor.write_beats)
        cycles = bench.monitor.cycles
        await bench.run(job)
        bench.check_arena(job)
        await _check_counters(bench, job, beats, bench.monitor.cycles - cycles)
        await bench.check_done(job)
        bench.memory.segments.clear()


@cocotb.test()
async def programs(dut: Any) -> None:
    """Nobody stalls."""
    await _programs(dut, 0.0, 3)


@cocotb.test()
async def programs_with_pauses(dut: Any) -> None:
    """Every channel of both buses stalls in a third of the cycles."""
    await _programs(dut, 0.3, 2)


@cocotb.test()
async def programs_with_long_pauses(dut: Any) -> None:
    """Every channel of both buses stalls in four of five cycles."""
    await _programs(dut, 0.8, 1)


@cocotb.test()
async def one_stalled_channel(dut: Any) -> None:
    """Each channel in turn stalls for longer than the watchdog's time, in the middle of a run."""
    bench = Bench(dut, CONFIG)
    await bench.start()
    read, write = bench.axi.read_if, bench.axi.write_if
    for channel in (
        *(read.ar_channel, read.r_channel),
        *(write.aw_channel, write.w_channel, write.b_channel),
    ):
        job = bench.random_job((Opcode.CONV,), size=2)
        await bench.configure(job)
        await bench.write(Register.IRQ_ENABLE, 1)
        await bench.write(Register.CONTROL, Control.START)
        await ClockCycles(dut.clk, bench.rng.randrange(400))
        channel.pause = True
        await ClockCycles(dut.clk, 1500)
        channel.pause = False
        await bench.wait()
        await bench.check_done(job)
        bench.memory.segments.clear()


async def _check_error(bench: Bench, code: ErrorCode, command: int) -> None:
    assert await bench.status() == Status.ERROR | Status.IRQ
    assert await bench.read(Register.ERROR_CODE) == code
    assert await bench.read(Register.ERROR_COMMAND) == command


def _deadlocked(job: Job) -> int:
    """The command that the NPU names when the job stops with DEADLOCK."""
    stream = np.frombuffer(bytes(job.commands.data), dtype="<u8")
    with pytest.raises(CommandError) as stopped:
        simulate(replace(job.program, commands=stream))
    assert stopped.value.code == ErrorCode.DEADLOCK
    return stopped.value.command


@cocotb.test()
async def errors_and_restart(dut: Any) -> None:
    """Faulty streams, memories that answer with errors, regions that are too small: the NPU stops
    with the reason and runs the next program, without a reset."""
    bench = Bench(dut, CONFIG)
    await bench.start(0.2)
    job = bench.random_job((Opcode.CONV,), size=2)
    before = bytes(job.arena.data)
    commands = job.program.decode()
    starts = [0]
    for command in commands:
        starts.append(starts[-1] + COMMANDS[command.opcode].beats)
    load = next(i for i, c in enumerate(commands) if c.opcode == Opcode.LOAD)
    store = next(i for i, c in enumerate(commands) if c.opcode == Opcode.STORE)

    for beat, value, code, index in (
        (starts[2], 0, ErrorCode.ILLEGAL_OPCODE, 2),
        (starts[load], int(Opcode.LOAD) | 1 << 8, ErrorCode.ILLEGAL_FIELD, load),
        (1, CONFIG.config_id ^ 1, ErrorCode.CONFIG_MISMATCH, 0),
        (starts[load], int(Opcode.LOAD) | 1 << 48, ErrorCode.DEADLOCK, None),
    ):
        assert value < 1 << BEAT_BITS
        spoiled = bench.spoil(job, beat, value)
        await bench.run(spoiled)
        # where the dispatcher stands then depends on what the queues hold
        await _check_error(bench, code, _deadlocked(spoiled) if index is None else index)
        assert job.arena.data == before, code.name

    await bench.run(job, commands=8 * starts[3] + 8)
    await _check_error(bench, ErrorCode.TRUNCATED_STREAM, 3)
    end = commands[store]["offset"] + commands[store]["pixels"] * commands[store]["pixel_bytes"]
    await bench.run(job, arena=end - 1)
    await _check_error(bench, ErrorCode.REGION_BOUNDS, store)
    assert job.arena.data[end - 1 :] == before[end - 1 :]
    await bench.run(job, constants=0)
    await _check_error(bench, ErrorCode.REGION_BOUNDS, load)

    for address, code, index in (
        (job.commands.base + 8 * starts[2] + 5, ErrorCode.FETCH_BUS, 2),
        (job.constants.base + commands[load]["offset"], ErrorCode.READ_BUS, load),
        (job.arena.base + commands[store]["offset"], ErrorCode.WRITE_BUS, store),
    ):
        faults = (
            bench.memory.write_faults if code == ErrorCode.WRITE_BUS else bench.memory.read_faults
        )
        faults.add(address)
        await bench.run(job)
        await _check_error(bench, code, index)
        faults.clear()
    await bench.run(job)
    await bench.check_done(job)


@cocotb.test()
async def reset_in_the_middle(dut: Any) -> None:
    """The reset input stops everything at any time; the NPU starts from nothing afterwards."""
    bench = Bench(dut, CONFIG)
    await bench.start(0.1)
    job = bench.random_job((Opcode.DEPTHWISE,), size=2)
    for _ in range(6):
        await bench.configure(job)
        await bench.write(Register.IRQ_ENABLE, 1)
        await bench.write(Register.CONTROL, Control.START)
        await ClockCycles(dut.clk, bench.rng.randrange(20, 300))
        dut.rst.value = 1
        await ClockCycles(dut.clk, bench.rng.randrange(2, 6))
        dut.rst.value = 0
        await ClockCycles(dut.clk, 3)
        assert bench.monitor.quiet
        assert not int(dut.irq.value)
        assert await bench.read(Register.STATUS) == 0
        assert await bench.read(Register.IRQ_ENABLE) == 0
        assert await bench.read(Register.COMMAND_BYTES) == 0
        assert await _counter(bench, Event.CYCLES) == 0
    await bench.run(job)
    await bench.check_done(job)
