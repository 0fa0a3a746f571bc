"""Command fetch, read manager and dispatcher together, on a memory that holds the stream."""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from rtl.command_fetch import CommandFetch
from rtl.config import NpuConfig
from rtl.dispatcher import Dispatcher
from rtl.isa import COMMANDS, Command, Engine, Opcode, encode_all
from rtl.read_manager import ReadManager
from rtl.registers import ErrorCode
from tests.rtl.bench import AxiMemory, send, simulate, small_config

BASE = 0x1008
MEMORY_BASE = 0x1000
END = Command(Opcode.END, {})


@dataclass
class Run:
    """What the queues delivered, and how it ended."""

    queues: dict[Engine, list[int]] = field(
        default_factory=lambda: {engine: [] for engine in Engine if engine != Engine.CONTROL}
    )
    finished: bool = False
    errors: list[tuple[int, int]] = field(default_factory=list)


def run(
    config: NpuConfig,
    stream: list[int],
    *,
    pause: float = 0.0,
    seed: int = 0,
    bad_address: int | None = None,
    limit: int = 2000,
) -> Run:
    """Fetch and dispatch a stream of 64-bit words."""
    m = Module()
    m.submodules.fetch = fetch = CommandFetch(config)
    m.submodules.manager = manager = ReadManager(config)
    m.submodules.dispatcher = dispatcher = Dispatcher(config)
    wiring.connect(m, fetch.read, manager.fetch)
    wiring.connect(m, fetch.words, dispatcher.words)
    m.d.comb += dispatcher.exhausted.eq(fetch.exhausted)
    memory = AxiMemory(
        0x1000,
        config.bus_bytes,
        config.burst_beats,
        base=MEMORY_BASE,
        latency=6,
        pause=pause,
        seed=seed,
    )
    image = np.array(stream, dtype="<u8").tobytes()
    memory.data[BASE - MEMORY_BASE : BASE - MEMORY_BASE + len(image)] = image
    if bad_address is not None:
        memory.bad_addresses.add(BASE + bad_address)
    result = Run()
    rng = random.Random(seed)

    def queue_reader(engine: Engine) -> Any:
        output = getattr(dispatcher, engine.name.lower())

        async def take(ctx: Any) -> None:
            while True:
                ctx.set(output.ready, rng.random() >= pause)
                _, _, moved, beat = await ctx.tick().sample(
                    output.valid & output.ready, output.payload
                )
                if moved:
                    result.queues[engine].append(beat)

        return take

    async def main(ctx: Any) -> None:
        ctx.set(fetch.base, BASE)
        ctx.set(fetch.size, 8 * len(stream))
        ctx.set(dispatcher.engines_idle, 1)
        ctx.set(fetch.start, 1)
        ctx.set(dispatcher.start, 1)
        await ctx.tick()
        ctx.set(fetch.start, 0)
        ctx.set(dispatcher.start, 0)
        error = dispatcher.error
        while not result.finished and not result.errors:
            _, _, finished, failed, code, index = await ctx.tick().sample(
                dispatcher.finished, error.valid, error.code, error.command
            )
            result.finished = bool(finished)
            if failed:
                result.errors.append((code, index))
        ctx.set(fetch.halt, 1)
        ctx.set(dispatcher.halt, 1)
        await ctx.tick().repeat(100)
        assert ctx.get(manager.idle)

    async def reads(ctx: Any) -> None:
        await memory.reads(ctx, manager.axi)

    simulate(m, main, [reads, *(queue_reader(engine) for engine in result.queues)], limit)
    return result


def words(commands: list[Command]) -> list[int]:
    return [int(word) for word in encode_all(commands)]


def config_command(config: NpuConfig) -> Command:
    return Command(Opcode.CONFIG, {"config_id": config.config_id})


def random_command(rng: random.Random, opcode: Opcode) -> Command:
    fields = {}
    for name, shape in COMMANDS[opcode].fields.items():
        low = -(1 << shape.width - 1) if shape.signed else 0
        fields[name] = rng.randrange(low, low + (1 << shape.width))
    return Command(opcode, fields)


def expected_queues(commands: list[Command]) -> dict[Engine, list[int]]:
    queues = Run().queues
    for index, command in enumerate(commands):
        engine = COMMANDS[command.opcode].engine
        if engine != Engine.CONTROL:
            queues[engine] += [index, *words([command])]
    return queues


