"""The LOADs of a folded map: see `npu.compiler.stream.folding`."""

from collections.abc import Iterator

from npu.compiler.stream.estimate import transfer_cycles
from npu.compiler.stream.folding import FOLD_WORDS, Fold
from npu.compiler.terms.command import ADDRESS_MASK, CommandDraft
from npu.compiler.terms.geometry import Extent, Place, Rows
from npu.compiler.terms.memory import strided_bytes
from npu.compiler.terms.view import View
from rtl.config import NpuConfig
from rtl.isa import Destination, Opcode, Region


def load_folded(
    view: View,
    extent: Extent,
    place: Place,
    fold: Fold,
    zero_point: int,
    offset: int,
    rows: Rows,
    config: NpuConfig,
) -> Iterator[CommandDraft]:
    """LOAD rows `first..end` of the folded map of an input of `extent`.

    The input lies at `place` in the tensor at byte `offset`.
    """
    start = offset + place.offset
    for border in fold.borders(rows, extent.height):
        if border[0] < border[1]:
            yield from _fill(view, zero_point, start, border, config)
    row_bytes = extent.width * extent.channels
    for number, word, words, lane in fold.parts(config.lanes):
        low, high = fold.inside(number, rows, extent.height)
        count = high - low
        if not count:
            continue
        row, stride = low, place.row_stride
        if fold.rows is not None:
            row = low * fold.rows.step - fold.rows.pad + number * fold.rows.dilation
            stride *= fold.rows.step
        part = start + row * place.row_stride
        fields = {
            "offset": part,
            "region": Region.ARENA,
            "destination": Destination.SCRATCHPAD,
            "rows": count,
            "pad_value": zero_point,
            "row_bytes": row_bytes,
            "row_stride": stride if count > 1 else 0,
            "pad_left": fold.columns.pad * extent.channels,
            "fold": 1,
            "merge": int(fold.rows is not None),
            "lane_offset": lane,
            "pixels": fold.columns.size,
            "pixel_bytes": fold.part_bytes,
            "pixel_step": fold.columns.step * extent.channels,
            "pixel_words": words,
            "base": view.address(word, low),
            "row_pitch": view.width,
            "plane_pitch": view.plane_pitch & ADDRESS_MASK,
        }
        yield CommandDraft(
            Opcode.LOAD,
            fields,
            (strided_bytes(part, count, stride, row_bytes),),
            (view.access((word, word + words), (low, high)),),
            fold.part_cycles(count, words, row_bytes, config),
        )


def _fill(
    view: View, value: int, offset: int, rows: Rows, config: NpuConfig
) -> Iterator[CommandDraft]:
    """LOAD the value of padding into all words of rows `first..end`.

    What is read is the byte at `offset`, which lies behind the first pixel and in front of the
    second.
    """
    pixels = (rows[1] - rows[0]) * view.width
    for plane in range(0, view.planes, FOLD_WORDS):
        words = min(FOLD_WORDS, view.planes - plane)
        pixel_bytes = (words - 1) * config.lanes + 1
        fields = {
            "offset": offset,
            "region": Region.ARENA,
            "destination": Destination.SCRATCHPAD,
            "rows": 1,
            "pad_value": value,
            "row_bytes": 1,
            "row_stride": 0,
            "pad_left": pixel_bytes,
            "fold": 1,
            "merge": 0,
            "lane_offset": 0,
            "pixels": pixels,
            "pixel_bytes": pixel_bytes,
            "pixel_step": pixel_bytes + 1,
            "pixel_words": words,
            "base": view.address(plane, rows[0]),
            "row_pitch": 0,
            "plane_pitch": view.plane_pitch & ADDRESS_MASK,
        }
        yield CommandDraft(
            Opcode.LOAD,
            fields,
            (strided_bytes(offset, 1, 0, 1),),
            (view.access((plane, plane + words), rows),),
            transfer_cycles(1, pixels * words, config),
        )
