"""Prunes and clusters the codes of a ready int8 network, without any training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from npu.optimize.choices import Start
from npu.optimize.granularity import Groups, keep_mask
from npu.optimize.kmeans import cluster_values, nearest_centroid
from npu.optimize.weights import INT8_LIMIT, LayerWeights


def prune_codes(layer: LayerWeights, groups: Groups, ratio: float) -> LayerWeights:
    """The layer with the `ratio` of groups zeroed whose real weights have the least energy.

    Weights that are zero already stay so, and their groups count among those dropped.
    """
    keep = groups.spread(keep_mask(groups.energies(layer.real), ratio), layer.codes.shape)
    return layer.with_codes(np.where(keep, layer.codes, 0).astype(np.int8))


def cluster_codes(
    layer: LayerWeights, clusters: int, *, start: Start = Start.DENSITY, seed: int = 0
) -> LayerWeights:
    """The layer with at most `clusters` distinct codes, zero among them if there was a zero.

    Codes are what is clustered, `w / scale(channel)`, so that all channels share one table. A code
    counts with the square of its channel's scale: the error is that of the real weights. Zeros
    stay zero, and no other weight becomes zero.
    """
    codes = layer.codes
    importance = np.broadcast_to(
        np.square(layer.scales, dtype=np.float64)[:, None, None], codes.shape
    )
    zeros = bool(np.any(codes == 0))
    low = -int(codes.min(initial=0))
    counts = np.bincount((codes.astype(np.int64) + low).reshape(-1), importance.reshape(-1)).astype(
        np.float64
    )
    counts = np.append(counts, np.zeros(max(0, low + 1 - len(counts))))
    counts[low] = 0
    values = np.arange(len(counts), dtype=np.float64) - low
    present = counts > 0
    free = clusters - zeros
    if np.count_nonzero(present) <= free:
        return layer
    if free < 1:
        return layer.with_codes(np.zeros_like(codes))
    centroids = integer_centroids(
        cluster_values(values[present], counts[present], free, start=start, seed=seed)
    )
    table = centroids[nearest_centroid(values, centroids.astype(np.float64))]
    table[low] = 0
    return layer.with_codes(table[codes.astype(np.int64) + low].astype(np.int8))


def integer_centroids(centroids: NDArray[np.float64]) -> NDArray[np.int64]:
    """Centroids as codes: rounded, within -127..127, and never zero, which only zeros are."""
    rounded = np.clip(np.rint(centroids), -INT8_LIMIT, INT8_LIMIT).astype(np.int64)
    rounded[rounded == 0] = np.where(centroids[rounded == 0] < 0, -1, 1)
    return np.unique(rounded)


def kept_dense(layers: Sequence[LayerWeights], dense: frozenset[str]) -> frozenset[int]:
    """The operators that stay dense: `first`, `last`, and those named by their index.

    Depthwise ones are never among `layers`.
    """
    kept = {layer.operator for layer in layers if str(layer.operator) in dense}
    if layers and "first" in dense:
        kept.add(layers[0].operator)
    if layers and "last" in dense:
        kept.add(layers[-1].operator)
    return frozenset(kept)
