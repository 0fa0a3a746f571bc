"""The lists of CONV commands: which weight words of each step there are, see `rtl.step_list`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.config import LIST_ROWS

MASKS = 8
"""Masks in a row of the list, one byte each."""


def rows_of(steps: int) -> int:
    """Rows of the list that a block of `steps` takes."""
    return -(-steps // MASKS)


def load_list(memory: NDArray[np.uint8], constants: NDArray[np.uint8], record: Any) -> None:
    """Execute a LOAD of a list: its rows go to `memory`, those behind the last one nowhere."""
    rows = loaded_rows(constants, record)
    first = int(record["base"])
    memory[first : first + len(rows)] = rows[: LIST_ROWS - first]


def loaded_rows(constants: NDArray[np.uint8], record: Any) -> NDArray[np.uint8]:
    """The rows that a LOAD of a list brings, uint8 `[rows, 8]`; zeros outside of the region."""
    c = {name: int(record[name]) for name in ("offset", "row_bytes", "pad_left", "pixels")}
    step = int(record["pixel_step"])
    taken = constants[c["offset"] : c["offset"] + c["row_bytes"]]
    padding = np.uint8(int(record["pad_value"]) & 0xFF)
    row = np.full(c["pad_left"] + c["row_bytes"] + c["pixels"] * step + MASKS, padding)
    row[c["pad_left"] : c["pad_left"] + len(taken)] = taken
    places = np.arange(c["pixels"])[:, None] * step + np.arange(MASKS)
    return np.asarray(row[places])


def step_masks(memory: NDArray[np.uint8], record: Any) -> NDArray[np.uint8]:
    """The words of each step of a listed CONV, as the hardware uses them.

    `memory` : the list, uint8 `[LIST_ROWS, 8]`; `record` : the command. Returns uint8 `[blocks,
    steps]`, bit d of a mask being word d of its step.
    """
    steps = int(record["kernel_height"] * record["kernel_width"] * record["channel_steps"])
    blocks, rows = int(record["blocks"]), rows_of(steps)
    places = (int(record["list_base"]) + np.arange(blocks * rows)) % LIST_ROWS
    masks = memory[places].reshape(blocks, rows * MASKS)[:, :steps].copy()
    return forced(masks, int(record["depth"]))


def forced(masks: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """`masks` `[blocks, steps]` with what the hardware needs: all words of the first step, and one
    of the last. Changes them."""
    every = (1 << depth) - 1
    masks &= every
    masks[:, 0] = every
    last = masks[:, -1]
    last[last == 0] = 1
    return masks


def kept_words(masks: NDArray[np.uint8], depth: int) -> NDArray[np.bool_]:
    """Which weight words there are, `[blocks, steps, depth]`."""
    return np.asarray(masks[:, :, None] >> np.arange(depth) & 1, np.bool_)


def packed_rows(masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows of the list for masks `[blocks, steps]`, flat bytes."""
    blocks, steps = masks.shape
    rows = np.zeros((blocks, rows_of(steps) * MASKS), np.uint8)
    rows[:, :steps] = masks
    return rows.reshape(-1)
