"""Equivalent forms of a task that keep more of the grid busy.

Maps are dense in the scratchpad, so that a map of one column is also a map of one row, and a
kernel as large as its map is also a kernel of one row.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from npu.compiler.terms.geometry import Extent, Kernel, Region
from npu.compiler.terms.tasks import GridTask
from rtl.isa import Opcode

FIELD_LIMIT = 255
"""The largest kernel, stride, dilation and padding that a command can hold."""


def normalize(task: GridTask) -> GridTask:
    """Bring a task into the form that fills the most pixels and kernel columns."""
    task = _unit_strides(task)
    kernel, ifm, ofm = task.kernel, task.ifm, task.ofm
    if ifm.width == ofm.width == kernel.width == 1 and kernel.pad_left == 0 and ifm.height > 1:
        return _unit_strides(_columns_as_rows(task))
    covered = (kernel.height, kernel.width) == (ifm.height, ifm.width) and ofm.pixels == 1
    unpadded = kernel == Kernel(height=kernel.height, width=kernel.width)
    if covered and unpadded and ifm.height > 1 and ifm.pixels <= FIELD_LIMIT:
        return replace(
            task,
            ifm=Extent(1, ifm.pixels, ifm.channels),
            kernel=Kernel(width=ifm.pixels),
            weights=_reshaped(task, 1, ifm.pixels),
        )
    return task


def joins_rows(task: GridTask) -> bool:
    """Whether a task sees its map as one long row, where rows follow each other.

    A kernel of one column then becomes one of one row, whose taps are a row apart.
    """
    kernel, width = task.kernel, task.ifm.width
    if kernel.pointwise:
        return True
    column = kernel.width == kernel.stride_x == kernel.stride_y == 1
    whole = kernel.pad_left == 0 and width == task.ofm.width == task.region.x1 - task.region.x0
    far = max(kernel.dilation_y, kernel.pad_top) * width
    return column and whole and kernel.pad_top >= 0 and far <= FIELD_LIMIT


def _unit_strides(task: GridTask) -> GridTask:
    """A stride along a single output pixel means nothing."""
    kernel = task.kernel
    return replace(
        task,
        kernel=replace(
            kernel,
            stride_y=1 if task.ofm.height == 1 else kernel.stride_y,
            stride_x=1 if task.ofm.width == 1 else kernel.stride_x,
            dilation_y=1 if kernel.height == 1 else kernel.dilation_y,
            dilation_x=1 if kernel.width == 1 else kernel.dilation_x,
        ),
    )


def _columns_as_rows(task: GridTask) -> GridTask:
    """A map of one column is, in memory, a map of one row."""
    kernel, region = task.kernel, task.region
    return replace(
        task,
        ifm=Extent(1, task.ifm.height, task.ifm.channels),
        ofm=Extent(1, task.ofm.height, task.ofm.channels),
        kernel=Kernel(
            width=kernel.height,
            stride_x=kernel.stride_y,
            dilation_x=kernel.dilation_y,
            pad_left=kernel.pad_top,
        ),
        region=Region(0, 1, region.y0, region.y1),
        weights=_reshaped(task, 1, kernel.height),
    )


def _reshaped(task: GridTask, height: int, width: int) -> NDArray[np.int8] | None:
    if task.weights is None:
        return None
    if task.opcode == Opcode.DEPTHWISE:
        return task.weights.reshape(height, width, -1)
    return task.weights.reshape(task.weights.shape[0], height, width, -1)
