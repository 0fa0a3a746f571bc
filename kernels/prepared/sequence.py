"""Prepared kernels in a row on one arena of int8, all run by a single compiled call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import DTypeLike, NDArray

from kernels.prepared.conv import run_conv2d
from kernels.prepared.depthwise import run_depthwise_conv2d
from kernels.prepared.elementwise import run_softmax, run_sum, run_table
from kernels.prepared.instruction_sets import InstructionSet
from kernels.prepared.step import STEP, Kind, PreparedKernel
from kernels.prepared.windows import run_mean, run_pad, run_pool2d

CONV_2D, DEPTHWISE_CONV_2D = int(Kind.CONV_2D), int(Kind.DEPTHWISE_CONV_2D)
SUM, MEAN, PAD = int(Kind.SUM), int(Kind.MEAN), int(Kind.PAD)
SOFTMAX, TABLE = int(Kind.SOFTMAX), int(Kind.TABLE)


@dataclass(frozen=True, eq=False)
class Call:
    """A prepared kernel and the elements of the arena at which its operands and its OFM begin.

    `second` is the second operand's, for kernels that have two.
    """

    prepared: PreparedKernel
    ifm: int
    ofm: int
    second: int = 0


class KernelSequence:
    """Calls in execution order; not to be run from two threads at a time.

    Parameters
    ----------
    isa : the instruction set that kernels with packed weights are prepared for.
    calls : what to run. The caller sees to it that operands and OFMs lie within the arena.
    """

    def __init__(self, isa: InstructionSet, calls: Sequence[Call]) -> None:
        self._steps = np.zeros(len(calls), STEP)
        offsets, panels, channels = _Table(np.int32), _Table(isa.tag), _Table(np.int32)
        for number, call in enumerate(calls):
            prepared = call.prepared
            if prepared.isa not in (None, isa):
                raise ValueError(
                    f"a kernel is prepared for {prepared.isa.name}; allowed is {isa.name}"
                )
            self._steps[number] = prepared.step[0]
            step = self._steps[number]
            step["ifm"], step["second"], step["ofm"] = call.ifm, call.second, call.ofm
            step["offsets"] = offsets.add(prepared.offsets)
            step["panels"] = panels.add(prepared.panels)
            step["channels"] = channels.add(prepared.channels)
        self._offsets, self._panels = offsets.joined(), panels.joined()
        self._channels = channels.joined()
        image = max((call.prepared.image_size for call in calls), default=0)
        self._image = np.empty(image, isa.element)

    def run(self, arena: NDArray[np.int8]) -> None:
        """Run all calls on `arena`, C-contiguous int8 of one dimension."""
        execute(self._steps, self._offsets, self._channels, self._panels, self._image, arena)


class _Table:
    """Constants of several kernels, one behind the other."""

    def __init__(self, dtype: DTypeLike) -> None:
        self._parts: list[NDArray[Any]] = [np.zeros(0, dtype)]
        self._size = 0

    def add(self, constants: NDArray[Any]) -> int:
        """Append `constants`; returns where they begin."""
        begin = self._size
        if constants.size:
            self._parts.append(constants)
            self._size += constants.size
        return begin

    def joined(self) -> NDArray[Any]:
        """All constants in one array."""
        return np.concatenate(self._parts)


@njit(cache=True, nogil=True)
def execute(
    steps: NDArray[Any],
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    panels: NDArray[Any],
    image: NDArray[Any],
    arena: NDArray[np.int8],
) -> None:
    """Every step in turn."""
    for i in range(steps.size):
        kind = steps[i]["kind"]
        if kind == CONV_2D:
            run_conv2d(steps, i, offsets, channels, panels, image, arena, arena, arena)
        elif kind == DEPTHWISE_CONV_2D:
            run_depthwise_conv2d(steps, i, offsets, channels, panels, image, arena, arena, arena)
        elif kind == SUM:
            run_sum(steps, i, offsets, channels, arena, arena, arena)
        elif kind == MEAN:
            run_mean(steps, i, offsets, channels, arena, arena, arena)
        elif kind == PAD:
            run_pad(steps, i, offsets, channels, arena, arena, arena)
        elif kind == SOFTMAX:
            run_softmax(steps, i, offsets, channels, arena, arena, arena)
        elif kind == TABLE:
            run_table(steps, i, offsets, channels, arena, arena, arena)
        else:
            run_pool2d(steps, i, offsets, channels, arena, arena, arena)
