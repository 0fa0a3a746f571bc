"""The weight decoder against the streams that `sim.weight_stream` writes, and against any bytes."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.verify.weights import FORMS, random_weights
from rtl.config import NpuConfig
from rtl.isa import Tables
from rtl.weight_decoder import WRITE_LATENCY, WeightDecoder
from sim.weight_stream import Encoding, decode_weights, encode_weights
from tests.rtl.bench import SMALL, simulate
from tests.sim.configs import switched

ALL = replace(SMALL, clustered_weights=True, int4_weights=True, masked_weights=True)

Job = tuple[int, Encoding, NDArray[np.uint8]]
"""First unit, encoding, stream."""


def expected_writes(job: Job) -> list[tuple[int, bytes]]:
    """Units in the order in which they are decoded, with their addresses."""
    base, encoding, stream = job
    weights = decode_weights(stream, encoding).weights
    numbers = np.arange(encoding.units).repeat(8).reshape(-1, 8)
    shape = (encoding.blocks, encoding.pairs, encoding.pitch // 2, 2)
    order = numbers[:, 0].reshape(shape).transpose(0, 2, 1, 3).reshape(-1)
    return [(base + int(n), weights[n].tobytes()) for n in order]


def run(
    config: NpuConfig, jobs: list[Job], *, pause: float = 0.0, seed: int = 0, limit: int = 9000
) -> tuple[list[tuple[int, bytes]], list[int]]:
    """Decode; returns the writes and the cycle of each `done`, -1 for a write that is refused."""
    dut: Any = WeightDecoder(config)
    writes: list[tuple[int, bytes]] = []
    done: list[int] = []
    rng = random.Random(seed)
    cycle = [0]

    async def feed_jobs(ctx: Any) -> None:
        for base, encoding, _ in jobs:
            payload = {
                "base": base,
                "row_pitch": encoding.pitch,
                "plane_pitch": encoding.pairs,
                "rows": encoding.blocks,
                "code_bits": encoding.code_bits,
                "tables": encoding.tables,
                "masked": encoding.masked,
            }
            ctx.set(dut.jobs.payload, payload)
            ctx.set(dut.jobs.valid, 1)
            await ctx.tick().until(dut.jobs.ready)
            ctx.set(dut.jobs.valid, 0)

    async def feed_units(ctx: Any) -> None:
        for _, _, stream in jobs:
            units = stream.reshape(-1, 8)
            for number, unit in enumerate(units):
                while rng.random() < pause:
                    await ctx.tick()
                data = int.from_bytes(unit.tobytes(), "little")
                ctx.set(dut.units.payload, {"data": data, "last": number == len(units) - 1})
                ctx.set(dut.units.valid, 1)
                await ctx.tick().until(dut.units.ready)
                ctx.set(dut.units.valid, 0)

    async def watch(ctx: Any) -> None:
        while True:
            _, _, enable, address, data, is_done, outside, busy = await ctx.tick().sample(
                dut.enable, dut.address, dut.data, dut.done, dut.outside, dut.busy
            )
            assert not (enable or is_done) or busy
            raw = data.to_bytes(16, "little")
            for half in range(2):
                if enable >> half & 1:
                    writes.append((address + half, raw[8 * half : 8 * half + 8]))
            if outside:
                done.append(-1)
            if is_done:
                done.append(cycle[0])
            cycle[0] += 1

    async def main(ctx: Any) -> None:
        while len(done) < len(jobs):
            await ctx.tick()

    simulate(dut, main, [watch, feed_jobs, feed_units], limit)
    return writes, done


def random_encoding(form: tuple[int, Tables, bool], rng: random.Random) -> Encoding:
    pitch, pairs, blocks = rng.choice([(2, rng.randint(1, 40), 1), (4, 9, 2), (8, 3, 1)])
    return Encoding(*form, pitch, pairs, blocks)


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize("form", FORMS)
def test_streams(form: tuple[int, Tables, bool], pause: float) -> None:
    rng = random.Random(7)
    jobs = []
    for density in (0.2, 0.6, 1.0):
        encoding = random_encoding(form, rng)
        weights = random_weights(encoding, density, np.random.default_rng(rng.randrange(99)))
        jobs.append((2 * rng.randrange(9), encoding, encode_weights(weights, encoding)))
    writes, done = run(ALL, jobs, pause=pause, seed=3)
    assert writes == [write for job in jobs for write in expected_writes(job)]
    if not pause:
        # a cycle for every operation, and one between commands
        operations = [len(decode_weights(stream, e).cycles) for _, e, stream in jobs]
        ends = np.array(done) - WRITE_LATENCY
        assert (np.diff(ends) == np.array(operations[1:]) + 1).all()


@pytest.mark.parametrize("pause", [0.0, 0.3])
def test_any_bytes(pause: float) -> None:
    """Too short, too long, and without sense: what `decode_weights` says, and never a hang."""
    rng = random.Random(11)
    jobs = []
    for _ in range(12):
        encoding = random_encoding(rng.choice(FORMS), rng)
        units = encoding.blocks * rng.choice([1, 2, rng.randint(1, 40)])
        stream = np.frombuffer(rng.randbytes(8 * units), np.uint8)
        jobs.append((2 * rng.randrange(9), encoding, stream))
    writes, done = run(ALL, jobs, pause=pause)
    assert writes == [write for job in jobs for write in expected_writes(job)]
    operations = [len(decode_weights(stream, e).cycles) for _, e, stream in jobs]
    if not pause:
        assert (np.diff(done) == np.array(operations[1:]) + 1).all()


@pytest.mark.parametrize(
    ("formats", "forms"),
    [
        (("clustered_weights",), [f for f in FORMS if f[1] != Tables.NONE and not f[2]]),
        (("int4_weights",), [(4, Tables.NONE, False)]),
        (("masked_weights",), [(8, Tables.NONE, True)]),
        (("int4_weights", "masked_weights"), [(4, Tables.NONE, True), (8, Tables.NONE, True)]),
        (("clustered_weights", "int4_weights"), [(4, Tables.NONE, False), (3, Tables.SHARED, 0)]),
        (("clustered_weights", "masked_weights"), [(4, Tables.CHANNELS, True)]),
    ],
)
def test_each_encoding_alone(formats: tuple[str, ...], forms: list[Any]) -> None:
    config = replace(SMALL, **switched(formats))
    rng = random.Random(5)
    jobs = []
    for form in forms:
        encoding = random_encoding(form, rng)
        weights = random_weights(encoding, 0.4, np.random.default_rng(1))
        jobs.append((0, encoding, encode_weights(weights, encoding)))
    writes, _ = run(config, jobs)
    assert writes == [write for job in jobs for write in expected_writes(job)]


def test_nothing_is_written_beyond_the_buffer() -> None:
    units = ALL.weight_words * ALL.channels
    encoding = Encoding(4, Tables.NONE, False, 2, 4)
    stream = encode_weights(random_weights(encoding, 1, np.random.default_rng(1)), encoding)
    job = (units - 6, encoding, stream)
    writes, done = run(ALL, [job])
    assert writes == expected_writes(job)[:6]
    assert done == [-1]
