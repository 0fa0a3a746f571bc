"""A small network to explore, and a cache of a test's own."""

from pathlib import Path

import pytest

from sim.cache import CACHE_VARIABLE
from tests.npu.small_model import classifier


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture(name="model")
def model_fixture(tmp_path: Path) -> Path:
    path = tmp_path / "classifier.tflite"
    path.write_bytes(classifier())
    return path
