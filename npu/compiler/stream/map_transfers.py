"""LOADs and STOREs of the rows of feature maps."""

from dataclasses import dataclass
from itertools import product

from npu.compiler.stream.estimate import row_transfer_cycles
from npu.compiler.terms.command import ADDRESS_MASK, CommandDraft
from npu.compiler.terms.geometry import Extent, Place
from npu.compiler.terms.memory import Access, Memory, strided_bytes
from npu.compiler.terms.view import View
from rtl.config import NpuConfig
from rtl.isa import Destination, Opcode, Region

MAX_ROWS = (1 << 16) - 1
"""Rows of a LOAD or STORE at most."""


def load_rows(
    view: View,
    extent: Extent,
    place: Place,
    region: Region,
    offset: int,
    rows: tuple[int, int],
    config: NpuConfig,
    lane: int = 0,
) -> list[CommandDraft]:
    """LOAD rows `first..end` of the map of `extent` at `place` in the tensor at byte `offset`.

    Its channels begin at `lane` of the first word: lanes before it and in words that other LOADs
    have begun keep what they hold.
    """
    commands = []
    for run in _runs(view, extent, place, rows):
        size = run.pixels * extent.channels
        fields = {
            "offset": offset + run.offset,
            "region": region,
            "destination": Destination.SCRATCHPAD,
            "rows": run.rows,
            "pad_value": 0,
            "row_bytes": size,
            "row_stride": run.stride,
            "pad_left": 0,
            "fold": 0,
            "merge": int(lane > 0),
            "lane_offset": lane,
            "pixels": run.pixels,
            "pixel_bytes": extent.channels,
            "pixel_step": extent.channels,
            "pixel_words": view.planes,
            "base": run.base,
            "row_pitch": run.pitch,
            "plane_pitch": view.plane_pitch & ADDRESS_MASK,
        }
        read = strided_bytes(offset + run.offset, run.rows, run.stride, size)
        words = run.rows * run.pixels * view.planes
        commands.append(
            CommandDraft(
                Opcode.LOAD,
                fields,
                (read,) if region == Region.ARENA else (),
                (run.words(view),),
                row_transfer_cycles(run.rows, run.rows * size, words, config),
            )
        )
    return commands


def store_rows(
    view: View,
    extent: Extent,
    place: Place,
    offset: int,
    rows: tuple[int, int],
    config: NpuConfig,
) -> list[CommandDraft]:
    """STORE rows `first..end` of the map of `extent` to `place` in the tensor at byte `offset`."""
    commands = []
    repeats = range(place.repeats)
    for again, run in product(repeats, _runs(view, extent, place, rows)):
        size = run.pixels * extent.channels
        start = offset + run.offset + again * place.repeat_stride
        fields = {
            "offset": start,
            "region": Region.ARENA,
            "rows": run.rows,
            "pixel_words": view.planes,
            "row_stride": run.stride,
            "pixels": run.pixels,
            "pixel_bytes": extent.channels,
            "base": run.base,
            "row_pitch": run.pitch,
            "plane_pitch": view.plane_pitch & ADDRESS_MASK,
        }
        written = strided_bytes(start, run.rows, run.stride, size)
        words = run.rows * run.pixels * view.planes
        commands.append(
            CommandDraft(
                Opcode.STORE,
                fields,
                (run.words(view),),
                (written,),
                row_transfer_cycles(run.rows, run.rows * size, words, config),
            )
        )
    return commands


@dataclass(frozen=True, slots=True)
class _Run:
    """What one LOAD or STORE moves: `rows` rows of `pixels` pixels.

    `offset` and `stride` are bytes in the tensor, `base` and `pitch` words in the scratchpad.
    """

    offset: int
    rows: int
    stride: int
    pixels: int
    base: int
    pitch: int

    def words(self, view: View) -> Access:
        """The words of the scratchpad that it touches."""
        length = (self.rows - 1) * self.pitch + self.pixels
        return Access(Memory.SCRATCHPAD, self.base, length, view.planes, view.plane_pitch)


def _runs(view: View, extent: Extent, place: Place, rows: tuple[int, int]) -> list[_Run]:
    """How rows of a map are moved: as one dense run where that is possible."""
    first, count, width = rows[0], rows[1] - rows[0], extent.width
    start = place.offset + first * place.row_stride
    base = view.address(0, first)
    joined = count == 1 or view.row_pitch == width
    if width == 1 or place.pixel_stride == extent.channels:
        if count == 1 or (joined and place.row_stride == width * extent.channels):
            return [_Run(start, 1, 0, count * width, base, 0)]
        return [_Run(start, count, place.row_stride, width, base, view.row_pitch)]
    if joined and (count == 1 or place.row_stride == width * place.pixel_stride):
        total = count * width
        return [
            _Run(
                start + pixel * place.pixel_stride,
                min(MAX_ROWS, total - pixel),
                place.pixel_stride,
                1,
                base + pixel,
                1,
            )
            for pixel in range(0, total, MAX_ROWS)
        ]
    return [
        _Run(
            start + row * place.row_stride,
            width,
            place.pixel_stride,
            1,
            base + row * view.row_pitch,
            1,
        )
        for row in range(count)
    ]
