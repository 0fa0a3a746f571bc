"""The store walker: which words it reads, and where it says their bytes go."""

import random
from typing import Any

import pytest

from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS
from rtl.packer import UNITS
from rtl.store_walker import StoreWalker
from tests.rtl.bench import send, simulate, small_config

Job = dict[str, int]


def _job(config: NpuConfig, rng: random.Random, index: int) -> Job:
    pixel_bytes = rng.randint(1, 4 * config.lanes)
    return {
        "index": index,
        "lane": rng.randrange(config.bus_bytes),
        "lane_step": rng.randrange(config.bus_bytes),
        "rows": rng.randint(1, 4),
        "pixels": rng.randint(1, 5),
        "pixel_bytes": pixel_bytes,
        "pixel_words": -(-pixel_bytes // config.lanes),
        "base": rng.randrange(100),
        "row_pitch": rng.randrange(40),
        "plane_pitch": rng.randrange(40),
    }


def _walk(config: NpuConfig, jobs: list[Job]) -> list[tuple[int, int, int, int]]:
    """Address, first byte and count of each word, and the first byte that is not complete after
    it; bytes of the ring are counted without end."""
    unit_bytes = max(config.bus_bytes, config.lanes)
    words = []
    unit = 0
    for job in jobs:
        for r in range(job["rows"]):
            lane = (job["lane"] + r * job["lane_step"]) % config.bus_bytes
            at = unit * unit_bytes + lane
            unit = -(-(at + job["pixels"] * job["pixel_bytes"]) // unit_bytes)
            for i in range(job["pixels"]):
                left = job["pixel_bytes"]
                for j in range(job["pixel_words"]):
                    count = min(left, config.lanes)
                    left -= count
                    address = job["base"] + j * job["plane_pitch"] + r * job["row_pitch"] + i
                    done = i == job["pixels"] - 1 and not left
                    following = unit * unit_bytes if done else at + count
                    words.append((address % (1 << ADDRESS_BITS), at, count, following))
                    at += count
    return words


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(("lanes", "bus_bytes"), [(4, 16), (8, 8), (16, 4)])
def test_words_and_their_places(lanes: int, bus_bytes: int, pause: float) -> None:
    config = small_config(lanes, bus_bytes)
    walker = StoreWalker(config)
    rng = random.Random(lanes + pause)
    jobs = [_job(config, rng, index) for index in range(20)]
    expected = _walk(config, jobs)
    unit_bytes = max(lanes, bus_bytes)
    ring_bytes = 2 * UNITS * unit_bytes
    addresses: list[int] = []
    places: list[tuple[int, int, int]] = []
    read = 0

    def byte(place: Any) -> int:
        return int(place.unit * unit_bytes + place.lane)

    async def feed(ctx: Any) -> None:
        await send(ctx, walker.jobs, jobs, random.Random(1), pause)

    async def monitor(ctx: Any) -> None:
        """Be the scratchpad, and the packer's other end."""
        nonlocal read
        granted = False
        while True:
            ready = rng.random() >= pause
            ctx.set(walker.scratchpad.ready, ready)
            _, _, asks, address, placed, placement = await ctx.tick().sample(
                walker.scratchpad.valid,
                walker.scratchpad.address,
                walker.placed,
                walker.placement,
            )
            # the data is there in the cycle after the request
            assert bool(placed) == granted
            if placed:
                place = byte(placement.place), placement.count, byte(placement.following)
                places.append(place)
                first = expected[len(places) - 1][1] // unit_bytes
                last = (expected[len(places) - 1][1] + placement.count - 1) // unit_bytes
                assert read <= first <= last < read + UNITS, "the ring is overwritten"
            granted = bool(asks and ready)
            if granted:
                addresses.append(address)
            written = expected[len(places) - 1][3] // unit_bytes if places else 0
            if read < written and rng.random() >= pause:
                read += 1
                ctx.set(walker.unit_read, read % (2 * UNITS))

    async def main(ctx: Any) -> None:
        while len(places) < len(expected):
            await ctx.tick()

    simulate(walker, main, [feed, monitor], 20 * len(expected) + 200)
    assert addresses == [address for address, *_ in expected]
    assert places == [
        (at % ring_bytes, count, following % ring_bytes) for _, at, count, following in expected
    ]


def test_it_stops_in_front_of_the_first_word_outside() -> None:
    config = small_config(8, 8)
    walker = StoreWalker(config)
    last = config.scratchpad_words - 1
    job = _job(config, random.Random(1), 0) | {"base": last - 1, "pixels": 5, "rows": 1}
    job |= {"pixel_bytes": 8, "pixel_words": 1}
    addresses: list[int] = []

    async def feed(ctx: Any) -> None:
        await send(ctx, walker.jobs, [job], random.Random(1))

    async def main(ctx: Any) -> None:
        ctx.set(walker.scratchpad.ready, 1)
        for _ in range(20):
            _, _, asks, address = await ctx.tick().sample(
                walker.scratchpad.valid, walker.scratchpad.address
            )
            if asks:
                addresses.append(address)
        assert ctx.get(walker.outside)

    simulate(walker, main, [feed], 40)
    assert addresses == [last - 1, last]


def test_stop_asks_for_nothing_more() -> None:
    config = small_config(8, 8)
    walker = StoreWalker(config)
    job = _job(config, random.Random(1), 0) | {"base": 0, "pixels": 40, "rows": 1}
    job |= {"pixel_bytes": 8, "pixel_words": 1}

    async def feed(ctx: Any) -> None:
        await send(ctx, walker.jobs, [job], random.Random(1))

    async def main(ctx: Any) -> None:
        ctx.set(walker.scratchpad.ready, 1)
        while not ctx.get(walker.scratchpad.valid):
            await ctx.tick()
        ctx.set(walker.stop, 1)
        await ctx.tick()
        for _ in range(10):
            assert not ctx.get(walker.scratchpad.valid)
            await ctx.tick()

    simulate(walker, main, [feed], 60)
