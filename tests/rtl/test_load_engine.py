"""The load engine with the read manager and a small AXI memory, against the byte-by-byte model."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring

from rtl.axi import Response
from rtl.config import NpuConfig
from rtl.isa import Command, Destination, Opcode, Region, encode
from rtl.load_engine import LoadEngine
from rtl.read_manager import ReadManager
from rtl.registers import ErrorCode
from tests.rtl import models
from tests.rtl.bench import AxiMemory, answer_lookups, changed, send, simulate, small_config

REGION_BASE = 0x4001
MEMORY_BASE = 0x4000
MEMORY_BYTES = 0x3000
REGION_BYTES = MEMORY_BYTES - 64


@dataclass
class Run:
    """What an engine did."""

    writes: list[models.Write] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    errors: list[tuple[int, int]] = field(default_factory=list)


def run(
    config: NpuConfig,
    commands: list[Command],
    memory: AxiMemory,
    *,
    region_size: int = REGION_BYTES,
    pause: float = 0.0,
    seed: int = 0,
    limit: int = 4000,
) -> Run:
    """Execute LOADs until all are done or one failed and the engine has drained."""
    m = Module()
    m.submodules.engine = engine = LoadEngine(config)
    m.submodules.manager = manager = ReadManager(config)
    wiring.connect(m, engine.read, manager.load)
    result = Run()
    rng = random.Random(seed)

    async def feed(ctx: Any) -> None:
        for index, command in enumerate(commands):
            beats = [index, *(int(beat) for beat in encode(command))]
            await send(ctx, engine.beats, beats, rng, pause)

    async def take(ctx: Any) -> None:
        while True:
            ctx.set(engine.scratchpad.ready, rng.random() >= pause)
            _, _, *values = await ctx.tick().sample(
                engine.scratchpad.valid & engine.scratchpad.ready,
                engine.scratchpad.address,
                engine.scratchpad.data,
                engine.scratchpad.enable,
                engine.weights.enable,
                engine.weights.address,
                Cat(engine.weights.data),
                engine.parameters.valid,
                engine.parameters.block,
                engine.parameters.plane,
                engine.parameters.data,
                engine.table.valid,
                engine.table.row,
                engine.table.data,
            )
            whole = (1 << config.lanes) - 1
            ports = config.weight_ports
            units = [
                values[6] >> 8 * config.lanes * k & 256**config.lanes - 1 for k in range(ports)
            ]
            address, enable = values[5] & -ports, values[4]
            for destination, valid, address, plane, word, enable in (
                (Destination.SCRATCHPAD, values[0], values[1], 0, values[2], values[3]),
                *(
                    (Destination.WEIGHTS, enable >> k & 1, address | k, 0, unit, whole)
                    for k, unit in enumerate(units)
                ),
                (Destination.PARAMETERS, values[7], values[8], values[9], values[10], whole),
                (Destination.TABLE, values[11], values[12], 0, values[13], whole),
            ):
                if valid:
                    data = word.to_bytes(config.lanes, "little")
                    data = bytes(byte if enable >> k & 1 else 0 for k, byte in enumerate(data))
                    result.writes.append(models.Write(destination, address, plane, data, enable))

    async def watch(ctx: Any) -> None:
        status, error = engine.status, engine.error
        while True:
            _, _, start, done, index, failed, code, command = await ctx.tick().sample(
                status.start, status.done, status.index, error.valid, error.code, error.command
            )
            if start:
                result.starts.append(index)
            if done:
                result.done.append(index)
                # as the control block does
                ctx.set(engine.done_counts.load, len(result.done))
            if failed:
                result.errors.append((code, command))
                ctx.set(engine.halt, 1)

    async def main(ctx: Any) -> None:
        while len(result.done) < len(commands) and not result.errors:
            await ctx.tick()
        while ctx.get(engine.status.busy) or not ctx.get(manager.idle):
            await ctx.tick()
        await ctx.tick().repeat(2)

    async def reads(ctx: Any) -> None:
        await memory.reads(ctx, manager.axi)

    async def regions(ctx: Any) -> None:
        await answer_lookups(ctx, engine.region, {Region.CONSTANTS: (REGION_BASE, region_size)})

    simulate(m, main, [feed, take, watch, reads, regions], limit)
    return result


def make_memory(config: NpuConfig, **options: Any) -> AxiMemory:
    return AxiMemory(
        MEMORY_BYTES, config.bus_bytes, config.burst_beats, base=MEMORY_BASE, **options
    )


def region_bytes(memory: AxiMemory) -> bytes:
    return bytes(memory.data[REGION_BASE - MEMORY_BASE :])


def load(**fields: int) -> Command:
    """A LOAD of one row of one byte into scratchpad word 0, with some fields changed."""
    defaults = dict.fromkeys(("offset", "region", "destination", "pad_value", "row_stride"), 0)
    defaults |= dict.fromkeys(("pad_left", "fold", "merge", "lane_offset"), 0)
    defaults |= dict.fromkeys(("base", "row_pitch", "plane_pitch"), 0)
    defaults |= dict.fromkeys(("rows", "row_bytes", "pixels", "pixel_bytes", "pixel_step"), 1)
    defaults |= {"pixel_words": 1, "region": Region.CONSTANTS}
    return Command(Opcode.LOAD, defaults | fields)


def weights(config: NpuConfig, units: int, **fields: int) -> Command:
    """A LOAD of dense weights."""
    return load(
        destination=Destination.WEIGHTS,
        row_bytes=units * config.lanes,
        pixels=units,
        pixel_bytes=config.lanes,
        pixel_step=config.lanes,
        **fields,
    )


def random_load(config: NpuConfig, rng: random.Random) -> Command:
    """Any legal LOAD of at most a few hundred bytes."""
    lanes = config.lanes
    kind = rng.choice(
        ["dense", "dense", "fold", "fold", "weights", "parameters", "biases", "table"]
    )
    offset = rng.randrange(1000)
    if kind == "weights":
        return changed(weights(config, rng.randint(1, 12)), offset=offset, base=rng.randrange(32))
    if kind == "table":
        command = weights(config, rng.randint(1, config.table_rows - 3))
        return changed(command, destination=Destination.TABLE, offset=offset, base=rng.randrange(4))
    if kind in ("parameters", "biases"):
        parameters = kind == "parameters"
        command = weights(config, 9 * rng.randint(1, 2) if parameters else rng.randint(1, 9))
        destination = Destination.PARAMETERS if parameters else Destination.BIASES
        return changed(command, destination=destination, offset=offset, base=rng.randrange(2))
    rows = rng.randint(1, 4)
    fold = kind == "fold"
    pixel_bytes = rng.randint(1, 4 * lanes) if fold else rng.choice([1, 3, lanes, 2 * lanes + 1])
    pixel_step = rng.randint(1, 4 * lanes) if fold else pixel_bytes
    row_bytes = rng.choice([1, rng.randint(2, 80), rng.randint(2, 80)])
    destination = rng.choice([Destination.SCRATCHPAD, Destination.WEIGHTS])
    merge = destination == Destination.SCRATCHPAD and rng.random() < 0.7
    lane_offset = rng.randrange(lanes) if merge else 0
    if fold:
        lane_offset = min(lane_offset, 4 * lanes - pixel_bytes)
    return load(
        offset=offset,
        destination=destination,
        rows=rows,
        pad_value=rng.randint(-128, 127),
        row_bytes=row_bytes,
        row_stride=rng.choice([row_bytes, rng.randrange(200)]),
        pad_left=rng.choice([0, 0, rng.randrange(20)]),
        fold=int(fold),
        merge=int(merge),
        lane_offset=lane_offset,
        pixels=rng.randint(1, 8),
        pixel_bytes=pixel_bytes,
        pixel_step=pixel_step,
        pixel_words=-(-(lane_offset + pixel_bytes) // lanes),
        base=rng.randrange(64),
        row_pitch=rng.randrange(20),
        plane_pitch=rng.randrange(40),
    )


@pytest.mark.parametrize("bus_bytes", [4, 8, 16])
@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize(("seed", "pause"), [(1, 0.0), (2, 0.4)])
def test_random_loads(lanes: int, bus_bytes: int, seed: int, pause: float) -> None:
    config = small_config(lanes, bus_bytes, weight_buffer_kib=4)
    rng = random.Random(seed)
    commands = [random_load(config, rng) for _ in range(10)]
    memory = make_memory(config, latency=rng.randint(1, 20), pause=pause, seed=seed)
    result = run(config, commands, memory, pause=pause, seed=seed)
    expected = [w for c in commands for w in models.load(config, c, region_bytes(memory))]
    assert result.errors == []
    assert result.done == result.starts == list(range(len(commands)))
    assert result.writes == expected


@pytest.mark.parametrize("bus_bytes", [4, 8, 16])
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_weight_stream_keeps_the_bus_busy(lanes: int, bus_bytes: int) -> None:
    config = small_config(lanes, bus_bytes, weight_buffer_kib=4, burst_beats=64)
    units = 1536 // lanes
    commands = [weights(config, units), weights(config, units, offset=1536, base=units)]
    memory = make_memory(config, latency=20)
    result = run(config, commands, memory)
    expected = [w for c in commands for w in models.load(config, c, region_bytes(memory))]
    assert result.writes == expected
    beats = memory.read_beats
    cycles = beats[-1] - beats[0] + 1
    # the output side writes at most `lanes` bytes per cycle
    best = len(beats) * max(1, bus_bytes // lanes)
    assert best / cycles > 0.97, f"{len(beats)} beats in {cycles} cycles"


def test_bytes_beyond_the_last_pixel_are_dropped() -> None:
    config = small_config(8, 8)
    commands = [
        load(rows=3, row_bytes=600, row_stride=700, row_pitch=1),
        load(rows=2, row_bytes=300, row_stride=9, pad_left=200, pixels=2, row_pitch=2),
        weights(config, 4, offset=77),
    ]
    memory = make_memory(config, latency=3)
    result = run(config, commands, memory)
    expected = [w for c in commands for w in models.load(config, c, region_bytes(memory))]
    assert result.errors == []
    assert result.writes == expected


def test_outstanding_bursts_are_limited() -> None:
    config = small_config(8, 8, outstanding_bursts=2, burst_beats=4)
    memory = make_memory(config, latency=30)
    run(config, [weights(config, 64)], memory)
    assert memory.most_outstanding == 2


def test_load_waits_for_its_dependencies() -> None:
    config = small_config(8, 8)
    memory = make_memory(config)
    waiting = changed(weights(config, 1), wait_compute=1)
    with pytest.raises(AssertionError, match="still running after 300 cycles"):
        run(config, [weights(config, 1), waiting], memory, limit=300)
    assert len(memory.read_beats) == 2, "an unaligned unit is two beats; the second LOAD none"


def test_load_reads_what_an_earlier_load_must_finish_first() -> None:
    config = small_config(8, 8)
    commands = [changed(weights(config, 4), wait_load=n) for n in range(4)]
    memory = make_memory(config, latency=5)
    assert run(config, commands, memory).done == [0, 1, 2, 3]


def error_cases() -> list[Any]:
    config = small_config(8, 8)
    dense = weights(config, 4)
    words = config.scratchpad_words
    units = config.weight_words * config.channels
    bad = {
        "rows": (load(rows=0), ErrorCode.ILLEGAL_FIELD),
        "pixels": (load(pixels=0), ErrorCode.ILLEGAL_FIELD),
        "pixel_words": (load(pixel_words=0, pixel_bytes=0), ErrorCode.ILLEGAL_FIELD),
        "too_few_words": (load(pixel_bytes=9, pixel_step=9), ErrorCode.ILLEGAL_FIELD),
        "too_many_words": (load(pixel_words=2), ErrorCode.ILLEGAL_FIELD),
        "destination": (load(destination=6), ErrorCode.ILLEGAL_FIELD),
        "step": (load(pixel_step=2), ErrorCode.ILLEGAL_FIELD),
        "fold_bytes": (
            load(fold=1, pixel_bytes=33, pixel_words=5),
            ErrorCode.ILLEGAL_FIELD,
        ),
        "fold_step": (load(fold=1, pixel_step=33), ErrorCode.ILLEGAL_FIELD),
        "merge_offset": (load(merge=1, lane_offset=8), ErrorCode.ILLEGAL_FIELD),
        "merge_bytes": (load(merge=1, lane_offset=1, pixel_bytes=0), ErrorCode.ILLEGAL_FIELD),
        "merge_words": (load(merge=1, lane_offset=7, pixel_words=2), ErrorCode.ILLEGAL_FIELD),
        "merge_fold": (
            load(merge=1, lane_offset=1, fold=1, pixel_bytes=32, pixel_words=5),
            ErrorCode.ILLEGAL_FIELD,
        ),
        "merge_weights": (changed(dense, merge=1), ErrorCode.ILLEGAL_FIELD),
        "offset_without_merge": (load(lane_offset=1), ErrorCode.ILLEGAL_FIELD),
        **{
            f"{destination.name.lower()}_{name}": (
                changed(dense, destination=destination, **fields),
                ErrorCode.ILLEGAL_FIELD,
            )
            for destination in (Destination.PARAMETERS, Destination.BIASES, Destination.TABLE)
            for name, fields in {
                "rows": {"rows": 2},
                "bytes": {"pixel_bytes": 7, "pixel_step": 7},
                "words": {"pixel_bytes": 16, "pixel_step": 16, "pixel_words": 2},
                "row_pitch": {"row_pitch": 1},
                "plane_pitch": {"plane_pitch": 1},
            }.items()
        },
        "region_end": (changed(dense, offset=REGION_BYTES - 31), ErrorCode.REGION_BOUNDS),
        "region_wrap": (changed(dense, offset=0xFFFFFFF0), ErrorCode.REGION_BOUNDS),
        "region_far_row": (
            load(rows=2, row_stride=0xFFFFFF, offset=0),
            ErrorCode.REGION_BOUNDS,
        ),
        "region_unused": (changed(dense, region=5), ErrorCode.REGION_BOUNDS),
        "scratchpad": (load(base=words), ErrorCode.SCRATCHPAD_BOUNDS),
        "scratchpad_last": (load(base=words - 1, pixels=2), ErrorCode.SCRATCHPAD_BOUNDS),
        "weights": (changed(dense, base=units - 3), ErrorCode.BUFFER_BOUNDS),
        "weights_rows": (
            changed(dense, rows=3, row_pitch=units // 2),
            ErrorCode.BUFFER_BOUNDS,
        ),
        **{
            destination.name.lower(): (
                changed(dense, destination=destination, base=base),
                ErrorCode.BUFFER_BOUNDS,
            )
            for destination, base in {
                Destination.PARAMETERS: config.parameter_blocks,
                Destination.BIASES: config.parameter_blocks,
                Destination.TABLE: config.table_rows - 3,
            }.items()
        },
    }
    return [pytest.param(command, code, id=name) for name, (command, code) in bad.items()]


@pytest.mark.parametrize(("command", "code"), error_cases())
def test_faulty_load(command: Command, code: ErrorCode) -> None:
    config = small_config(8, 8)
    good = [weights(config, 20), load(base=7)]
    memory = make_memory(config, latency=9)
    result = run(config, [*good, command, weights(config, 8)], memory)
    assert result.errors == [(code, 2)]
    assert result.done == [0, 1, 2]
    before = [w for c in good for w in models.load(config, c, region_bytes(memory))]
    assert result.writes[: len(before)] == before
    after = result.writes[len(before) :]
    if code in (ErrorCode.SCRATCHPAD_BOUNDS, ErrorCode.BUFFER_BOUNDS):
        legal = models.load(config, command, region_bytes(memory))
        assert after == legal[: len(after)]
        assert len(after) < len(legal)
    else:
        assert after == []
    assert memory.outstanding == 0


def test_last_byte_of_a_region_is_usable() -> None:
    config = small_config(8, 8)
    memory = make_memory(config)
    command = weights(config, 4, offset=REGION_BYTES - 32)
    result = run(config, [command], memory)
    assert result.errors == []
    assert result.writes == models.load(config, command, region_bytes(memory))


@pytest.mark.parametrize("handshake", ["after_valid", "one_at_a_time"])
def test_every_order_of_handshakes(handshake: str) -> None:
    config = small_config(8, 8, burst_beats=4)
    commands = [weights(config, 40, offset=3), weights(config, 30, offset=500)]
    memory = make_memory(config, latency=7, pause=0.3, handshake=handshake)
    result = run(config, commands, memory, pause=0.3)
    assert result.errors == []
    region = region_bytes(memory)
    assert result.writes == [w for c in commands for w in models.load(config, c, region)]


@pytest.mark.parametrize("response", [Response.EXOKAY, Response.SLVERR, Response.DECERR])
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_bus_error(pause: float, response: Response) -> None:
    config = small_config(8, 8, burst_beats=4)
    memory = make_memory(config, latency=7, pause=pause, response=response)
    memory.bad_addresses.add(REGION_BASE + 400)
    commands = [weights(config, 8), weights(config, 40, offset=200), weights(config, 8)]
    result = run(config, commands, memory, pause=pause)
    assert result.errors == [(ErrorCode.READ_BUS, 1)]
    assert memory.outstanding == 0
    assert result.done == [0, 1]
