"""A ready network and data for it, as files."""

from pathlib import Path

import numpy as np
import pytest

from tests.npu.optimize.networks import random_split, two_convolutions


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(two_convolutions())
    return path


@pytest.fixture(name="data")
def data_fixture(tmp_path: Path) -> Path:
    split = random_split()
    path = tmp_path / "data.npz"
    np.savez(path, x_train=split.x, y_train=split.y, x_test=split.x, y_test=split.y)
    return path
