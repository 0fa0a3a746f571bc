"""A step: the numbers of a prepared kernel as compiled code reads them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FIELDS = (
    # 1 with packed weights, which takes panels and an image as well
    "packed",
    # where things begin: operands, tap offsets, packed weights, output stages
    *("ifm", "second", "ofm", "offsets", "panels", "channels"),
    *("batches", "ifm_height", "ifm_width", "ifm_channels"),
    *("ofm_height", "ofm_width", "ofm_channels"),
    *("stride_height", "stride_width", "pad_top", "pad_left", "window_height", "window_width"),
    # the image that windows are read from: its columns, and the output rows that it serves; whether
    # it is the IFM itself, and how often it repeats each channel
    *("columns", "band", "direct", "repeats"),
    # what the tiles loop over, and elements of one step of theirs
    *("steps", "tiles", "taps", "block", "pixels"),
    *("ifm_zero_point", "ofm_zero_point", "low", "high"),
    # rescaling by one multiplier, of kernels that have no output stage per channel
    *("multiplier", "shift", "rounding"),
    # 1 to add, -1 to subtract
    "sign",
)
STEP = np.dtype([(name, np.int64) for name in FIELDS])
"""One step: every attribute that any kernel takes, positions being those in flat arrays."""


def new_step(**values: int) -> NDArray[Any]:
    """An array of one step; attributes that are not given are 0."""
    step = np.zeros(1, STEP)
    for name, value in values.items():
        step[name] = value
    return step
