"""What an operator becomes before it is scheduled: work in the terms of the hardware.

Lowered work refers to feature maps by the index of the tensor that holds their bytes: views
(RESHAPE, folded PAD) share it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from npu.compiler.terms.geometry import NO_MAP, Extent, Kernel, Place, Region, Rows, ceil_div
from npu.compiler.terms.strided import Change
from rtl.config import NpuConfig
from rtl.isa import Destination, Function, Opcode

if TYPE_CHECKING:
    from npu.compiler.terms.direct import DirectWork

IDENTITY = 1 << 30, 1
"""Multiplier and shift with which every rounding leaves a value as it is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GridTask:
    """One CONV, DEPTHWISE or MAX_POOL over a region of the output.

    Parameters
    ----------
    opcode : what the grid does.
    ifm, ofm : extents of the maps as this task sees them.
    kernel, region : where windows lie, which outputs are computed.
    weights : int8, CONV `[outputs, kh, kw, inputs]` (of a group), DEPTHWISE `[kh, kw, channels]`.
    groups : CONV: input and output channels fall into this many independent groups.
    bias, multiplier, shift : int32 `[outputs]`; the IFM's zero point is already in the bias.
    ifm_zero_point, ofm_zero_point, activation_min, activation_max : int8 values.
    """

    opcode: Opcode
    ifm: Extent
    ofm: Extent
    kernel: Kernel
    region: Region
    weights: NDArray[np.int8] | None
    groups: int = 1
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    ifm_zero_point: int
    ofm_zero_point: int
    activation_min: int
    activation_max: int

    @cached_property
    def shared_scale(self) -> bool:
        """Whether one multiplier and one shift hold for all outputs."""
        return bool(np.ptp(self.multiplier) == 0 and np.ptp(self.shift) == 0)

    @cached_property
    def parameters(self) -> Destination | None:
        """What a LOAD has to bring for the outputs: all parameters, biases alone, or nothing."""
        if not self.shared_scale:
            return Destination.PARAMETERS
        return Destination.BIASES if self.bias.any() else None

    def window_stride(self) -> int:
        """Distance of neighbouring pixels in the activation window, 1 or 2."""
        return self.kernel.stride_x if self.kernel.stride_x in (1, 2) else 1

    def group_pixels(self, config: NpuConfig) -> int:
        """Output pixels computed at once."""
        return config.pixels if self.kernel.stride_x in (1, 2) else 1

    def taps_per_step(self, config: NpuConfig) -> int:
        """Kernel columns that one step covers."""
        if self.opcode != Opcode.DEPTHWISE or self.kernel.dilation_x != 1:
            return 1
        return config.taps_per_step(self.window_stride())

    def kernel_steps(self, config: NpuConfig) -> int:
        """Steps of the grid per output group and input plane."""
        return self.kernel.height * ceil_div(self.kernel.width, self.taps_per_step(config))

    def operand_extents(self) -> tuple[Extent, ...]:
        """Extent of each map that it reads."""
        return (self.ifm,)

    def input_rows(self, y0: int, y1: int) -> Rows:
        """IFM rows that output rows `y0..y1` read; never empty."""
        top = y0 * self.kernel.stride_y - self.kernel.pad_top
        last = (y1 - 1) * self.kernel.stride_y - self.kernel.pad_top + self.kernel.extent_y
        first = min(max(top, 0), self.ifm.height - 1)
        return first, max(min(last, self.ifm.height), first + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class ElementwiseTask:
    """A function of two maps, or of one by table; see `rtl/ARCHITECTURE.md` for the arithmetic.

    Parameters
    ----------
    function : what is computed.
    extent : of the output and of the first operand.
    second : extent of the second operand, whose one row or one column meets all of the first;
        None: that of the output.
    multipliers, right_shifts : ADD and SUB: one value per operand.
    zero_points : ADD, SUB and MUL: one value per operand.
    multiplier, shift : rescaling of the result; by default it stays as it is.
    ofm_zero_point, activation_min, activation_max : int8 values.
    table : TABLE: uint8 `[256]`, the result for each byte.
    """

    function: Function
    extent: Extent
    second: Extent | None = None
    multipliers: tuple[int, int] = (0, 0)
    right_shifts: tuple[int, int] = (0, 0)
    zero_points: tuple[int, int] = (0, 0)
    multiplier: int = IDENTITY[0]
    shift: int = IDENTITY[1]
    ofm_zero_point: int = 0
    activation_min: int = -128
    activation_max: int = 127
    table: NDArray[np.uint8] | None = field(default=None, repr=False)

    @property
    def ofm(self) -> Extent:
        """Extent of the output."""
        return self.extent

    def operand_extents(self) -> tuple[Extent, ...]:
        """Extent of each map that it reads."""
        if self.function == Function.TABLE:
            return (self.extent,)
        return self.extent, self.second or self.extent

    def command_count(self, config: NpuConfig) -> int:
        """Commands at least: one for each word or row of the second operand that is repeated."""
        if self.second is None:
            return 1
        rows = 1 if self.second.pixels == 1 else self.extent.height
        return self.extent.planes(config.lanes) * rows


Task = GridTask | ElementwiseTask


def constant_source(operator: int) -> int:
    """What stands for a map that is a constant of `operator` among its sources: no tensor's
    index, but a number below all of them."""
    return -2 - operator


@dataclass(frozen=True, eq=False)
class LoweredOperator:
    """An operator as tasks that together compute its output.

    Parameters
    ----------
    index, kind, macs : the operator's index in the graph, its name, its useful MACs.
    sources : tensors whose bytes it reads, or `constant_source`.
    target : tensor whose bytes it writes.
    tasks : all with the same extents; their regions cover the output once.
    constants : the maps that are constants, int8 `[height, width, channels]`, by source.
    source_places, target_place : where the maps lie in their tensors; None: they are all of them.
    part : which part of the target it computes, None: all of it.
    repeats : how often the target has each row; it is the first dimension of `part`.
    direct : what it does instead of tasks, from arena to arena.
    """

    index: int
    kind: str
    macs: int
    sources: tuple[int, ...]
    target: int
    tasks: tuple[Task, ...] = field(repr=False)
    constants: Mapping[int, NDArray[np.int8]] = field(repr=False, default_factory=dict)
    source_places: tuple[Place, ...] | None = None
    target_place: Place | None = None
    part: Change | None = field(repr=False, default=None)
    repeats: int = 1
    direct: "DirectWork | None" = None

    @property
    def source_extents(self) -> tuple[Extent, ...]:
        """Extent of each source; direct work sees no maps."""
        if self.direct is not None:
            return (NO_MAP,) * len(self.sources)
        return self.tasks[0].operand_extents()

    @property
    def ofm(self) -> Extent:
        """Extent of the output; direct work makes no map."""
        return NO_MAP if self.direct is not None else self.tasks[0].ofm

    @property
    def sources_at(self) -> tuple[Place, ...]:
        """Where each source lies."""
        if self.source_places is not None:
            return self.source_places
        return tuple(Place.of_all(extent) for extent in self.source_extents)

    @property
    def read_in_arena(self) -> frozenset[int]:
        """Tensors that it cannot read in the scratchpad."""
        found: set[int] = set()
        for tensor, place in zip(self.sources, self.sources_at, strict=True):
            if not place.on_chip:
                parts = tuple(part.tensor for part in place.parts)
                found.update(parts or (tensor,))
        return frozenset(found)

    @property
    def target_at(self) -> Place:
        """Where the output lies."""
        return self.target_place or Place.of_all(self.ofm)

    def input_rows(self, number: int, rows: Rows) -> Rows:
        """Rows of source `number` that output rows `rows` read."""
        y0, y1 = rows
        spans = []
        for task in self.tasks:
            if isinstance(task, ElementwiseTask):
                return (0, 1) if task.operand_extents()[number].height == 1 else rows
            low, high = max(y0, task.region.y0), min(y1, task.region.y1)
            if low < high:
                spans.append(task.input_rows(low, high))
        return min(s[0] for s in spans), max(s[1] for s in spans)
