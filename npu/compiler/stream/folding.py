"""How a LOAD folds windows of the input into lanes: for layers with few input channels.

One word then holds several taps of the kernel instead of the few channels of one. LOADs bring
the pixels of the map so made, one for each kernel row that a pixel holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from npu.compiler.stream.estimate import ROW_OVERHEAD, TRANSFER_OVERHEAD, grid_cycles
from npu.compiler.terms.geometry import Area, Extent, Rows, SlidingWindow, ceil_div
from npu.compiler.terms.normalize import FIELD_LIMIT
from npu.compiler.terms.tasks import GridTask
from rtl.config import NpuConfig
from rtl.isa import Opcode

FOLD_WORDS = 4
"""Words of a folded pixel, or pixels between two, at most (a limit of the LOAD command)."""

LOAD_PAD_LIMIT = 255
"""Bytes of padding in front of a row at most (a limit of the LOAD command)."""


@dataclass(frozen=True, slots=True)
class Axis:
    """How one axis of the input becomes an axis of the folded map.

    Position `i` of the folded map holds positions `i * step - pad + j * dilation` of the input,
    j in `0..count`, and the kernel becomes `taps` taps at distance `tap_step`.
    """

    count: int
    step: int
    pad: int
    dilation: int
    taps: int
    tap_step: int
    size: int


@dataclass(frozen=True, slots=True)
class Fold:
    """How windows become pixels of the folded map, of `channels` channels each.

    Without `rows`, a row of the folded map is a row of the input. With it, a pixel holds parts of
    several rows, beside each other; rows outside the input are then stored as well.
    """

    columns: Axis
    rows: Axis | None
    channels: int

    @property
    def part_bytes(self) -> int:
        """Bytes of a pixel that come from one row of the input."""
        return self.columns.count * self.channels

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel."""
        return self.part_bytes * (self.rows.count if self.rows else 1)

    def parts(self, lanes: int) -> Iterator[tuple[int, int, int, int]]:
        """For each part of a pixel: its number, first word, words, and offset into the first."""
        for number in range(self.rows.count if self.rows else 1):
            first, offset = divmod(number * self.part_bytes, lanes)
            yield number, first, ceil_div(offset + self.part_bytes, lanes), offset

    def inside(self, number: int, rows: Rows, height: int) -> Rows:
        """Those of the folded map's rows whose part lies inside an input of `height` rows."""
        if self.rows is None:
            return rows
        ahead = self.rows.pad - number * self.rows.dilation
        first = max(rows[0], ceil_div(ahead, self.rows.step))
        end = min(rows[1], ceil_div(height + ahead, self.rows.step))
        return first, max(first, end)

    def borders(self, rows: Rows, height: int) -> tuple[Rows, Rows]:
        """The folded map's rows in front of and behind those of which all parts lie inside."""
        count = self.rows.count if self.rows else 1
        spans = [self.inside(part, rows, height) for part in range(count)]
        first, end = max(span[0] for span in spans), min(span[1] for span in spans)
        if first >= end:
            return rows, (rows[1], rows[1])
        return (rows[0], first), (end, rows[1])

    def part_cycles(self, rows: int, words: int, row_bytes: int, config: NpuConfig) -> int:
        """Estimated cycles of a LOAD of `rows` rows of one part, of `words` words."""
        beats = ceil_div(row_bytes, config.bus_bytes)
        return rows * max(beats, words * self.columns.size, ROW_OVERHEAD)

    def load_cycles(self, rows: int, row_bytes: int, config: NpuConfig) -> int:
        """Estimated cycles of the LOADs of `rows` rows of the folded map."""
        return sum(
            self.part_cycles(rows, words, row_bytes, config) + TRANSFER_OVERHEAD
            for _, _, words, _ in self.parts(config.lanes)
        )


