"""The store engine with a small scratchpad and AXI memory, against the byte-by-byte model."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from rtl.axi import Response
from rtl.config import NpuConfig
from rtl.isa import Command, Opcode, Region, encode
from rtl.registers import ErrorCode
from rtl.store_engine import StoreEngine
from tests.rtl import models
from tests.rtl.bench import AxiMemory, answer_lookups, changed, send, simulate, small_config

REGION_BASE = 0x4001
MEMORY_BASE = 0x4000
MEMORY_BYTES = 0x3000
REGION_BYTES = MEMORY_BYTES - 64


@dataclass
class Run:
    """What an engine did."""

    done: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    errors: list[tuple[int, int]] = field(default_factory=list)
    beats: list[int] = field(default_factory=list)


def scratchpad_words(config: NpuConfig, seed: int = 5) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(config.lanes) for _ in range(config.scratchpad_words)]


def run(
    config: NpuConfig,
    commands: list[Command],
    memory: AxiMemory,
    *,
    pause: float = 0.0,
    seed: int = 0,
    limit: int = 4000,
) -> Run:
    """Execute STOREs until all are done or one failed and the engine has drained."""
    engine = StoreEngine(config)
    words = scratchpad_words(config)
    result = Run()
    rng = random.Random(seed)

    async def feed(ctx: Any) -> None:
        for index, command in enumerate(commands):
            beats = [index, *(int(beat) for beat in encode(command))]
            await send(ctx, engine.beats, beats, rng, pause)

    async def source(ctx: Any) -> None:
        read = engine.scratchpad
        while True:
            ctx.set(read.ready, rng.random() >= pause)
            _, _, taken, address = await ctx.tick().sample(read.valid & read.ready, read.address)
            # the data lasts for one cycle only
            word = words[address] if taken else rng.randbytes(config.lanes)
            ctx.set(read.data, int.from_bytes(word, "little"))

    async def watch(ctx: Any) -> None:
        status, error, axi = engine.status, engine.error, engine.axi
        cycle = 0
        while True:
            _, _, start, done, index, failed, code, command, beat = await ctx.tick().sample(
                status.start,
                status.done,
                status.index,
                error.valid,
                error.code,
                error.command,
                axi.wvalid & axi.wready,
            )
            cycle += 1
            if beat:
                result.beats.append(cycle)
            if start:
                result.starts.append(index)
            if done:
                result.done.append(index)
                ctx.set(engine.done_counts.store, len(result.done))
            if failed:
                result.errors.append((code, command))
                ctx.set(engine.halt, 1)

    async def main(ctx: Any) -> None:
        while len(result.done) < len(commands) and not result.errors:
            await ctx.tick()
        while ctx.get(engine.status.busy):
            await ctx.tick()
        await ctx.tick().repeat(2)

    async def writes(ctx: Any) -> None:
        await memory.writes(ctx, engine.axi)

    async def regions(ctx: Any) -> None:
        await answer_lookups(ctx, engine.region, {Region.ARENA: (REGION_BASE, REGION_BYTES)})

    simulate(engine, main, [feed, source, watch, writes, regions], limit)
    return result


def make_memory(config: NpuConfig, **options: Any) -> AxiMemory:
    return AxiMemory(
        MEMORY_BYTES, config.bus_bytes, config.burst_beats, base=MEMORY_BASE, **options
    )


def store(**fields: int) -> Command:
    """A STORE of one byte of scratchpad word 0 to offset 1000, with some fields changed."""
    defaults = dict.fromkeys(("row_stride", "base", "row_pitch", "plane_pitch"), 0)
    defaults |= dict.fromkeys(("rows", "pixels", "pixel_bytes", "pixel_words"), 1)
    return Command(Opcode.STORE, defaults | {"region": Region.ARENA, "offset": 1000} | fields)


def random_store(config: NpuConfig, rng: random.Random) -> Command:
    """Any legal STORE of at most a few hundred bytes, its rows apart."""
    lanes = config.lanes
    pixel_bytes = rng.choice([1, 3, lanes, 2 * lanes, 2 * lanes + 1, rng.randint(1, 40)])
    pixels = rng.randint(1, 1 + 60 // pixel_bytes)
    row_bytes = pixels * pixel_bytes
    return store(
        offset=rng.randrange(1000),
        rows=rng.randint(1, 4),
        row_stride=rng.choice([row_bytes, row_bytes + rng.randrange(50)]),
        pixels=pixels,
        pixel_bytes=pixel_bytes,
        pixel_words=-(-pixel_bytes // lanes),
        base=rng.randrange(64),
        row_pitch=rng.randrange(20),
        plane_pitch=rng.randrange(16),
    )


def expected_memory(config: NpuConfig, before: bytes, commands: list[Command]) -> bytes:
    expected = bytearray(before)
    for command in commands:
        for offset, byte in models.store(config, command, scratchpad_words(config)).items():
            expected[REGION_BASE - MEMORY_BASE + offset] = byte
    return bytes(expected)


@pytest.mark.parametrize("bus_bytes", [4, 8, 16])
@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize(("seed", "pause"), [(1, 0.0), (2, 0.4)])
def test_random_stores(lanes: int, bus_bytes: int, seed: int, pause: float) -> None:
    config = small_config(lanes, bus_bytes)
    rng = random.Random(seed)
    commands = [random_store(config, rng) for _ in range(8)]
    memory = make_memory(config, latency=rng.randint(1, 20), pause=pause, seed=seed)
    expected = expected_memory(config, bytes(memory.data), commands)
    result = run(config, commands, memory, pause=pause, seed=seed)
    assert result.errors == []
    assert result.done == result.starts == list(range(len(commands)))
    assert memory.data == expected


@pytest.mark.parametrize("pause", [0.0, 0.4])
@pytest.mark.parametrize("handshake", AxiMemory.HANDSHAKES)
def test_every_order_of_handshakes(handshake: str, pause: float) -> None:
    config = small_config(8, 8, burst_beats=4)
    rng = random.Random(3)
    commands = [random_store(config, rng) for _ in range(8)]
    memory = make_memory(config, latency=7, pause=pause, handshake=handshake, seed=4)
    expected = expected_memory(config, bytes(memory.data), commands)
    result = run(config, commands, memory, pause=pause, seed=4)
    assert result.errors == []
    assert result.done == list(range(len(commands)))
    assert memory.data == expected


@pytest.mark.parametrize("lead", [0, 3])
@pytest.mark.parametrize("bus_bytes", [4, 8, 16])
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_dense_store_moves_a_beat_or_a_word_per_cycle(
    lanes: int, bus_bytes: int, lead: int
) -> None:
    config = small_config(lanes, bus_bytes, burst_beats=64)
    words = 1024 // lanes
    command = store(offset=lead, pixels=words, pixel_bytes=lanes)
    memory = make_memory(config, latency=20)
    expected = expected_memory(config, bytes(memory.data), [command])
    result = run(config, [command], memory)
    assert memory.data == expected
    cycles = result.beats[-1] - result.beats[0] + 1
    best = max(len(result.beats), words)
    assert best / cycles > 0.97, f"{len(result.beats)} beats in {cycles} cycles"


def test_outstanding_bursts_are_limited() -> None:
    config = small_config(8, 8, outstanding_bursts=2, burst_beats=4)
    memory = make_memory(config, latency=30)
    run(config, [store(pixels=64, pixel_bytes=8)], memory)
    assert memory.most_outstanding == 2


def error_cases() -> list[Any]:
    words = small_config(8, 8).scratchpad_words
    bad = {
        "rows": (store(rows=0), ErrorCode.ILLEGAL_FIELD),
        "pixels": (store(pixels=0), ErrorCode.ILLEGAL_FIELD),
        "pixel_words": (store(pixel_words=0, pixel_bytes=0), ErrorCode.ILLEGAL_FIELD),
        "too_few_words": (store(pixel_bytes=9), ErrorCode.ILLEGAL_FIELD),
        "too_many_words": (store(pixel_words=2), ErrorCode.ILLEGAL_FIELD),
        "row_too_long": (store(pixels=1 << 16, pixel_bytes=256, pixel_words=32), None),
        "region_end": (store(offset=REGION_BYTES), ErrorCode.REGION_BOUNDS),
        "region_far_row": (
            store(rows=2, row_stride=0xFFFFFF, pixels=20, pixel_bytes=7),
            ErrorCode.REGION_BOUNDS,
        ),
        "region_unused": (store(region=5), ErrorCode.REGION_BOUNDS),
        "scratchpad": (store(base=words), ErrorCode.SCRATCHPAD_BOUNDS),
        "scratchpad_last": (
            store(base=words - 20, pixels=30, pixel_bytes=7),
            ErrorCode.SCRATCHPAD_BOUNDS,
        ),
    }
    return [
        pytest.param(command, code or ErrorCode.ILLEGAL_FIELD, id=name)
        for name, (command, code) in bad.items()
    ]


@pytest.mark.parametrize(("command", "code"), error_cases())
@pytest.mark.parametrize(
    ("pause", "handshake"), [(0.0, "eager"), (0.5, "address_first"), (0.5, "data_first")]
)
def test_faulty_store(command: Command, code: ErrorCode, pause: float, handshake: str) -> None:
    config = small_config(8, 8, burst_beats=4)
    good = [store(offset=9, pixels=50, pixel_bytes=3), store(offset=300, rows=2, row_stride=3)]
    memory = make_memory(config, latency=9, pause=pause, handshake=handshake)
    expected = bytearray(expected_memory(config, bytes(memory.data), good))
    result = run(config, [*good, command, store()], memory)
    assert result.errors == [(code, 2)]
    assert result.done == [0, 1, 2]
    assert memory.outstanding == 0
    if code == ErrorCode.REGION_BOUNDS and command["rows"] == 2:
        row = changed(command, rows=1)
        expected[:] = expected_memory(config, bytes(expected), [row])
    elif code == ErrorCode.SCRATCHPAD_BOUNDS and command["pixels"] > 1:
        # the bytes before the fault are written or left alone
        words = changed(command, pixels=config.scratchpad_words - command["base"])
        right = expected_memory(config, bytes(expected), [words])
        for offset in models.store(config, words, scratchpad_words(config)):
            address = REGION_BASE - MEMORY_BASE + offset
            if memory.data[address] != expected[address]:
                assert memory.data[address] == right[address]
                expected[address] = right[address]
    assert memory.data == expected


def test_words_on_their_way_into_the_ring_are_not_lost_by_a_fault() -> None:
    config = small_config(8, 8, burst_beats=4)
    memory = make_memory(config)
    words = config.scratchpad_words
    # 8 words of 3 bytes: the last one completes a beat, from lane 1 on
    command = store(base=words - 8, pixels=30, pixel_bytes=3)
    expected = expected_memory(config, bytes(memory.data), [changed(command, pixels=8)])
    result = run(config, [command], memory)
    assert result.errors == [(ErrorCode.SCRATCHPAD_BOUNDS, 0)]
    start = REGION_BASE - MEMORY_BASE + 1000
    complete = slice(start, start + 23)
    assert memory.data[complete] == expected[complete]


@pytest.mark.parametrize("handshake", ["eager", "data_first", "together"])
@pytest.mark.parametrize("response", [Response.EXOKAY, Response.SLVERR, Response.DECERR])
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_bus_error(pause: float, response: Response, handshake: str) -> None:
    config = small_config(8, 8, burst_beats=4)
    memory = make_memory(config, latency=7, pause=pause, response=response, handshake=handshake)
    memory.bad_addresses.add(REGION_BASE + 300)
    dense = store(pixels=8, pixel_bytes=8)
    commands = [dense, changed(dense, offset=200, pixels=40), dense]
    result = run(config, commands, memory, pause=pause)
    assert result.errors == [(ErrorCode.WRITE_BUS, 1)]
    assert memory.outstanding == 0
    assert result.done == [0, 1]


def test_store_waits_for_its_dependencies() -> None:
    config = small_config(8, 8)
    memory = make_memory(config)
    with pytest.raises(AssertionError, match="still running after 200 cycles"):
        run(config, [store(), store(wait_load=1)], memory, limit=200)
    assert len(memory.written) == 1
