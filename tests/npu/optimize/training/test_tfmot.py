"""`tensorflow-model-optimization` as an oracle, in its own process: schedule, mask, clusters."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.optimize.granularity import Groups, keep_mask
from npu.optimize.kmeans import nearest_centroid
from npu.optimize.training.schedule import RAMP, cubic

NEEDED = ("tensorflow_model_optimization", "tf_keras")
STEPS, RATIO, CLUSTERS = 100, 0.7, 12

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDED),
    reason="tensorflow-model-optimization is not installed",
)


@pytest.fixture(name="kernel", scope="module")
def kernel_fixture() -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((24, 20)).astype(np.float32)


@pytest.fixture(name="told", scope="module")
def told_fixture(
    kernel: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, NDArray[np.float64]]:
    """What it answers."""
    folder = tmp_path_factory.mktemp("tfmot")
    np.savez(
        folder / "in.npz",
        kernel=kernel,
        ratio=RATIO,
        end=round(RAMP * STEPS),
        steps=np.arange(1, STEPS + 1),
        clusters=CLUSTERS,
    )
    worker = Path(__file__).with_name("tfmot_worker.py")
    command = [sys.executable, str(worker), str(folder / "in.npz"), str(folder / "out.npz")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "out.npz") as answer:
        return dict(answer)


def test_the_cubic_schedule(told: dict[str, NDArray[np.float64]]) -> None:
    ours = cubic(RATIO, STEPS)
    np.testing.assert_allclose([ours(s) for s in range(1, STEPS + 1)], told["sparsity"], atol=1e-6)


def test_the_mask(kernel: NDArray[np.float32], told: dict[str, NDArray[np.float64]]) -> None:
    rows = kernel.T[:, None, :]
    mask = keep_mask(Groups(1, 1).energies(rows), RATIO)
    assert np.array_equal(mask[:, 0, :].T, told["mask"] != 0)


def test_clusters_from_a_linear_start(
    kernel: NDArray[np.float32], told: dict[str, NDArray[np.float64]]
) -> None:
    flat = kernel.reshape(-1).astype(np.float64)
    linear = np.linspace(flat.min(), flat.max(), CLUSTERS)
    np.testing.assert_allclose(np.sort(told["centroids"]), linear, rtol=1e-5, atol=1e-6)
    nearest = linear[nearest_centroid(flat, linear)]
    np.testing.assert_allclose(told["clustered"].reshape(-1), nearest, rtol=1e-5, atol=1e-5)
