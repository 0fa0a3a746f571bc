"""What weights keep to while they are trained: masks and shared values, as Keras constraints.

A constraint is applied inside the compiled training step, right behind the optimizer's update.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from npu.optimize.kmeans import nearest_centroid
from npu.optimize.training.models import from_rows


class Mask(keras.constraints.Constraint):  # type: ignore[misc]
    """Weights outside the mask are zero.

    Parameters
    ----------
    mask : of the kernel's shape, true for the weights that live.
    """

    def __init__(self, mask: NDArray[Any]) -> None:
        self.mask = keras.Variable(np.asarray(mask, np.float32), trainable=False, name="mask")

    def __call__(self, w: Any) -> Any:
        return w * self.mask

    def set(self, mask: NDArray[Any]) -> None:
        """Another mask, from the next step on."""
        self.mask.assign(np.asarray(mask, np.float32))


class SharedValues(keras.constraints.Constraint):  # type: ignore[misc]
    """A kernel has few values, up to a scale for each output channel; zeros stay zero.

    A step moves a value by the mean of what it would move its weights: that trains the centroids,
    while each weight stays with its own.

    Parameters
    ----------
    kernel : float32 `[..., outputs]`, whose zeros stay zero.
    scales : float32 `[outputs]`; values are clustered as `kernel / scales`.
    centroids : float64, ascending; see `npu.optimize.kmeans`.
    """

    def __init__(
        self, kernel: NDArray[Any], scales: NDArray[Any], centroids: NDArray[np.float64]
    ) -> None:
        alive = (kernel != 0).astype(np.float32)
        assigned = nearest_centroid((kernel / scales).astype(np.float64), centroids)
        self._shape = kernel.shape
        self._count = len(centroids)
        self.scales = np.asarray(scales, np.float32)
        self.mask = keras.Variable(alive, trainable=False, name="mask")
        self.assigned = keras.Variable(
            assigned.reshape(-1).astype(np.int32), trainable=False, dtype="int32", name="assigned"
        )
        counts = np.bincount(assigned.reshape(-1), alive.reshape(-1), self._count)
        self._counts = np.maximum(counts, 1).astype(np.float32)

    def __call__(self, w: Any) -> Any:
        ops = keras.ops
        relative = ops.reshape(w / self.scales * self.mask, (-1,))
        sums = ops.segment_sum(relative, self.assigned, num_segments=self._count)
        values = ops.take(sums / self._counts, self.assigned)
        return ops.reshape(values, self._shape) * self.mask * self.scales

    def codes(self, kernel: NDArray[Any], limit: int) -> NDArray[np.int8]:
        """The kernel's weights in units of `scales`, rounded; living ones are never zero."""
        relative = kernel / self.scales
        rounded = np.clip(np.rint(relative), -limit, limit)
        alive = np.asarray(self.mask) != 0
        sign = np.where(relative < 0, -1, 1)
        return np.where(alive, np.where(rounded == 0, sign, rounded), 0).astype(np.int8)


def arm(layer: Any, constraint: Any) -> None:
    """Hold a layer's kernel to a constraint, at once and in what is compiled from now on."""
    layer.kernel.constraint = constraint
    if constraint is not None:
        layer.kernel.assign(constraint(layer.kernel.value))


def mask_rows(layer: Any, rows: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A mask `[outputs, taps, inputs]` in the shape of a layer's kernel."""
    return from_rows(rows.astype(np.float32), tuple(layer.kernel.shape))
