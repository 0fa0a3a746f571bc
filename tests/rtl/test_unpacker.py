"""The unpacker against bytes: words cut out of beats, with random pauses on three sides."""

import random
from typing import Any

import pytest

from rtl.config import LIST_ROWS, NpuConfig
from rtl.isa import Destination
from rtl.unpacker import Unpacker
from tests.rtl.bench import receive, send, simulate, small_config
from tests.rtl.walks import Job, Row, Word, random_job, rows_of, words_of


def _word_item(config: NpuConfig, word: Word, rows: list[Row], later: list[Word]) -> dict[str, Any]:
    """What a walker offers for a word; it keeps no byte longer than necessary."""
    unit = max(config.lanes, config.bus_bytes)
    slots = unit // config.bus_bytes

    def slot(number: int) -> int:
        return sum(-(-row.end // unit) * slots for row in rows[:number])

    inside = [k for k, position in enumerate(word.bytes_) if position is not None]
    low = inside[0] if inside else 0
    position = (word.bytes_[low] or 0) - low if inside else 0
    needed = [p for w in later if w.row == word.row for p in w.bytes_ if p is not None]
    end = rows[word.row].end
    hold = min(needed, default=end)
    return {
        "position": position,
        "hold": hold,
        "hold_past": hold >= end,
        "low": low,
        "high": inside[-1] + 1 if inside else 0,
        "first": word.written.index(True),
        "behind": config.lanes - word.written[::-1].index(True),
        "row_slot": slot(word.row),
        "end_slot": slot(word.row + 1),
        "row_last": word.row_last,
        "last": word.last,
        "pad_value": word.pad_value & 0xFF,
        "destination": word.destination,
        "address": word.address,
        "plane": word.plane,
    }


def _outside(config: NpuConfig, word: Word) -> bool:
    capacity = {
        Destination.SCRATCHPAD: config.scratchpad_words,
        Destination.WEIGHTS: config.weight_words * config.channels,
        Destination.TABLE: config.table_rows,
        Destination.LIST: LIST_ROWS,
    }
    return word.address >= capacity.get(word.destination, config.parameter_blocks)


def _jobs(config: NpuConfig, rng: random.Random) -> list[Job]:
    jobs = [random_job(config, rng) for _ in range(12)]
    for job in jobs[::2]:
        # most addresses inside, some just outside
        job |= {"base": rng.randrange(40), "row_pitch": 3, "plane_pitch": 5}
    return jobs


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(("lanes", "bus_bytes"), [(4, 16), (8, 8), (16, 4), (16, 16)])
def test_words_are_cut_out_of_beats(lanes: int, bus_bytes: int, pause: float) -> None:
    config = small_config(lanes, bus_bytes)
    unpacker = Unpacker(config)
    rng = random.Random(lanes * bus_bytes + pause)
    jobs = _jobs(config, rng)
    rows, words = rows_of(config, jobs), words_of(config, jobs)
    contents = [rng.randbytes(row.beats(bus_bytes) * bus_bytes) for row in rows]
    beats = [
        {
            "data": int.from_bytes(content[start : start + bus_bytes], "little"),
            "end": start + bus_bytes == len(content),
        }
        for content in contents
        for start in range(0, len(content), bus_bytes)
    ]
    items = [_word_item(config, word, rows, words[n:]) for n, word in enumerate(words)]
    found: list[Any] = []

    async def feed_beats(ctx: Any) -> None:
        await send(ctx, unpacker.beats, beats, random.Random(1), pause)

    async def feed_words(ctx: Any) -> None:
        await send(ctx, unpacker.words, items, random.Random(2), pause)

    async def main(ctx: Any) -> None:
        found.extend(await receive(ctx, unpacker.writes, len(words), random.Random(3), pause))

    simulate(unpacker, main, [feed_beats, feed_words], 20 * (len(words) + len(beats)) + 200)
    for number, (word, got) in enumerate(zip(words, found, strict=True)):
        where = f"word {number}: {word}"
        data = got.data.to_bytes(lanes, "little")
        for k, position in enumerate(word.bytes_):
            assert bool(got.enable >> k & 1) == word.written[k], where
            if word.written[k]:
                pad = word.pad_value & 0xFF
                assert data[k] == (pad if position is None else contents[word.row][position]), where
        assert (got.destination, got.address) == (word.destination, word.address), where
        assert (got.plane, got.last) == (word.plane, word.last), where
        assert got.outside == _outside(config, word), where


def test_beats_wait_while_the_buffer_is_full() -> None:
    config = small_config(8, 8)
    unpacker = Unpacker(config)
    beats = [{"data": n, "end": n == 29} for n in range(30)]
    taken = 0

    async def feed(ctx: Any) -> None:
        nonlocal taken
        for beat in beats:
            await send(ctx, unpacker.beats, [beat], random.Random(1))
            taken += 1

    async def main(ctx: Any) -> None:
        # nobody asks for a word
        for _ in range(60):
            await ctx.tick()
        assert taken == 8

    simulate(unpacker, main, [feed], 100)
