"""Rows to columns: on the grid, as a convolution whose kernel picks bytes.

`[K, N]` bytes are a map of K rows and N / G pixels of G channels. A kernel as high as a word has
lanes turns so many rows into the channels of one word per column, so that STOREs can write the
columns one after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from npu.compiler.stream.estimate import COMPUTE_OVERHEAD, ROW_OVERHEAD, TRANSFER_OVERHEAD
from npu.compiler.stream.pieces import cut
from npu.compiler.stream.transfers import ROW_LIMIT, Scatter, load_fields, word_limit
from npu.compiler.terms.command import CommandDraft
from npu.compiler.terms.direct import DirectContext
from npu.compiler.terms.geometry import Area, Extent, SlidingWindow, ceil_div
from npu.compiler.terms.memory import Access, Memory, strided_bytes
from npu.compiler.terms.piece import PieceKey
from npu.compiler.terms.steps import CommandStep, GridStep, Step
from npu.compiler.terms.strided import Loop
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.compiler.terms.view import View
from rtl.config import NpuConfig
from rtl.isa import Opcode, Region

PREFERRED_COLUMNS = 64
"""Columns at once that make the commands long enough; beyond, more rows are worth more."""

PICKED_COLUMNS = {4: 4, 8: 8, 16: 4}
"""Columns in a word, by lanes: with more, the weights would take much of their buffer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Loops around a matrix whose rows become columns.

    `rows` are contiguous where they are written, `columns` where they are read.
    """

    outer: tuple[Loop, ...]
    rows: Loop
    columns: Loop

    @property
    def matrices(self) -> int:
        """How many matrices there are."""
        count = 1
        for loop in self.outer:
            count *= loop.count
        return count

    @property
    def commands(self) -> int:
        """LOADs, CONVs and STOREs, if the workspace is large enough and a word has 8 lanes."""
        return (2 + (1 if self._packed(8) else min(self.columns.count, 8))) * self.matrices

    def smallest_workspace(self, config: NpuConfig) -> int:
        """Words for one word of columns of the fewest rows, twice."""
        return 2 * self._words(min(self.rows.count, config.lanes), 1, config)

    def cycles(self, config: NpuConfig) -> float:
        """Estimated cycles: mostly those of the STOREs."""
        size = self.matrices * self.rows.count * self.columns.count
        stores = size / config.bus_bytes
        if not self._packed(config.lanes):
            stores = max(stores, self.matrices * self.columns.count * ROW_OVERHEAD)
        return stores + self.commands * (TRANSFER_OVERHEAD + COMPUTE_OVERHEAD)

    def steps(
        self, context: DirectContext, read: int, write: int, config: NpuConfig
    ) -> Iterator[Step]:
        """Turn the matrices at byte `read` of the arena and write them to byte `write`."""
        lanes, group = config.lanes, PICKED_COLUMNS[config.lanes]
        half = context.words // 2
        rows = min(self.rows.count, word_limit(config) * lanes)
        columns = ceil_div(min(self.columns.count, PREFERRED_COLUMNS), group)
        while rows > lanes and self._words(rows, columns, config) > half:
            rows = ceil_div(ceil_div(rows, 2), lanes) * lanes
        columns = min(half // self._words(rows, 1, config), ROW_LIMIT) * group
        number = 0
        for indices in product(*(range(loop.count) for loop in self.outer)):
            pairs = list(zip(indices, self.outer, strict=True))
            source = read + sum(i * loop.read for i, loop in pairs)
            target = write + sum(i * loop.write for i, loop in pairs)
            for row in range(0, self.rows.count, rows):
                for column in range(0, self.columns.count, columns):
                    size = (
                        min(rows, self.rows.count - row),
                        min(columns, self.columns.count - column),
                    )
                    base = context.base + number % 2 * half
                    number += 1
                    yield from self._part(
                        context.position,
                        base,
                        size,
                        source + row * self.rows.read + column,
                        target + row + column * self.columns.write,
                        config,
                    )

    def _part(
        self,
        position: int,
        base: int,
        size: tuple[int, int],
        read: int,
        write: int,
        config: NpuConfig,
    ) -> Iterator[Step]:
        """Turn `size` rows and columns."""
        rows, columns = size
        group = PICKED_COLUMNS[config.lanes]
        task = self._task(rows, columns, config)
        yield CommandStep(position, self._load(base, task.ifm, columns, read, config))
        ifm = View.dense(base, (0, rows), task.ifm, config)
        ofm = View.dense(base + task.ifm.pixels, (0, task.ofm.height), task.ofm, config)
        for piece in cut(task, 1, config):
            # the weights are the same for all parts
            area = Area(0, task.window.height, 0, task.ofm.channels)
            key = PieceKey(position, area, piece.first)
            yield GridStep(position, key, task, piece, task.area, ifm, ofm)
        if self._packed(config.lanes):
            whole, rest = divmod(columns, group)
            stores = [
                (ofm.base, Scatter(write, whole, group * rows, group * rows)),
                (ofm.base + whole, Scatter(write + whole * group * rows, 1, 0, rest * rows)),
            ]
            pitch = ofm.plane_pitch
        else:
            stride = self.columns.write
            stores = [
                (
                    ofm.base + first * ofm.plane_pitch,
                    Scatter(
                        write + first * stride,
                        ceil_div(columns - first, group),
                        group * stride,
                        rows,
                    ),
                )
                for first in range(min(group, columns))
            ]
            pitch = ofm.row_pitch
        for word, scatter in stores:
            if scatter.count and scatter.length:
                yield CommandStep(position, scatter.store(word, config, pitch))

    def _packed(self, lanes: int) -> bool:
        """Whether the turned columns follow each other and are shorter than a word."""
        return self.columns.write == self.rows.count <= lanes

    def _channels(self, config: NpuConfig) -> int:
        """Channels of the turned map that a column takes."""
        return self.rows.count if self._packed(config.lanes) else config.lanes

    def _words(self, rows: int, groups: int, config: NpuConfig) -> int:
        """Words of `groups` words of columns before and after they are turned."""
        planes = ceil_div(PICKED_COLUMNS[config.lanes] * self._channels(config), config.lanes)
        return (rows + ceil_div(rows, config.lanes) * planes) * groups

    def _load(
        self, base: int, ifm: Extent, columns: int, read: int, config: NpuConfig
    ) -> CommandDraft:
        fields = load_fields(
            region=Region.ARENA,
            offset=read,
            rows=ifm.height,
            row_bytes=columns,
            row_stride=self.rows.read if ifm.height > 1 else 0,
            pixels=ifm.width,
            pixel_bytes=ifm.channels,
            pixel_words=1,
            base=base,
            row_pitch=ifm.width,
        )
        taken = strided_bytes(read, ifm.height, self.rows.read, columns)
        written = Access(Memory.SCRATCHPAD, base, ifm.pixels)
        cycles = max(ifm.pixels, ROW_OVERHEAD * ifm.height)
        return CommandDraft(Opcode.LOAD, fields, (taken,), (written,), cycles)

    def _task(self, rows: int, columns: int, config: NpuConfig) -> GridTask:
        """The CONV that gathers rows as the channels of columns."""
        group, channels = PICKED_COLUMNS[config.lanes], self._channels(config)
        outputs = group * channels
        weights = np.zeros((group, channels, channels, 1, group), np.int8)
        for column in range(group):
            for row in range(channels):
                weights[column, row, row, 0, column] = 1
        ofm = Extent(ceil_div(rows, channels), ceil_div(columns, group), outputs)
        return GridTask(
            opcode=Opcode.CONV,
            ifm=Extent(rows, ofm.width, group),
            ofm=ofm,
            window=SlidingWindow(height=channels, stride_y=channels),
            area=Area.of_all(ofm),
            weights=weights.reshape(outputs, channels, 1, group),
            bias=np.zeros(outputs, np.int32),
            multiplier=np.full(outputs, IDENTITY[0], np.int32),
            shift=np.full(outputs, IDENTITY[1], np.int32),
            ifm_zero_point=0,
            ofm_zero_point=0,
            activation_min=-128,
            activation_max=127,
        )


def find_turn(loops: Sequence[Loop]) -> Turn | None:
    """The matrices in `loops`, if rows become columns; None if runs of bytes stay together."""
    rows = [loop for loop in loops if loop.write == 1 and loop.read > 1]
    columns = [loop for loop in loops if loop.read == 1 and loop.write > 1]
    if not rows or not columns:
        return None
    outer = tuple(loop for loop in loops if loop is not rows[0] and loop is not columns[0])
    return Turn(outer, rows[0], columns[0])