def choose_fold(task: GridTask, config: NpuConfig) -> Fold | None:
    """The folding with which loading and computing a CONV takes the fewest cycles, if any helps.

    Only for a map that a LOAD brings from external memory.
    """
    window, channels = task.window, task.ifm.channels
    whole = Area.of_all(task.ofm)
    if task.opcode != Opcode.CONV or window.dilation_x != 1 or window.height * window.width == 1:
        return None
    if task.groups != 1 or task.area != whole or min(window.pad_left, window.pad_top) < 0:
        return None
    limit = FOLD_WORDS * config.lanes
    if window.stride_x * channels > limit or window.pad_left * channels > LOAD_PAD_LIMIT:
        return None
    loading = max(task.ifm.words(config.lanes), ceil_div(task.ifm.size, config.bus_bytes))
    best, best_cost = None, _cost(loading, task, config)
    across = _axis(window.width, window.stride_x, window.pad_left, 1, task.ofm.width)
    for columns in across:
        if columns.count * channels > limit:
            break
        for rows in (None, *_row_axes(task)):
            fold = Fold(columns, rows, channels)
            if rows is not None and not _mergeable(fold, config):
                continue
            new = folded(task, fold)
            height = new.ifm.height
            loading = fold.load_cycles(height, task.ifm.width * channels, config)
            for first, end in fold.borders((0, height), task.ifm.height):
                loading += (end - first) * columns.size * new.ifm.planes(config.lanes)
            cost = _cost(loading, new, config)
            if cost < best_cost:
                best, best_cost = fold, cost
    return best


def folded(task: GridTask, fold: Fold) -> GridTask:
    """The same CONV on the folded map."""
    assert task.weights is not None
    outputs, kh, kw, inputs = task.weights.shape
    window, columns, rows = task.window, fold.columns, fold.rows
    count, taps = (rows.count, rows.taps) if rows else (1, kh)
    weights = np.zeros(
        (outputs, taps * count, columns.taps * columns.count, inputs), task.weights.dtype
    )
    weights[:, :kh, :kw] = task.weights
    split = weights.reshape(outputs, taps, count, columns.taps, columns.count, inputs)
    height = rows.size if rows else task.ifm.height
    new = SlidingWindow(
        height=taps,
        width=columns.taps,
        stride_y=1 if rows else window.stride_y,
        dilation_y=rows.tap_step if rows else window.dilation_y,
        dilation_x=columns.tap_step,
        pad_top=0 if rows else window.pad_top,
    )
    return replace(
        task,
        weights=split.transpose(0, 1, 3, 2, 4, 5).reshape(outputs, taps, columns.taps, -1),
        ifm=Extent(height, columns.size, fold.pixel_bytes),
        window=new,
    )


def _axis(taps: int, stride: int, pad: int, dilation: int, outputs: int) -> Iterator[Axis]:
    """All ways to fold one axis: 1, 2, ... of the kernel's `taps` in a pixel."""
    for count in range(1, taps + 1):
        steps = ceil_div(taps, count)
        apart, rest = divmod(count * dilation, stride)
        if steps > 1 and rest:
            continue
        apart = apart if steps > 1 else 1
        yield Axis(count, stride, pad, dilation, steps, apart, outputs + (steps - 1) * apart)


def _row_axes(task: GridTask) -> Iterator[Axis]:
    window = task.window
    for axis in _axis(
        window.height, window.stride_y, window.pad_top, window.dilation_y, task.ofm.height
    ):
        if axis.count > 1 and axis.tap_step <= FIELD_LIMIT:
            yield axis


def _mergeable(fold: Fold, config: NpuConfig) -> bool:
    """Whether LOADs can bring all parts of a pixel."""
    return all(words <= FOLD_WORDS for _, _, words, _ in fold.parts(config.lanes))


def _cost(load: int, task: GridTask, config: NpuConfig) -> float:
    """Cycles of loading and computing, of which about half of the shorter overlaps: computing
    starts when the rows for a stripe have arrived."""
    words = task.ofm.planes(config.lanes)
    compute = grid_cycles(
        task,
        rows=task.ofm.height,
        columns=task.ofm.width,
        words=words,
        depth=words * config.groups_per_word,
        planes=task.ifm.planes(config.lanes),
        config=config,
    )
    return max(load, compute) + min(load, compute) / 2
