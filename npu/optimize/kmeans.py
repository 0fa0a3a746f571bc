"""k-means in one dimension, on values with multiplicities.

Sorted values make each of Lloyd's steps a search: a cluster is a run of neighbours.
"""

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError
from npu.optimize.choices import Start
from npu.optimize.settings import MAX_CLUSTERS

ITERATIONS = 100
"""More than Lloyd's algorithm takes here; it ends when no value changes its cluster."""

Reals = NDArray[np.float64]


def cluster_values(
    values: Reals,
    multiplicities: Reals,
    clusters: int,
    *,
    start: Start = Start.DENSITY,
    seed: int = 0,
) -> Reals:
    """At most `clusters` centroids, ascending, that lie near all values: Lloyd's k-means.

    Parameters
    ----------
    values : float64 `[n]`, distinct or not. multiplicities : how much each counts, float64 `[n]`.
    start : `linear` spreads the centroids evenly over the range, `density` so that each has an
        equal share of the values, `k-means++` draws them one by one, likelier where the error is
        large (Arthur and Vassilvitskii 2007).
    seed : of `k-means++`.

    Raises
    ------
    OptimizeError : a number of clusters that is not from 1 to 256.
    """
    if not 1 <= clusters <= MAX_CLUSTERS:
        raise OptimizeError(f"clusters must be from 1 to {MAX_CLUSTERS}, got {clusters}")
    order = np.argsort(values, kind="stable")
    points, inverse = np.unique(values[order], return_inverse=True)
    counts = np.bincount(inverse, multiplicities[order], len(points)).astype(np.float64)
    if len(points) <= clusters:
        return points
    centroids = _start(points, counts, clusters, start, np.random.default_rng(seed))
    before = np.zeros(0, np.intp)
    for _ in range(ITERATIONS):
        nearest = nearest_centroid(points, centroids)
        if np.array_equal(nearest, before):
            break
        before = nearest
        total = np.bincount(nearest, counts, len(centroids))
        sums = np.bincount(nearest, counts * points, len(centroids))
        # a centroid that nothing is near to stays where it is
        centroids = np.where(total > 0, sums / np.maximum(total, 1e-300), centroids)
        centroids.sort()
    return centroids


def nearest_centroid(values: Reals, centroids: Reals) -> NDArray[np.intp]:
    """The index of the nearest of ascending `centroids` for each value; of two the greater."""
    return np.searchsorted((centroids[1:] + centroids[:-1]) / 2, values, side="right")


def _start(
    points: Reals, counts: Reals, clusters: int, start: Start, generator: np.random.Generator
) -> Reals:
    match start:
        case Start.LINEAR:
            return np.linspace(points[0], points[-1], clusters)
        case Start.DENSITY:
            shares = (np.arange(clusters) + 0.5) / clusters
            below = (np.cumsum(counts) - counts / 2) / counts.sum()
            return np.interp(shares, below, points)
        case Start.KMEANS_PP:
            chosen = [points[_draw(counts, generator)]]
            errors = np.square(points - chosen[0])
            while len(chosen) < clusters:
                chosen.append(points[_draw(counts * errors, generator)])
                errors = np.minimum(errors, np.square(points - chosen[-1]))
            return np.sort(np.array(chosen))


def _draw(weights: Reals, generator: np.random.Generator) -> int:
    ends = np.cumsum(weights)
    return int(np.searchsorted(ends, generator.random() * ends[-1], side="right"))
