"""How the shapes of tensors become feature maps."""

import numpy as np

from npu.compiler.terms.geometry import Extent

EXTENT_LIMIT = (1 << 16) - 1
"""Rows and columns of a map at most."""

CHANNEL_LIMIT = 4 * ((1 << 12) - 1)
"""Channels of a map at most: commands count them in words of at least four, in 12 bits."""


def natural_extent(shape: tuple[int, ...]) -> Extent:
    """The map that a tensor's shape suggests: `[1, H, W, C]`, or rows of the last dimension."""
    if len(shape) == 4 and shape[0] == 1:
        return Extent(*shape[1:])
    channels = shape[-1] if shape else 1
    return Extent(1, int(np.prod(shape[:-1], dtype=np.int64)), channels)


def is_map(shape: tuple[int, ...]) -> bool:
    """Whether each dimension but a batch of one is a dimension of a map, see `map_extent`."""
    return len(shape) <= 3 or (len(shape) == 4 and shape[0] == 1)


def map_extent(shape: tuple[int, ...]) -> Extent:
    """The map with a dimension for each of the last three: it lies in memory as the natural one."""
    return Extent(*((1, 1, 1, *shape)[-3:]))


def map_axes(axes: tuple[int, ...], rank: int) -> tuple[bool, bool, bool]:
    """Which of height, width and channels of the map are among the `axes` of a tensor."""
    height, width, channels = (rank - 3 + i in axes for i in range(3))
    return height, width, channels
