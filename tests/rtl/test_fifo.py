"""The stream FIFO, and the burst splitter against arithmetic."""

import random
from typing import Any

import pytest

from rtl.bursts import BurstSplitter
from rtl.fifo import StreamFifo
from tests.rtl.bench import receive, send, simulate


@pytest.mark.parametrize("depth", [1, 2, 8])
@pytest.mark.parametrize(("pause_in", "pause_out"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6)])
def test_fifo_keeps_order(depth: int, pause_in: float, pause_out: float) -> None:
    fifo = StreamFifo(8, depth)
    items = [random.Random(3).randrange(256) for _ in range(60)]
    received = []

    async def feed(ctx: Any) -> None:
        await send(ctx, fifo.i, items, random.Random(1), pause_in)

    async def main(ctx: Any) -> None:
        received.extend(await receive(ctx, fifo.o, len(items), random.Random(2), pause_out))

    simulate(fifo, main, [feed], 600)
    assert received == items


@pytest.mark.quick
def test_fifo_fills_to_its_depth() -> None:
    fifo = StreamFifo(8, 4)

    async def main(ctx: Any) -> None:
        ctx.set(fifo.i.valid, 1)
        for level in range(4):
            assert (ctx.get(fifo.level), ctx.get(fifo.i.ready)) == (level, 1)
            await ctx.tick()
        await ctx.tick()
        assert (ctx.get(fifo.level), ctx.get(fifo.i.ready)) == (4, 0)

    simulate(fifo, main, [], 20)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("bus_bytes", "burst_bytes"), [(4, 16), (8, 512), (16, 4096)])
def test_bursts_cover_the_rows(bus_bytes: int, burst_bytes: int, seed: int) -> None:
    splitter = BurstSplitter(bus_bytes, burst_bytes)
    rng = random.Random(seed)
    transfers = [
        {
            "address": (address := rng.randrange(1 << 20)),
            "rows": (rows := rng.randint(1, 4)),
            "last": (last := rng.choice([0, bus_bytes - 1, rng.randrange(3000)])),
            "row_stride": (row_stride := rng.randrange(5000)),
            "limit": address + (rows - 1) * row_stride + last + 1,
        }
        for _ in range(4)
    ]
    expected = []
    for transfer in transfers:
        for row in range(transfer["rows"]):
            start = transfer["address"] + row * transfer["row_stride"]
            end = start + transfer["last"] + 1
            while start < end:
                stop = min(end, (start // burst_bytes + 1) * burst_bytes)
                beats = -(-stop // bus_bytes) - start // bus_bytes
                row_last = stop == end
                ends = row_last and row == transfer["rows"] - 1
                expected.append((start, beats - 1, stop % bus_bytes, row_last, ends))
                start = stop
    found = []

    async def feed(ctx: Any) -> None:
        await send(ctx, splitter.transfer, transfers, rng, 0.3)

    async def main(ctx: Any) -> None:
        for burst in await receive(ctx, splitter.bursts, len(expected), rng, 0.3):
            found.append((burst.address, burst.length, burst.end_lane, burst.row_last, burst.last))
        assert not ctx.get(splitter.outside)

    simulate(splitter, main, [feed], 4000)
    assert found == expected
