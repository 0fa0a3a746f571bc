"""Operators that move values without changing them. Exact by construction, for any dtype."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def transpose(ifm: NDArray[Any], order: Sequence[int]) -> NDArray[Any]:
    """TRANSPOSE: dimension i of the result is dimension `order[i]` of `ifm`, C-contiguous.

    Raises ValueError when `order` is not a permutation of the dimensions.
    """
    if sorted(order) != list(range(ifm.ndim)):
        raise ValueError(f"order is {list(order)}; allowed is a permutation of 0 to {ifm.ndim - 1}")
    return np.ascontiguousarray(ifm.transpose(tuple(order)))


def concatenate(parts: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    """CONCATENATION: `parts` joined along `axis` (negative counts from the last), C-contiguous.

    TFLM demands one quantization of all parts: nothing is rescaled.
    Raises ValueError when shapes (other than along `axis`) or dtypes differ.
    """
    dtypes = sorted({part.dtype.name for part in parts})
    if len(dtypes) != 1:
        raise ValueError(f"parts are of {', '.join(dtypes) or 'no'} type; allowed is one dtype")
    return np.ascontiguousarray(np.concatenate(parts, axis))
