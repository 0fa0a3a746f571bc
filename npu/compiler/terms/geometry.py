"""Feature maps, where they lie, and the windows that slide over them.

A feature map is `[height, width, channels]` without a batch.
"""

from dataclasses import dataclass

Rows = tuple[int, int]
"""First row and the row behind the last one."""


def ceil_div(a: int, b: int) -> int:
    """`a / b` rounded up."""
    return -(-a // b)


@dataclass(frozen=True, slots=True)
class Extent:
    """Size of a feature map."""

    height: int
    width: int
    channels: int

    @property
    def pixels(self) -> int:
        """Pixels of the map."""
        return self.height * self.width

    @property
    def size(self) -> int:
        """Elements of the map, also its bytes in external memory."""
        return self.height * self.width * self.channels

    def planes(self, lanes: int) -> int:
        """Scratchpad planes of `lanes` channels."""
        return ceil_div(self.channels, lanes)

    def words(self, lanes: int) -> int:
        """Scratchpad words of the whole map."""
        return self.planes(lanes) * self.pixels


NO_MAP = Extent(0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a map lies within the tensor that holds its bytes, which is a map itself.

    Parameters
    ----------
    whole : that map.
    offset, row_stride, pixel_stride : bytes, in the arena.
    pixel, row_pitch, channel : in the scratchpad: the first pixel, pixels from one row to the
        next, the first channel.
    on_chip : whether the map can be used where the tensor lies in the scratchpad.
    repeats, repeat_stride : in the arena: how often rows that are written are repeated, and the
        bytes from one to the next.
    parts : in the arena: ranges of channels that lie apart.
    """

    whole: Extent
    offset: int
    row_stride: int
    pixel_stride: int
    pixel: int
    row_pitch: int
    channel: int
    on_chip: bool
    repeats: int = 1
    repeat_stride: int = 0
    parts: "tuple[PlacePart, ...]" = ()

    @classmethod
    def of_all(cls, extent: Extent) -> "Place":
        """A map that is all of its tensor."""
        return cls(
            whole=extent,
            offset=0,
            row_stride=extent.width * extent.channels,
            pixel_stride=extent.channels,
            pixel=0,
            row_pitch=extent.width,
            channel=0,
            on_chip=True,
        )

    def is_all(self, extent: Extent) -> bool:
        """Whether a map of `extent` here is all of its tensor, as that lies in the scratchpad."""
        return self.on_chip and extent.size == self.whole.size


@dataclass(frozen=True, slots=True)
class PlacePart:
    """`channels` channels of a map, as a map of their own at `place` in `tensor`."""

    tensor: int
    channels: int
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWindow:
    """A sliding window: output row `y`, tap `k` reads `y * stride_y - pad_top + k * dilation_y`.

    Padding may be negative: the window then starts inside the map. What it needs behind the
    last row or column is not stated: anything outside the map reads as the zero point.
    """

    height: int = 1
    width: int = 1
    stride_y: int = 1
    stride_x: int = 1
    dilation_y: int = 1
    dilation_x: int = 1
    pad_top: int = 0
    pad_left: int = 0

    @property
    def pointwise(self) -> bool:
        """One tap, no stride, no padding: pixels are independent of where they lie."""
        return self == SlidingWindow()

    @property
    def extent_y(self) -> int:
        """Rows that one output row spans."""
        return (self.height - 1) * self.dilation_y + 1


@dataclass(frozen=True, slots=True)
class Area:
    """Output rows `y0..y1` and columns `x0..x1` (ends excluded)."""

    y0: int
    y1: int
    x0: int
    x1: int

    @classmethod
    def of_all(cls, extent: Extent) -> "Area":
        """All of a map."""
        return cls(0, extent.height, 0, extent.width)
