"""Prepared kernels, and sequences of them on one arena of int8 that a single compiled call runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kernels.prepared.calls import StepKernel, execute, find_entries
from kernels.prepared.instruction_sets import InstructionSet, default
from kernels.prepared.step import STEP


def _none() -> NDArray[np.int32]:
    return np.zeros(0, np.int32)


@dataclass(frozen=True, eq=False)
class PreparedKernel:
    """A kernel with its constants, ready to run; not from two threads at a time.

    Parameters
    ----------
    step : the attributes, with all positions 0.
    ifm_shape, ofm_shape : of what `run` takes and gives, int8.
    kernel : what computes the step.
    offsets, channels : constants.
    isa : the instruction set that `panels` are packed for; None without packed weights.
    panels : the packed weights. image_size : elements of scratch memory.
    """

    step: NDArray[Any]
    ifm_shape: tuple[int, ...]
    ofm_shape: tuple[int, ...]
    kernel: StepKernel
    offsets: NDArray[np.int32] = field(default_factory=_none)
    channels: NDArray[np.int32] = field(default_factory=_none)
    isa: InstructionSet | None = None
    panels: NDArray[Any] = field(default_factory=_none)
    image_size: int = 0

    @cached_property
    def _alone(self) -> tuple["KernelSequence", NDArray[np.int8], int]:
        """A sequence of this kernel only, its arena, and where the OFM begins there."""
        size, outputs = prod(self.ifm_shape), prod(self.ofm_shape)
        call = Call(self, ifm=0, second=size, ofm=2 * size)
        sequence = KernelSequence(self.isa or default(), [call])
        return sequence, np.empty(2 * size + outputs, np.int8), 2 * size

    def run(
        self, ifm: NDArray[np.int8], second: NDArray[np.int8] | None = None
    ) -> NDArray[np.int8]:
        """The OFM of `ifm`, and of a second operand where the kernel has two.

        ValueError unless they are int8 of `ifm_shape`.
        """
        sequence, arena, end = self._alone
        for number, operand in enumerate([ifm] if second is None else [ifm, second]):
            if operand.shape != self.ifm_shape or operand.dtype != np.int8:
                raise ValueError(
                    f"ifm is {operand.dtype} of shape {operand.shape}; allowed is int8 of shape "
                    f"{self.ifm_shape}"
                )
            arena[number * operand.size : (number + 1) * operand.size] = operand.reshape(-1)
        sequence.run(arena)
        return arena[end:].reshape(self.ofm_shape).copy()


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
        prepared = [call.prepared for call in calls]
        packed = [kernel.isa is not None for kernel in prepared]
        for kernel in prepared:
            if kernel.isa not in (None, isa):
                raise ValueError(
                    f"a kernel is prepared for {kernel.isa.name}; allowed is {isa.name}"
                )
        self._entries = find_entries([kernel.kernel for kernel in prepared], packed, isa)
        self._steps = np.zeros(len(calls), STEP)
        offsets, panels, channels = _Table(np.int32), _Table(isa.tag), _Table(np.int32)
        for number, call in enumerate(calls):
            kernel = call.prepared
            self._steps[number] = kernel.step[0]
            step = self._steps[number]
            step["ifm"], step["second"], step["ofm"] = call.ifm, call.second, call.ofm
            step["offsets"] = offsets.add(kernel.offsets)
            step["panels"] = panels.add(kernel.panels)
            step["channels"] = channels.add(kernel.channels)
        self._offsets, self._panels = offsets.joined(), panels.joined()
        self._channels = channels.joined()
        image = max((call.prepared.image_size for call in calls), default=0)
        self._image = np.empty(image, isa.element)

    def run(self, arena: NDArray[np.int8]) -> None:
        """Run all calls on `arena`, C-contiguous int8 of one dimension."""
        constants = self._steps, self._offsets, self._channels, self._panels, self._image
        execute(self._entries, *constants, arena)


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
