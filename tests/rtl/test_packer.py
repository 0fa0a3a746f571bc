"""The packer against bytes: rows of words into beats, with random pauses on all sides."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rtl.config import NpuConfig
from rtl.packer import UNITS, Packer
from tests.rtl.bench import receive, send, simulate, small_config


@dataclass(frozen=True)
class Row:
    """Bytes that go to consecutive addresses from byte `lane` of a beat, in words of `counts`."""

    lane: int
    counts: tuple[int, ...]
    data: bytes

    @property
    def end(self) -> int:
        return self.lane + len(self.data)


def _rows(config: NpuConfig, rng: random.Random, count: int) -> list[Row]:
    rows = []
    for _ in range(count):
        counts = tuple(rng.randint(1, config.lanes) for _ in range(rng.randint(1, 9)))
        rows.append(Row(rng.randrange(config.bus_bytes), counts, rng.randbytes(sum(counts))))
    return rows


def _bursts(config: NpuConfig, rows: list[Row], rng: random.Random) -> list[dict[str, int]]:
    bursts = []
    for number, row in enumerate(rows):
        left = -(-row.end // config.bus_bytes)
        first = True
        while left:
            beats = min(left, rng.choice([1, 2, 5]))
            left -= beats
            bursts.append(
                {
                    "address": 64 + (row.lane if first else 0),
                    "length": beats - 1,
                    "end_lane": row.end % config.bus_bytes if not left else 0,
                    "row_last": not left,
                    "last": not left and number == len(rows) - 1,
                }
            )
            first = False
    return bursts


def _beats(config: NpuConfig, rows: list[Row]) -> list[list[int | None]]:
    """Each beat's bytes, None where its lane is not enabled."""
    beats = []
    for row in rows:
        lanes = [None] * row.lane + list(row.data)
        lanes += [None] * (-len(lanes) % config.bus_bytes)
        beats += [lanes[n : n + config.bus_bytes] for n in range(0, len(lanes), config.bus_bytes)]
    return beats


def _placements(config: NpuConfig, rows: list[Row]) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """Where words go: the ring's unit, counted without end, the placement, and the word."""
    unit_bytes = max(config.bus_bytes, config.lanes)

    def place(byte: int) -> dict[str, int]:
        return {"lane": byte % unit_bytes, "unit": byte // unit_bytes % (2 * UNITS)}

    unit = 0
    for row in rows:
        at = unit * unit_bytes + row.lane
        data = row.data
        for number, count in enumerate(row.counts):
            start, at = at, at + count
            if number == len(row.counts) - 1:
                # the row's last beat counts as full
                unit = -(-at // unit_bytes)
                at = unit * unit_bytes
            item = {"place": place(start), "following": place(at), "count": count}
            yield start // unit_bytes, item, data[:count]
            data = data[count:]


async def _place(ctx: Any, packer: Packer, words: Any, rng: random.Random, pause: float) -> None:
    """Hand over words as the store walker does: only while two units of the ring are free."""
    read = seen = 0
    for unit, item, data in words:
        while True:
            now = ctx.get(packer.unit_read)
            read += (now - seen) % (2 * UNITS)
            seen = now
            if unit - read <= UNITS - 2 and rng.random() >= pause:
                break
            ctx.set(packer.placed, 0)
            await ctx.tick()
        ctx.set(packer.placed, 1)
        ctx.set(packer.placement, item)
        rest = rng.randbytes(packer.config.lanes - len(data))
        ctx.set(packer.word, int.from_bytes(data + rest, "little"))
        await ctx.tick()
    ctx.set(packer.placed, 0)


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(("lanes", "bus_bytes"), [(4, 16), (8, 8), (16, 4), (16, 16)])
def test_rows_become_beats(lanes: int, bus_bytes: int, pause: float) -> None:
    config = small_config(lanes, bus_bytes)
    packer = Packer(config)
    rng = random.Random(lanes * bus_bytes + pause)
    rows = _rows(config, rng, 40)
    bursts, expected = _bursts(config, rows, rng), _beats(config, rows)
    found: list[Any] = []

    async def words(ctx: Any) -> None:
        await _place(ctx, packer, _placements(config, rows), random.Random(1), pause)

    async def issue(ctx: Any) -> None:
        await send(ctx, packer.bursts, bursts, random.Random(2), pause)

    async def main(ctx: Any) -> None:
        found.extend(await receive(ctx, packer.beats, len(expected), random.Random(3), pause))

    simulate(packer, main, [words, issue], 20 * len(expected) + 20 * 400)
    ends = [number == burst["length"] for burst in bursts for number in range(burst["length"] + 1)]
    for number, (beat, last, got) in enumerate(zip(expected, ends, found, strict=True)):
        data = got.data.to_bytes(bus_bytes, "little")
        lanes_written = [data[k] if got.strobe >> k & 1 else None for k in range(bus_bytes)]
        assert lanes_written == beat, f"beat {number}"
        assert got.last == last, f"beat {number}"


def test_a_beat_waits_for_its_burst_and_its_bytes() -> None:
    config = small_config(8, 8)
    packer = Packer(config)
    rows = [Row(3, (8, 2), bytes(range(10)))]
    (burst,) = _bursts(config, rows, random.Random(4))[:1]

    async def main(ctx: Any) -> None:
        (_, first, data), (_, second, rest) = _placements(config, rows)
        ctx.set(packer.beats.ready, 1)
        for item, word in ((first, data), (second, rest)):
            # neither words without their burst nor a burst without its words
            for _ in range(8):
                assert not ctx.get(packer.beats.valid)
                await ctx.tick()
            ctx.set(packer.placed, 1)
            ctx.set(packer.placement, item)
            ctx.set(packer.word, int.from_bytes(word.ljust(8, b"\xff"), "little"))
            await ctx.tick()
            ctx.set(packer.placed, 0)
        for _ in range(8):
            await ctx.tick()
            assert not ctx.get(packer.beats.valid)
        ctx.set(packer.bursts.payload, burst)
        ctx.set(packer.bursts.valid, 1)
        await ctx.tick()
        assert ctx.get(packer.beats.valid)
        assert ctx.get(packer.beats.payload.strobe) == 0b11111000

    simulate(packer, main, [], 60)


@pytest.mark.parametrize("words", range(4))
def test_bursts_without_words_are_completed_with_disabled_bytes(words: int) -> None:
    config = small_config(8, 8)
    packer = Packer(config)
    rows = [Row(2, (8, 8, 8, 4), bytes(range(28)))]
    expected = _beats(config, rows)
    burst = {"address": 2, "length": 3, "end_lane": 6, "row_last": 1, "last": 1}
    found: list[Any] = []

    async def feed(ctx: Any) -> None:
        await _place(ctx, packer, list(_placements(config, rows))[:words], random.Random(1), 0.3)
        ctx.set(packer.fill, 1)

    async def issue(ctx: Any) -> None:
        await send(ctx, packer.bursts, [burst], random.Random(2))

    async def main(ctx: Any) -> None:
        found.extend(await receive(ctx, packer.beats, 4, random.Random(3), 0.3))

    simulate(packer, main, [feed, issue], 200)
    whole = (2 + 8 * words) // 8
    for number, got in enumerate(found):
        data = got.data.to_bytes(8, "little")
        lanes = [data[k] if got.strobe >> k & 1 else None for k in range(8)]
        assert lanes == (expected[number] if number < whole else [None] * 8)
        assert got.last == (number == 3)
