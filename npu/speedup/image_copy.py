"""COPY operators of the image from numpy views: numpy knows the strides of slices and transposes.

A view is taken of a stand-in array of one byte per element, so that its strides are those of the
tensor in the arena.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from npu.speedup.image_builder import Constant, Place, Value
from sim.soc.firmware.image_format import COPY_RANK

Array = NDArray[np.int8]
Shape = Sequence[int]


def stand_in(shape: Shape) -> Array:
    """An array to take views of, in place of a tensor of `shape`."""
    return np.empty(shape, np.int8)


def offset_in(view: Array, base: Array) -> int:
    """Bytes from the start of `base` to the first element of its `view`."""
    start: int = view.__array_interface__["data"][0]
    origin: int = base.__array_interface__["data"][0]
    return start - origin


def moved(place: Place | Constant, offset: int) -> Place | Constant:
    """`offset` bytes behind `place`."""
    if isinstance(place, Place):
        return Place(place.key, place.offset + offset)
    return Constant(place.offset + offset)


def copy_parameters(
    source: Place | Constant, source_view: Array, target: Place | Constant, target_view: Array
) -> dict[str, Value]:
    """Parameters of a COPY from one view to another of the same shape; places are the views'.

    Raises `ValueError` when the views need more than `COPY_RANK` dimensions.
    """
    if source_view.shape != target_view.shape:
        raise ValueError(f"shapes are {source_view.shape} and {target_view.shape}; must be equal")
    dimensions = _merged(source_view, target_view)
    if len(dimensions) > COPY_RANK:
        raise ValueError(f"it moves data in {len(dimensions)} dimensions, {COPY_RANK} are possible")
    dimensions = [(1, 0, 0)] * (COPY_RANK - len(dimensions)) + dimensions
    parameters: dict[str, Value] = {"input": source, "output": target}
    for i, (extent, input_stride, output_stride) in enumerate(dimensions):
        parameters[f"extent{i}"] = extent
        parameters[f"input_stride{i}"] = input_stride
        parameters[f"output_stride{i}"] = output_stride
    return parameters


def broadcast_parameters(
    source: Place | Constant, shape: Shape, target: Place, target_shape: Shape
) -> dict[str, Value]:
    """Parameters of a COPY that repeats a tensor of `shape` to a larger one."""
    view = np.broadcast_to(stand_in(shape), target_shape)
    return copy_parameters(source, view, target, stand_in(target_shape))


def _merged(source: Array, target: Array) -> list[tuple[int, int, int]]:
    """(extent, strides), outermost first, with neighbours joined that both sides step through."""
    found: list[tuple[int, int, int]] = []
    for extent, one, other in zip(source.shape, source.strides, target.strides, strict=True):
        if extent == 1:
            continue
        if found and found[-1][1:] == (extent * one, extent * other):
            found[-1] = (found[-1][0] * extent, one, other)
        else:
            found.append((extent, one, other))
    return found or [(1, 1, 1)]
