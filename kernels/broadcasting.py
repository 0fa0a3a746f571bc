"""Operands of one elementwise operator, brought to one shape."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def broadcast_together(*operands: NDArray[Any]) -> list[NDArray[Any]]:
    """The `operands`, of any types, in the shape that they broadcast to.

    Raises ValueError for shapes that do not broadcast.
    """
    try:
        return list(np.broadcast_arrays(*operands))
    except ValueError:
        shapes = " and ".join(str(each.shape) for each in operands)
        raise ValueError(
            f"inputs have shapes {shapes}; allowed are shapes that broadcast"
        ) from None


def check_same_dtype(a: NDArray[Any], b: NDArray[Any]) -> None:
    """ValueError unless both operands have one dtype."""
    if a.dtype != b.dtype:
        raise ValueError(f"inputs are {a.dtype} and {b.dtype}; allowed is one type")
