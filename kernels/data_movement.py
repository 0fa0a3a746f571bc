"""Operators that move values without changing them. Exact by construction, for any dtype.

All results are new C-contiguous arrays. An axis may be negative: it then counts from the last.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


def transpose(ifm: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
    """TRANSPOSE: dimension i of the result is dimension `order[i]` of `ifm`.

    Raises ValueError when `order` is not a permutation of the dimensions.
    """
    if sorted(order) != list(range(ifm.ndim)):
        raise ValueError(f"order is {list(order)}; allowed is a permutation of 0 to {ifm.ndim - 1}")
    return _copy(ifm.transpose(tuple(order)))


def concatenate(parts: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    """CONCATENATION: `parts` joined along `axis`.

    TFLM demands one quantization of all parts: nothing is rescaled.
    Raises ValueError when shapes (other than along `axis`) or dtypes differ.
    """
    _check_one_dtype(parts)
    return np.ascontiguousarray(np.concatenate(parts, axis))


def split(ifm: NDArray[Any], sizes: Sequence[int], axis: int) -> list[NDArray[Any]]:
    """SPLIT and SPLIT_V: consecutive parts of `sizes` along `axis`.

    Raises ValueError for an axis that does not exist, or sizes that do not add up to it.
    """
    axis = _resolve_axis(axis, ifm.ndim)
    if min(sizes, default=0) < 1 or sum(sizes) != ifm.shape[axis]:
        raise ValueError(
            f"sizes are {list(sizes)}; allowed are sizes of 1 or more that add up to "
            f"{ifm.shape[axis]}"
        )
    ends = np.cumsum(sizes)[:-1]
    return [_copy(part) for part in np.split(ifm, ends, axis)]


def pack(parts: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    """PACK: `parts` of one shape, stacked along a new dimension `axis` of the result.

    Raises ValueError when shapes or dtypes differ, or for an axis that the result has not.
    """
    _check_one_dtype(parts)
    shapes = sorted({part.shape for part in parts})
    if len(shapes) != 1:
        raise ValueError(f"parts have shapes {shapes}; allowed is one shape")
    return np.ascontiguousarray(np.stack(parts, _resolve_axis(axis, parts[0].ndim + 1)))


def unpack(ifm: NDArray[Any], axis: int) -> list[NDArray[Any]]:
    """UNPACK: one array for each index of dimension `axis`, without that dimension.

    Raises ValueError for an axis that does not exist.
    """
    axis = _resolve_axis(axis, ifm.ndim)
    return [_copy(part) for part in np.moveaxis(ifm, axis, 0)]


class AxisSlice(NamedTuple):
    """What STRIDED_SLICE takes of one dimension; an index drops it."""

    start: int
    size: int
    stride: int
    dropped: bool


def axis_slices(
    shape: Sequence[int],
    begin: Sequence[int],
    end: Sequence[int],
    strides: Sequence[int],
    *,
    begin_mask: int,
    end_mask: int,
    shrink_axis_mask: int,
) -> list[AxisSlice]:
    """What a STRIDED_SLICE takes of each dimension of `shape`: Python's rules for slices.

    Raises ValueError for another number of values than dimensions, a stride of 0, an empty result,
    or an index that does not exist.
    """
    for name, given in (("begin", begin), ("end", end), ("strides", strides)):
        if len(given) != len(shape):
            raise ValueError(f"{name} has {len(given)} values; allowed is {len(shape)}")
    found = []
    for axis, size in enumerate(shape):
        stride, bit = strides[axis], 1 << axis
        if stride == 0:
            raise ValueError(f"stride of dimension {axis} is 0; allowed is any other")
        first = None if begin_mask & bit else begin[axis]
        if shrink_axis_mask & bit:
            index = first or 0
            if not -size <= index < size or stride < 0:
                raise ValueError(
                    f"index into dimension {axis} is {index} with stride {stride}; allowed is "
                    f"{-size} to {size - 1} with a positive stride"
                )
            found.append(AxisSlice(index % size, 1, 1, True))
            continue
        last = None if end_mask & bit else end[axis]
        taken = range(size)[slice(first, last, stride)]
        if not taken:
            raise ValueError(f"nothing of dimension {axis} is taken; allowed is 1 value or more")
        found.append(AxisSlice(taken.start, len(taken), stride, False))
    return found


def strided_slice(ifm: NDArray[Any], slices: Sequence[AxisSlice]) -> NDArray[Any]:
    """STRIDED_SLICE, with `slices` of `axis_slices` for the shape of `ifm`."""
    taken: list[Any] = []
    for one in slices:
        end = one.start + one.size * one.stride
        # a negative end would count from the last
        whole = slice(one.start, end if end >= 0 else None, one.stride)
        taken.append(one.start if one.dropped else whole)
    return _copy(ifm[tuple(taken)])


def space_to_depth(ifm: NDArray[Any], block: int) -> NDArray[Any]:
    """SPACE_TO_DEPTH: blocks of `block` x `block` pixels of `ifm` (NHWC) become one pixel each.

    The channels of a block's pixels follow each other, row by row.
    Raises ValueError for another rank than 4, or a height or width that is no multiple of `block`.
    """
    batches, height, width, channels = _nhwc(ifm)
    if block < 1 or height % block or width % block:
        raise ValueError(
            f"block is {block}; allowed for {height} x {width} pixels is a divisor of both"
        )
    blocks = ifm.reshape(batches, height // block, block, width // block, block, channels)
    moved = blocks.transpose(0, 1, 3, 2, 4, 5)
    return _copy(moved).reshape(batches, height // block, width // block, -1)


def depth_to_space(ifm: NDArray[Any], block: int) -> NDArray[Any]:
    """DEPTH_TO_SPACE: each pixel of `ifm` (NHWC) becomes `block` x `block` pixels.

    Raises ValueError for another rank than 4, or channels that are no multiple of `block` squared.
    """
    batches, height, width, channels = _nhwc(ifm)
    if block < 1 or channels % (block * block):
        raise ValueError(
            f"block is {block}; allowed for {channels} channels is one whose square divides them"
        )
    pixels = ifm.reshape(batches, height, width, block, block, -1)
    moved = pixels.transpose(0, 1, 3, 2, 4, 5)
    return _copy(moved).reshape(batches, height * block, width * block, -1)


def broadcast_to(ifm: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """BROADCAST_TO: `ifm` repeated to `shape`.

    Raises ValueError for a shape that `ifm` does not broadcast to.
    """
    try:
        return _copy(np.broadcast_to(ifm, tuple(shape)))
    except ValueError:
        raise ValueError(
            f"shape is {tuple(shape)}; allowed are shapes that {ifm.shape} broadcasts to"
        ) from None


def gather(ifm: NDArray[Any], indices: NDArray[Any], axis: int) -> NDArray[Any]:
    """GATHER: the slices of `ifm` at `indices` (any shape, integers from 0) along `axis`.

    Raises ValueError for an axis or an index that does not exist.
    """
    axis = _resolve_axis(axis, ifm.ndim)
    size = ifm.shape[axis]
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise ValueError(
            f"indices span {indices.min()} to {indices.max()}; allowed is 0 to {size - 1}"
        )
    return np.ascontiguousarray(np.take(ifm, indices, axis))


def mirror_pad(
    ifm: NDArray[Any], paddings: Sequence[tuple[int, int]], *, symmetric: bool
) -> NDArray[Any]:
    """MIRROR_PAD with (before, after) for each dimension, with (`symmetric`) or without the border.

    Raises ValueError for a number of pairs that is not the rank, or more padding than values.
    """
    if len(paddings) != ifm.ndim:
        raise ValueError(
            f"paddings are {len(paddings)} pairs; allowed is one per dimension: {ifm.ndim}"
        )
    for size, pair in zip(ifm.shape, paddings, strict=True):
        limit = size if symmetric else size - 1
        if not 0 <= min(pair) <= max(pair) <= limit:
            raise ValueError(f"padding is {tuple(pair)}; allowed is 0 to {limit}")
    return np.ascontiguousarray(np.pad(ifm, paddings, "symmetric" if symmetric else "reflect"))


def _copy(view: NDArray[Any]) -> NDArray[Any]:
    return np.array(view, order="C")


def _nhwc(ifm: NDArray[Any]) -> tuple[int, int, int, int]:
    if ifm.ndim != 4:
        raise ValueError(f"ifm has shape {ifm.shape}; allowed are 4 dimensions")
    batches, height, width, channels = ifm.shape
    return batches, height, width, channels


def _resolve_axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis is {axis}; allowed is {-rank} to {rank - 1}")
    return axis % rank


def _check_one_dtype(parts: Sequence[NDArray[Any]]) -> None:
    dtypes = sorted({part.dtype.name for part in parts})
    if len(dtypes) != 1:
        raise ValueError(f"parts are of {', '.join(dtypes) or 'no'} type; allowed is one dtype")
