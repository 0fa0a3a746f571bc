"""What the hardware computes at a time: windows over a map on the grid, functions of maps."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from npu.compiler.errors import CompileError
from npu.compiler.terms.geometry import Area, Extent, Rows, SlidingWindow, ceil_div
from rtl.config import NpuConfig
from rtl.isa import MAX_LEFT_SHIFT, Destination, Function, Opcode

IDENTITY = 1 << 30, 1
"""Multiplier and shift with which every rounding leaves a value as it is."""


def require_shift(shift: int) -> None:
    """Refuse a shift of results that the hardware does not have, with a `CompileError`."""
    if shift > MAX_LEFT_SHIFT:
        raise CompileError(f"results must be rescaled by less than 2**{MAX_LEFT_SHIFT}")


@dataclass(frozen=True, kw_only=True, eq=False)
class GridTask:
    """One CONV, DEPTHWISE or MAX_POOL over an area of the output.

    Parameters
    ----------
    opcode : what the grid does.
    ifm, ofm : extents of the maps as this task sees them.
    window, area : where windows lie, which outputs are computed.
    weights : int8, CONV `[outputs, kh, kw, inputs]` (of a group), DEPTHWISE `[kh, kw, channels]`.
    groups : CONV: input and output channels fall into this many independent groups.
    bias, multiplier, shift : int32 `[outputs]`; the IFM's zero point is already in the bias.
    ifm_zero_point, ofm_zero_point, activation_min, activation_max : int8 values.

    Raises
    ------
    CompileError : a multiplier of results that the hardware does not have.
    """

    opcode: Opcode
    ifm: Extent
    ofm: Extent
    window: SlidingWindow
    area: Area
    weights: NDArray[np.int8] | None
    groups: int = 1
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]
    ifm_zero_point: int
    ofm_zero_point: int
    activation_min: int
    activation_max: int

    def __post_init__(self) -> None:
        require_shift(int(self.shift.max(initial=0)))

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
        return self.window.stride_x if self.window.stride_x in (1, 2) else 1

    def group_pixels(self, config: NpuConfig) -> int:
        """Output pixels computed at once."""
        return config.pixels if self.window.stride_x in (1, 2) else 1

    def taps_per_step(self, config: NpuConfig) -> int:
        """Columns of the window that one step covers."""
        if self.opcode != Opcode.DEPTHWISE or self.window.dilation_x != 1:
            return 1
        return config.taps_per_step(self.window_stride())

    def kernel_steps(self, config: NpuConfig) -> int:
        """Steps of the grid per output group and input plane."""
        return self.window.height * ceil_div(self.window.width, self.taps_per_step(config))

    def operand_extents(self) -> tuple[Extent, ...]:
        """Extent of each map that it reads."""
        return (self.ifm,)

    def input_rows(self, y0: int, y1: int) -> Rows:
        """IFM rows that output rows `y0..y1` read; never empty."""
        top = y0 * self.window.stride_y - self.window.pad_top
        last = (y1 - 1) * self.window.stride_y - self.window.pad_top + self.window.extent_y
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
    scale_second, operand_multiplier, operand_right_shift : ADD and SUB: which operand is scaled,
        and how; the other one has the larger scale.
    zero_points : ADD, SUB and MUL: one value per operand.
    multiplier, shift : rescaling of the result; by default it stays as it is.
    ofm_zero_point, activation_min, activation_max : int8 values.
    table : TABLE: uint8 `[256]`, the result for each byte.

    Raises
    ------
    CompileError : as for `GridTask`.
    """

    function: Function
    extent: Extent
    second: Extent | None = None
    scale_second: bool = False
    operand_multiplier: int = 0
    operand_right_shift: int = 0
    zero_points: tuple[int, int] = (0, 0)
    multiplier: int = IDENTITY[0]
    shift: int = IDENTITY[1]
    ofm_zero_point: int = 0
    activation_min: int = -128
    activation_max: int = 127
    table: NDArray[np.uint8] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require_shift(self.shift)

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
