"""The load walker against the words of its jobs, with random pauses on both sides."""

import random
from itertools import accumulate
from typing import Any

import pytest

from rtl.isa import Destination
from rtl.load_walker import SLOT_BITS, LoadWalker
from tests.rtl.bench import receive, send, simulate, small_config
from tests.rtl.walks import random_job, rows_of, words_of


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(("lanes", "bus_bytes"), [(4, 16), (8, 8), (16, 4)])
def test_words(lanes: int, bus_bytes: int, pause: float) -> None:
    config = small_config(lanes, bus_bytes)
    walker = LoadWalker(config)
    rng = random.Random(lanes + pause)
    jobs = [random_job(config, rng) for _ in range(25)]
    rows, expected = rows_of(config, jobs), words_of(config, jobs)
    slots = max(lanes, bus_bytes) // bus_bytes
    # a row starts at a unit
    starts = list(
        accumulate((-(-row.beats(bus_bytes) // slots) * slots for row in rows), initial=0)
    )
    found: list[Any] = []

    async def feed(ctx: Any) -> None:
        await send(ctx, walker.jobs, jobs, rng, pause)

    async def main(ctx: Any) -> None:
        found.extend(await receive(ctx, walker.words, len(expected), random.Random(1), pause))

    simulate(walker, main, [feed], 20 * len(expected) + 200)
    for number, (word, got) in enumerate(zip(expected, found, strict=True)):
        where = f"word {number}: {word}"
        inside = [k for k, position in enumerate(word.bytes_) if position is not None]
        low, high = (got.low, got.high) if got.low < got.high else (0, 0)
        assert inside == list(range(low, high)), where
        assert all(word.bytes_[k] == got.position + k for k in inside), where
        assert [got.first <= k < got.behind for k in range(lanes)] == list(word.written), where
        assert (got.row_last, got.last) == (word.row_last, word.last), where
        assert (got.destination, got.address) == (word.destination, word.address), where
        if word.destination in (Destination.PARAMETERS, Destination.BIASES):
            assert got.plane == word.plane, where
        assert got.pad_value == word.pad_value & 0xFF, where
        assert got.row_slot == starts[word.row] % (1 << SLOT_BITS), where
        assert got.end_slot == starts[word.row + 1] % (1 << SLOT_BITS), where
        # no byte that this word or a later one of the row needs may be dropped
        needed = [
            position
            for later in expected[number:]
            if later.row == word.row
            for position in later.bytes_
            if position is not None
        ]
        assert got.hold <= min(needed, default=got.hold), where
        assert got.hold_past == (got.hold >= rows[word.row].end), where


def test_a_long_row_of_which_little_is_used() -> None:
    """The position stays where all is padding, however long that goes on."""
    config = small_config(8, 8)
    walker = LoadWalker(config)
    job = random_job(config, random.Random(1)) | {
        "destination": Destination.SCRATCHPAD,
        "rows": 1,
        "row_bytes": 3,
        "fold": 0,
        "merge": 0,
        "lane_offset": 0,
        "pixels": 3,
        "pixel_bytes": 8,
        "pixel_step": 8,
        "pixel_words": 1,
        "pad_left": 0,
    }
    # as far as a step can be wrong: the pixel step of a plain LOAD has 16 bits
    wide = job | {"pixel_bytes": 0xFFFF, "pixel_step": 0xFFFF, "pixel_words": 8192, "pixels": 1}
    count = 200

    async def feed(ctx: Any) -> None:
        await send(ctx, walker.jobs, [job, wide], random.Random(1))

    async def main(ctx: Any) -> None:
        words = await receive(ctx, walker.words, 3 + count, random.Random(2))
        assert [w.high > w.low for w in words] == [True, False, False, True] + [False] * (count - 1)

    simulate(walker, main, [feed], 1000)
