"""The words of LOAD jobs, from ARCHITECTURE.md: what walker and unpacker are held to."""

import random
from dataclasses import dataclass
from typing import Any

from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import ADDRESS_BITS, Destination

Job = dict[str, int]
"""Members of `rtl.load_walker.JobLayout` by name."""


@dataclass(frozen=True)
class Word:
    """One word of a job.

    Attributes
    ----------
    bytes_ : for each byte the number of the row's byte that it is, counted from lane 0 of the row's
        first beat; None where it is padding.
    written : bytes that are written. row : number of its row, over all jobs.
    row_last, last : of its row, of its job.
    """

    bytes_: tuple[int | None, ...]
    written: tuple[bool, ...]
    row: int
    row_last: bool
    last: bool
    destination: Destination
    address: int
    plane: int
    pad_value: int


@dataclass(frozen=True)
class Row:
    """Bytes of a row: it begins at byte `lane` of its first beat and ends before byte `end`."""

    lane: int
    end: int

    def beats(self, bus_bytes: int) -> int:
        return -(-self.end // bus_bytes)


def random_job(config: NpuConfig, rng: random.Random) -> Job:
    """A legal job with few words."""
    lanes = config.lanes
    # encoded weights go to the decoder, which knows their limits
    destination = rng.choice([d for d in Destination if d != Destination.ENCODED])
    job = {
        "lane": rng.randrange(config.bus_bytes),
        "lane_step": rng.randrange(config.bus_bytes),
        "destination": destination,
        "rows": 1,
        "pad_value": rng.randint(-128, 127),
        "row_bytes": rng.randint(1, 60),
        "pad_left": rng.choice([0, 0, rng.randint(1, 20)]),
        "fold": 0,
        "merge": 0,
        "lane_offset": 0,
        "pixels": rng.randint(1, 20),
        "pixel_bytes": lanes,
        "pixel_step": lanes,
        "pixel_words": 1,
        "base": rng.randrange(1 << ADDRESS_BITS),
        "row_pitch": 0,
        "plane_pitch": 0,
    }
    if destination not in (Destination.SCRATCHPAD, Destination.WEIGHTS):
        return job | {"base": rng.randrange(1 << 14)}
    job["fold"] = rng.randrange(2)
    if destination == Destination.SCRATCHPAD and rng.randrange(2):
        job |= {"merge": 1, "lane_offset": rng.randrange(lanes)}
    if job["fold"]:
        job["pixel_bytes"] = rng.randint(1, 4 * lanes - job["lane_offset"])
        job["pixel_step"] = rng.randint(1, 4 * lanes)
    else:
        job["pixel_bytes"] = job["pixel_step"] = rng.randint(1, 5 * lanes)
    job["pixel_words"] = -(-(job["lane_offset"] + job["pixel_bytes"]) // lanes)
    job["rows"] = rng.randint(1, 4)
    job["pixels"] = rng.randint(1, 6)
    return job | {name: rng.randrange(1 << ADDRESS_BITS) for name in ("row_pitch", "plane_pitch")}


def rows_of(config: NpuConfig, jobs: list[Job]) -> list[Row]:
    """The rows of jobs, in order."""
    rows = []
    for job in jobs:
        for r in range(job["rows"]):
            lane = (job["lane"] + r * job["lane_step"]) % config.bus_bytes
            rows.append(Row(lane, lane + job["row_bytes"]))
    return rows


def words_of(config: NpuConfig, jobs: list[Job]) -> list[Word]:
    """The words of jobs, in order."""
    words = []
    rows = iter(enumerate(rows_of(config, jobs)))
    for job in jobs:
        for r in range(job["rows"]):
            number, row = next(rows)
            for i in range(job["pixels"]):
                for j in range(job["pixel_words"]):
                    words.append(_word(config, job, row, number, (r, i, j)))
    return words


def _word(config: NpuConfig, job: Job, row: Row, number: int, at: tuple[int, int, int]) -> Word:
    r, i, j = at
    inside: list[Any] = []
    written = []
    for k in range(config.lanes):
        byte = j * config.lanes + k - job["lane_offset"]
        position = row.lane + i * job["pixel_step"] + byte - job["pad_left"]
        of_pixel = 0 <= byte < job["pixel_bytes"]
        inside.append(position if of_pixel and row.lane <= position < row.end else None)
        written.append(of_pixel or not job["merge"])
    destination = Destination(job["destination"])
    address, plane = job["base"] + i, 0
    planes = {Destination.PARAMETERS: PARAMETER_BYTES, Destination.BIASES: BIAS_BYTES}
    if destination in planes:
        address = job["base"] + i // planes[destination]
        plane = i % planes[destination]
    elif destination != Destination.TABLE:
        address += j * job["plane_pitch"] + r * job["row_pitch"]
    row_last = i == job["pixels"] - 1 and j == job["pixel_words"] - 1
    return Word(
        tuple(inside),
        tuple(written),
        number,
        row_last,
        row_last and r == job["rows"] - 1,
        destination,
        address % (1 << ADDRESS_BITS),
        plane,
        job["pad_value"],
    )