@pytest.mark.parametrize("pause", [0.0, 0.4])
@pytest.mark.parametrize("burst_beats", [4, 64])
@pytest.mark.parametrize("bus_bytes", [4, 8, 16])
def test_every_command_reaches_its_engine(bus_bytes: int, burst_beats: int, pause: float) -> None:
    config = small_config(8, bus_bytes, burst_beats=burst_beats)
    rng = random.Random(bus_bytes)
    opcodes = [Opcode.LOAD, Opcode.STORE, Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL]
    opcodes.append(Opcode.ELEMENTWISE)
    commands = [
        config_command(config),
        *(random_command(rng, rng.choice(opcodes)) for _ in range(24)),
        END,
    ]
    result = run(config, words(commands), pause=pause)
    assert result.errors == []
    assert result.finished
    assert result.queues == expected_queues(commands)


def test_a_full_queue_holds_the_stream_without_losing_anything() -> None:
    config = small_config(8, 8, queue_beats=8)
    rng = random.Random(4)
    loads = [random_command(rng, Opcode.LOAD) for _ in range(12)]
    commands = [config_command(config), *loads, END]
    assert run(config, words(commands), pause=0.9, limit=6000).queues == expected_queues(commands)


def test_end_waits_for_the_engines() -> None:
    dispatcher = Dispatcher(small_config(8, 8))
    stream = [{"beat": w, "error": 0} for w in words([config_command(small_config(8, 8)), END])]

    async def feed(ctx: Any) -> None:
        await send(ctx, dispatcher.words, stream, random.Random(1))

    async def main(ctx: Any) -> None:
        ctx.set(dispatcher.start, 1)
        await ctx.tick()
        ctx.set(dispatcher.start, 0)
        for _ in range(40):
            await ctx.tick()
            assert not ctx.get(dispatcher.finished)
        ctx.set(dispatcher.engines_idle, 1)
        assert ctx.get(dispatcher.finished)

    simulate(dispatcher, main, [feed], 100)


def faults() -> list[Any]:
    config = small_config(8, 8)
    first = config_command(config)
    load = random_command(random.Random(1), Opcode.LOAD)
    good = words([first, load])
    wrong = Command(Opcode.CONFIG, {"config_id": config.config_id ^ 1})
    beats = words([load])
    cases = {
        "empty": ([], ErrorCode.TRUNCATED_STREAM, 0),
        "no_end": (good, ErrorCode.TRUNCATED_STREAM, 2),
        "inside_a_command": ([*good, *beats[:3]], ErrorCode.TRUNCATED_STREAM, 2),
        "zeros": ([0] * 8, ErrorCode.ILLEGAL_OPCODE, 0),
        "opcode": ([*good, 99], ErrorCode.ILLEGAL_OPCODE, 2),
        "flags": ([*good, beats[0] | 1 << 8, *beats[1:]], ErrorCode.ILLEGAL_FIELD, 2),
        "reserved": ([*good, *beats[:2], beats[2] | 1 << 63], ErrorCode.ILLEGAL_FIELD, 2),
        "end_flags": ([*good, Opcode.END | 1 << 15], ErrorCode.ILLEGAL_FIELD, 2),
        "other_id": (words([wrong, END]), ErrorCode.CONFIG_MISMATCH, 0),
        "config_missing": (words([load, END]), ErrorCode.CONFIG_MISMATCH, 0),
        "config_twice": ([*good, *words([first])], ErrorCode.CONFIG_MISMATCH, 2),
    }
    return [pytest.param(*case, id=name) for name, case in cases.items()]


@pytest.mark.parametrize(("stream", "code", "index"), faults())
def test_faulty_stream(stream: list[int], code: ErrorCode, index: int) -> None:
    result = run(small_config(8, 8), stream)
    assert result.errors == [(code, index)]
    beats = COMMANDS[Opcode.LOAD].beats + 1
    loads = result.queues[Engine.LOAD]
    assert len(loads) < 2 * beats, "a faulty command must not be queued as a whole"
    if index == 2:
        assert loads[:beats] == [1, *stream[2:7]]


@pytest.mark.parametrize("bus_bytes", [4, 8, 16])
def test_bus_error(bus_bytes: int) -> None:
    config = small_config(8, bus_bytes)
    rng = random.Random(9)
    commands = [config_command(config), *(random_command(rng, Opcode.LOAD) for _ in range(8))]
    bad = len(words(commands[:5])) * 8 + 12
    result = run(config, words([*commands, END]), bad_address=bad)
    assert result.errors == [(ErrorCode.FETCH_BUS, 5)]
