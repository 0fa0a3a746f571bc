"""Where a map lies in the map of the tensor that holds its bytes."""

from npu.compiler.stream.transfers import STRIDE_LIMIT
from npu.compiler.terms.geometry import NO_MAP, Extent, Place
from npu.compiler.terms.strided import Strided

IN_ARENA = Place(
    whole=NO_MAP,
    offset=0,
    row_stride=0,
    pixel_stride=0,
    pixel=0,
    row_pitch=0,
    channel=0,
    on_chip=False,
)
"""The place of what direct work reads and writes: it finds its bytes by itself."""


def place_map(
    layout: Strided, extent: Extent, whole: Extent, lanes: int, joined_rows: bool
) -> Place | None:
    """The place of a map of `extent` whose elements lie as `layout` says in the map `whole`.

    `joined_rows`: the map can only be used in the scratchpad if its rows follow each other.
    None when neither LOAD nor STORE can reach it as a map.
    """
    try:
        layout = layout.reshape(extent.height, extent.width, extent.channels)
    except ValueError:
        return None
    row_stride, pixel_stride, channel_stride = layout.strides
    if extent.width == 1:
        pixel_stride = extent.channels
    if extent.height == 1:
        row_stride = extent.width * pixel_stride
    if extent.channels > 1 and channel_stride != 1:
        return None
    strides = row_stride, pixel_stride
    if not layout.is_dense and not all(0 <= stride <= STRIDE_LIMIT for stride in strides):
        return None
    pixel, channel = divmod(layout.offset, whole.channels)
    row_pitch, between = divmod(row_stride, whole.channels)
    if extent.height == 1:
        row_pitch, between = extent.width, 0
    on_chip = (
        channel % lanes == 0
        and channel + extent.channels <= whole.channels
        and (extent.width == 1 or pixel_stride == whole.channels)
        and between == 0
        and row_pitch >= extent.width
        and (row_pitch == extent.width or not joined_rows)
    )
    return Place(
        whole=whole,
        offset=layout.offset,
        row_stride=row_stride,
        pixel_stride=pixel_stride,
        pixel=pixel,
        row_pitch=row_pitch,
        channel=channel,
        on_chip=on_chip,
    )
