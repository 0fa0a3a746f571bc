"""Operators that pick or put values by computed indices. Exact for any dtype.

All results are new C-contiguous arrays.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def reverse(ifm: NDArray[Any], axes: Sequence[int]) -> NDArray[Any]:
    """REVERSE_V2 along `axes`, which may be negative.

    As in TFLM, axes have to follow each other. Raises ValueError otherwise, for none at all, and
    for axes that do not exist or are repeated.
    """
    if any(not -ifm.ndim <= axis < ifm.ndim for axis in axes):
        raise ValueError(f"axes are {list(axes)}; allowed is {-ifm.ndim} to {ifm.ndim - 1}")
    found = sorted(axis % ifm.ndim for axis in axes)
    if not found or found != list(range(found[0], found[0] + len(found))):
        raise ValueError(f"axes are {list(axes)}; allowed are axes that follow each other")
    return np.ascontiguousarray(np.flip(ifm, tuple(found)))


def gather_nd(ifm: NDArray[Any], indices: NDArray[Any]) -> NDArray[Any]:
    """GATHER_ND: the value or part of `ifm` at each position along the last axis of `indices`.

    Raises ValueError for positions with more numbers than `ifm` has dimensions, or outside it.
    """
    depth = indices.shape[-1] if indices.ndim else 0
    if not 1 <= depth <= ifm.ndim:
        raise ValueError(f"positions have {depth} numbers; allowed is 1 to {ifm.ndim}")
    for axis, size in enumerate(ifm.shape[:depth]):
        _check_indices(indices[..., axis], size)
    return np.ascontiguousarray(ifm[tuple(np.moveaxis(indices, -1, 0))])


def embedding_lookup(indices: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """EMBEDDING_LOOKUP: the rows of `table` at `indices`, which has one dimension.

    Raises ValueError for another rank, or a row that does not exist.
    """
    if indices.ndim != 1 or table.ndim < 2:
        raise ValueError(
            f"indices and table have {indices.ndim} and {table.ndim} dimensions; allowed are 1, "
            "and 2 or more"
        )
    _check_indices(indices, table.shape[0])
    return np.ascontiguousarray(table[indices])


def dynamic_update_slice(
    ifm: NDArray[Any], update: NDArray[Any], start: Sequence[int]
) -> NDArray[Any]:
    """DYNAMIC_UPDATE_SLICE: `ifm` with `update` at `start`, which is moved to where it fits.

    Raises ValueError for another number of dimensions, or an update that is larger than `ifm`.
    """
    if update.ndim != ifm.ndim or len(start) != ifm.ndim:
        raise ValueError(
            f"the update has {update.ndim} dimensions and starts at {list(start)}; allowed are "
            f"{ifm.ndim} each"
        )
    ofm = np.array(ifm, order="C")
    inside = []
    for first, size, whole in zip(start, update.shape, ifm.shape, strict=True):
        if size > whole:
            raise ValueError(f"the update has shape {update.shape}; allowed is up to {ifm.shape}")
        begin = min(max(int(first), 0), whole - size)
        inside.append(slice(begin, begin + size))
    ofm[tuple(inside)] = update
    return ofm


def _check_indices(indices: NDArray[Any], size: int) -> None:
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        raise ValueError(
            f"indices span {indices.min()} to {indices.max()}; allowed is 0 to {size - 1}"
        )
