"""PAD and RESHAPE: they move int8 or int16 values and compute nothing."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.checks import Pair, check_pair, check_quantized, check_zero_point

Value = TypeVar("Value", np.int8, np.int16)


def pad(ifm: NDArray[Value], paddings: Sequence[Pair], *, value: int) -> NDArray[Value]:
    """PAD with (before, after) for each dimension of `ifm`, by `value`.

    TFLM pads with the OFM's zero point, or with the third input of PADV2.
    Raises ValueError for a wrong dtype, a number of pairs that is not the rank, or bad values.
    """
    check_zero_point("pad value", value, check_quantized("ifm", ifm))
    if len(paddings) != ifm.ndim:
        raise ValueError(
            f"paddings are {len(paddings)} pairs; allowed is one per dimension: {ifm.ndim}"
        )
    for pair in paddings:
        check_pair("padding", pair, 0)
    shape = [n + before + after for n, (before, after) in zip(ifm.shape, paddings, strict=True)]
    ofm = np.full(shape, value, ifm.dtype)
    inside = tuple(
        slice(before, before + n) for n, (before, _) in zip(ifm.shape, paddings, strict=True)
    )
    ofm[inside] = ifm
    return ofm


def reshape(ifm: NDArray[Value], shape: Sequence[int]) -> NDArray[Value]:
    """RESHAPE to `shape`, which may hold one -1. The result shares memory with a contiguous `ifm`.

    Raises ValueError for a wrong dtype, or a shape with another number of values.
    """
    check_quantized("ifm", ifm)
    try:
        return ifm.reshape(tuple(shape))
    except ValueError:
        raise ValueError(
            f"shape is {tuple(shape)}; allowed are shapes of {ifm.size} values, with at most one -1"
        ) from None
