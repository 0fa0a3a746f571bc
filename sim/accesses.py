"""Which scratchpad words a command reads and writes, as intervals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.config import NpuConfig
from rtl.isa import Destination, Opcode

Runs = NDArray[np.int64]
"""Address intervals, int64 `[runs, 2]`: first address and length."""

NO_RUNS: Runs = np.zeros((0, 2), dtype=np.int64)


def make_runs(starts: Any, length: int) -> Runs:
    """Intervals of one length, at a start or an array of starts."""
    starts = np.atleast_1d(np.asarray(starts, dtype=np.int64)).ravel()
    return np.stack([starts, np.full(len(starts), length, dtype=np.int64)], axis=1)


def plane_runs(c: Any) -> Runs:
    """Words of a LOAD or STORE, given its record (`sim.command_table`)."""
    words = np.arange(c["pixel_words"])[:, None] * c["plane_pitch"]
    return make_runs(c["base"] + words + np.arange(c["rows"]) * c["row_pitch"], c["pixels"])


def scratchpad_reads(config: NpuConfig, opcode: Opcode, c: Any) -> list[Runs]:
    """Words that a command reads, apart for each operand."""
    match opcode:
        case Opcode.STORE:
            return [plane_runs(c)]
        case Opcode.ELEMENTWISE:
            second = 1 if c["ifm2_repeat"] else c["words"]
            return [make_runs(c["ifm_base"], c["words"]), make_runs(c["ifm2_base"], second)]
        case Opcode.CONV | Opcode.DEPTHWISE | Opcode.MAX_POOL:
            taps = 1
            if opcode == Opcode.DEPTHWISE:
                taps = config.taps_per_step(int(c["window_stride"]))
            depth = c["channel_steps"] if opcode == Opcode.CONV else c["blocks"]
            return [_image_rows(c, int(depth), min(taps, int(c["tap_step"])))]
    return []


def scratchpad_writes(config: NpuConfig, opcode: Opcode, c: Any) -> Runs:
    """Words that a command writes."""
    match opcode:
        case Opcode.LOAD:
            return plane_runs(c) if c["destination"] == Destination.SCRATCHPAD else NO_RUNS
        case Opcode.ELEMENTWISE:
            return make_runs(c["ofm_base"], c["words"])
        case Opcode.CONV | Opcode.DEPTHWISE | Opcode.MAX_POOL:
            words = int(c["blocks"] * c["depth"]) // config.groups_per_word
            starts = np.arange(words)[:, None] * c["ofm_plane_pitch"]
            starts = c["ofm_base"] + starts + np.arange(c["ofm_height"]) * c["ofm_row_pitch"]
            return make_runs(starts, c["ofm_width"])
    return NO_RUNS


def _image_rows(c: Any, depth: int, taps: int) -> Runs:
    """Words that a grid command uses, as one interval per row and plane.

    Columns between two that are used count as used.
    """
    groups = -(-c["ofm_width"] // c["group_pixels"])
    pixels = min(int(c["group_pixels"]), int(c["ofm_width"]))
    left = -int(c["pad_left"])
    right = left + (groups - 1) * c["group_step"] + (pixels - 1) * c["window_stride"]
    right += (c["kernel_width"] - 1) * c["tap_step"] + taps
    first, last = max(0, left), min(int(right), int(c["ifm_width"]))
    oy = np.arange(c["ofm_height"])[:, None]
    ky = np.arange(c["kernel_height"])
    iy = oy * c["stride_y"] - c["pad_top"] + ky * c["dilation_y"]
    inside = (iy >= 0) & (iy < c["ifm_height"])
    rows = (c["ifm_origin"] + oy * c["ifm_row_step"] + ky * c["ifm_tap_row_step"])[inside]
    starts = np.unique(rows)[:, None] + np.arange(depth) * c["ifm_plane_pitch"] + first - left
    return make_runs(starts, max(0, last - first))
