"""Weights with few values, trained as such."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.optimize.choices import Start
from npu.optimize.kmeans import cluster_values
from npu.optimize.training.constraints import SharedValues, arm
from npu.optimize.training.models import to_rows
from npu.optimize.weights import INT8_LIMIT


@dataclass(frozen=True, eq=False)
class Codes:
    """What a layer's weights become in the file.

    Attributes
    ----------
    codes : int8 `[outputs, taps, inputs]`. scales : float32 `[outputs]`.
    """

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]


def channel_scales(kernel: NDArray[Any], limit: int = INT8_LIMIT) -> NDArray[np.float32]:
    """The scale of each output channel, `max |w| / limit`; 1 where all weights are zero."""
    largest = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0)
    return np.where(largest > 0, largest / limit, 1).astype(np.float32)


def share_values(
    layer: Any, clusters: int, *, start: Start = Start.DENSITY, seed: int = 0
) -> SharedValues:
    """Cluster a layer's weights, and hold its kernel to the clusters from now on.

    Weights are clustered as `w / scale(channel)`, in the unit of their int8 codes, so that all
    channels share one table; each counts with the square of its scale. Zeros are a value of their
    own, if there are any.
    """
    kernel = np.asarray(layer.kernel)
    scales = channel_scales(kernel)
    alive = kernel != 0
    relative = (kernel / scales).astype(np.float64)
    importance = np.broadcast_to(np.square(scales, dtype=np.float64), kernel.shape)
    free = clusters if alive.all() else clusters - 1
    centroids = cluster_values(relative[alive], importance[alive], free, start=start, seed=seed)
    constraint = SharedValues(kernel, scales, centroids)
    arm(layer, constraint)
    return constraint


def clustered_codes(layer: Any, limit: int = INT8_LIMIT) -> Codes:
    """The codes of a layer whose kernel is held to `SharedValues`."""
    constraint = layer.kernel.constraint
    codes = constraint.codes(np.asarray(layer.kernel), limit)
    return Codes(to_rows(codes), constraint.scales)
