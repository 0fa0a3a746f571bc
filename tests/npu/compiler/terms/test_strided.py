"""Layouts of tensors in the bytes of others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.compiler.terms.strided import Strided

pytestmark = pytest.mark.quick


def positions(layout: Strided) -> np.ndarray:
    """The byte of every element."""
    found = np.full(layout.shape, layout.offset)
    for axis, (count, stride) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        steps = np.arange(count) * stride
        found = found + steps.reshape(-1, *(1,) * (len(layout.shape) - 1 - axis))
    return found


CHANGES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "slice": lambda a: a[:, 1:3, ::2],
    "backwards": lambda a: a[::-1, :, ::-3],
    "permuted": lambda a: a.transpose(2, 0, 1),
    "regrouped": lambda a: a.reshape(6, 20, copy=False),
    "repeated": lambda a: np.broadcast_to(a[:, None], (4, 2, 3, 10)),
    "indexed": lambda a: a[2, :, 4:],
}


@pytest.mark.parametrize("name", CHANGES)
def test_layouts_follow_numpy(name: str) -> None:
    dense = Strided.dense((4, 3, 10))
    expected = CHANGES[name](np.arange(120).reshape(4, 3, 10))
    np.testing.assert_array_equal(positions(dense.apply(CHANGES[name])), expected)


def test_layout_that_takes_a_copy_is_no_view() -> None:
    turned = Strided.dense((4, 3)).apply(np.transpose)
    assert not turned.is_dense
    with pytest.raises(ValueError, match="copy"):
        turned.reshape(12)
