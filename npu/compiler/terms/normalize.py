"""Equivalent forms of a task that keep more of the grid busy.

Maps are dense in the scratchpad, so that a map of one column is also a map of one row, and a
kernel as large as its map is also a kernel of one row.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.tasks import GridTask
from rtl.isa import Opcode

FIELD_LIMIT = 255
"""The largest kernel, stride, dilation and padding that a command can hold."""


def normalize(task: GridTask) -> GridTask:
    """Bring a task into the form that fills the most pixels and kernel columns."""
    task = _unit_strides(task)
    window, ifm, ofm = task.window, task.ifm, task.ofm
    if ifm.width == ofm.width == window.width == 1 and window.pad_left == 0 and ifm.height > 1:
        return _unit_strides(_columns_as_rows(task))
    covered = (window.height, window.width) == (ifm.height, ifm.width) and ofm.pixels == 1
    unpadded = window == SlidingWindow(height=window.height, width=window.width)
    if covered and unpadded and ifm.height > 1 and ifm.pixels <= FIELD_LIMIT:
        return replace(
            task,
            ifm=Extent(1, ifm.pixels, ifm.channels),
            window=SlidingWindow(width=ifm.pixels),
            weights=_reshaped(task, 1, ifm.pixels),
        )
    return task


def joins_rows(task: GridTask) -> bool:
    """Whether a task sees its map as one long row, where rows follow each other.

    A kernel of one column then becomes one of one row, whose taps are a row apart.
    """
    window, width = task.window, task.ifm.width
    if window.pointwise:
        return True
    column = window.width == window.stride_x == window.stride_y == 1
    whole = window.pad_left == 0 and width == task.ofm.width == task.area.x1 - task.area.x0
    far = max(window.dilation_y, window.pad_top) * width
    return column and whole and window.pad_top >= 0 and far <= FIELD_LIMIT


def _unit_strides(task: GridTask) -> GridTask:
    """A stride along a single output pixel means nothing."""
    window = task.window
    return replace(
        task,
        window=replace(
            window,
            stride_y=1 if task.ofm.height == 1 else window.stride_y,
            stride_x=1 if task.ofm.width == 1 else window.stride_x,
            dilation_y=1 if window.height == 1 else window.dilation_y,
            dilation_x=1 if window.width == 1 else window.dilation_x,
        ),
    )


def _columns_as_rows(task: GridTask) -> GridTask:
    """A map of one column is, in memory, a map of one row."""
    window, area = task.window, task.area
    return replace(
        task,
        ifm=Extent(1, task.ifm.height, task.ifm.channels),
        ofm=Extent(1, task.ofm.height, task.ofm.channels),
        window=SlidingWindow(
            width=window.height,
            stride_x=window.stride_y,
            dilation_x=window.dilation_y,
            pad_left=window.pad_top,
        ),
        area=Area(0, 1, area.y0, area.y1),
        weights=_reshaped(task, 1, window.height),
    )


def _reshaped(task: GridTask, height: int, width: int) -> NDArray[np.int8] | None:
    if task.weights is None:
        return None
    if task.opcode == Opcode.DEPTHWISE:
        return task.weights.reshape(height, width, -1)
    return task.weights.reshape(task.weights.shape[0], height, width, -1)
