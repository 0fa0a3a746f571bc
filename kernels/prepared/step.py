"""A prepared kernel: numbers and packed constants, so that running it takes next to no Python."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.prepared.instruction_sets import InstructionSet

FIELDS = (
    # one of `Kind`
    "kind",
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

Compiled = Callable[..., None]


class Kind(IntEnum):
    """Which kernel a step runs."""

    CONV_2D = 0
    DEPTHWISE_CONV_2D = 1
    SUM = 2
    AVERAGE_POOL_2D = 3
    MAX_POOL_2D = 4
    MEAN = 5
    PAD = 6
    SOFTMAX = 7
    TABLE = 8


def new_step(kind: Kind, **values: int) -> NDArray[Any]:
    """An array of one step; attributes that are not given are 0."""
    step = np.zeros(1, STEP)
    step["kind"] = kind
    for name, value in values.items():
        step[name] = value
    return step


def _none() -> NDArray[np.int32]:
    return np.zeros(0, np.int32)


@dataclass(frozen=True, eq=False)
class PreparedKernel:
    """A kernel with its constants, ready to run; not from two threads at a time.

    Parameters
    ----------
    step : the attributes, with all positions 0.
    ifm_shape, ofm_shape : of what `run` takes and gives, int8.
    compiled : takes steps, the number of one, offsets, channels, IFM, second IFM and OFM, the last
        three flat; where there is an `isa`, panels and image as well, before the IFM.
    offsets, channels : constants.
    isa : the instruction set that `panels` are packed for; None without packed weights.
    panels : the packed weights. image_size : elements of scratch memory.
    """

    step: NDArray[Any]
    ifm_shape: tuple[int, ...]
    ofm_shape: tuple[int, ...]
    compiled: Compiled
    offsets: NDArray[np.int32] = field(default_factory=_none)
    channels: NDArray[np.int32] = field(default_factory=_none)
    isa: InstructionSet | None = None
    panels: NDArray[Any] = field(default_factory=_none)
    image_size: int = 0

    @cached_property
    def _constants(self) -> tuple[NDArray[Any], ...]:
        if self.isa is None:
            return self.offsets, self.channels
        image = np.empty(self.image_size, self.isa.element)
        return self.offsets, self.channels, self.panels, image

    def run(
        self, ifm: NDArray[np.int8], second: NDArray[np.int8] | None = None
    ) -> NDArray[np.int8]:
        """The OFM of `ifm`, and of a second operand where the kernel has two.

        ValueError unless they are int8 of `ifm_shape`.
        """
        operands = [ifm] if second is None else [ifm, second]
        flat = [self._flat(operand) for operand in operands]
        ofm = np.empty(self.ofm_shape, np.int8)
        self.compiled(self.step, 0, *self._constants, flat[0], flat[-1], ofm.reshape(-1))
        return ofm

    def _flat(self, operand: NDArray[np.int8]) -> NDArray[np.int8]:
        if operand.shape != self.ifm_shape or operand.dtype != np.int8:
            raise ValueError(
                f"ifm is {operand.dtype} of shape {operand.shape}; allowed is int8 of shape "
                f"{self.ifm_shape}"
            )
        # contiguous and writeable: one type of array, so that Numba compiles once
        flat = np.ascontiguousarray(operand).reshape(-1)
        return flat if flat.flags.writeable else flat.copy()
