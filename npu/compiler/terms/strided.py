"""Where the elements of a tensor lie in the bytes of another one: shape, strides and offset.

NumPy knows when a permuted, sliced or reshaped array is still a view of the same bytes. It is
asked here with arrays that have no memory behind them and are never read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

_ORIGIN = np.zeros(1, np.int8)

Change = Callable[[NDArray[np.int8]], NDArray[np.int8]]
"""Something that slices, permutes or reshapes an array without reading it."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A dimension of elements that move: their number, and strides in bytes at both ends."""

    count: int
    read: int
    write: int


@dataclass(frozen=True, slots=True)
class Strided:
    """Element `i` of an int8 tensor is at byte `offset + sum(i * strides)` of what holds it."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @classmethod
    def dense(cls, shape: tuple[int, ...]) -> "Strided":
        """A tensor that holds its own bytes."""
        strides = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
        return cls(tuple(shape), strides)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def is_dense(self) -> bool:
        """Whether elements follow each other in order, wherever they begin."""
        expected = Strided.dense(self.shape).strides
        return all(
            n == 1 or given == stride
            for n, given, stride in zip(self.shape, self.strides, expected, strict=True)
        )

    def same_bytes(self, other: "Strided") -> bool:
        """Whether every element is at the same byte as that of `other`."""
        return (self.shape, self.offset) == (other.shape, other.offset) and all(
            n == 1 or mine == its
            for n, mine, its in zip(self.shape, self.strides, other.strides, strict=True)
        )

    def apply(self, change: Change) -> "Strided":
        """What `change` makes of it.

        Raises `ValueError` when the result is not a view of the same bytes.
        """
        array = as_strided(_ORIGIN, self.shape, self.strides)
        changed = change(array)
        moved = _address(changed) - _address(array)
        return Strided(changed.shape, changed.strides, self.offset + moved)

    def reshape(self, *shape: int) -> "Strided":
        """The same elements in another shape; `ValueError` when that takes a copy."""
        return self.apply(lambda array: np.reshape(array, shape, copy=False))


def _address(array: NDArray[np.int8]) -> int:
    return int(array.__array_interface__["data"][0])
