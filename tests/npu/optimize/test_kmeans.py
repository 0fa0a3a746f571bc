"""k-means in one dimension."""

import numpy as np
import pytest

from npu.errors import OptimizeError
from npu.optimize.choices import Start
from npu.optimize.kmeans import cluster_values, nearest_centroid


@pytest.mark.parametrize("start", list(Start))
def test_apart_clusters_are_found(start: Start) -> None:
    rng = np.random.default_rng(1)
    centres = np.array([-50.0, -3.0, 20.0, 90.0])
    values = (centres[:, None] + rng.normal(0, 0.1, (4, 100))).reshape(-1)
    found = cluster_values(values, np.ones(400), 4, start=start, seed=2)
    np.testing.assert_allclose(found, centres, atol=0.1)


@pytest.mark.parametrize("start", list(Start))
@pytest.mark.parametrize("seed", range(3))
def test_every_centroid_is_the_mean_of_its_cluster(start: Start, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, counts = rng.normal(0, 1, 500), rng.integers(1, 9, 500).astype(np.float64)
    found = cluster_values(values, counts, 16, start=start, seed=seed)
    nearest = nearest_centroid(values, found)
    for cluster in np.unique(nearest):
        chosen = nearest == cluster
        mean = np.average(values[chosen], weights=counts[chosen])
        assert found[cluster] == pytest.approx(mean)
    assert np.all(np.diff(found) >= 0)


def test_multiplicities_pull() -> None:
    values, counts = np.array([0.0, 1.0, 10.0]), np.array([3.0, 1.0, 1.0])
    np.testing.assert_allclose(cluster_values(values, counts, 2), [0.25, 10.0])


def test_few_values_are_their_own_centroids() -> None:
    found = cluster_values(np.array([2.0, 1.0, 2.0]), np.ones(3), 5)
    assert found.tolist() == [1.0, 2.0]


def test_the_same_seed_gives_the_same() -> None:
    values = np.random.default_rng(0).normal(0, 1, 300)
    a, b = (cluster_values(values, np.ones(300), 8, start=Start.KMEANS_PP, seed=9) for _ in "ab")
    assert np.array_equal(a, b)


@pytest.mark.parametrize("clusters", [0, 257])
def test_number_of_clusters_is_checked(clusters: int) -> None:
    with pytest.raises(OptimizeError, match=f"clusters must be from 1 to 256, got {clusters}"):
        cluster_values(np.zeros(3), np.ones(3), clusters)
