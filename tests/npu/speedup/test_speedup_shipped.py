"""The measurements that ship are those of the sources beside them."""

from pathlib import Path

import pytest

from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model
from npu.speedup import store
from npu.speedup.image import network_image
from npu.speedup.rungs import CPU_RUNGS
from npu.speedup.store import find, measurement_key
from tests.support.shared_models import MLPERF, shared_model


@pytest.mark.parametrize("name", MLPERF)
def test_what_ships_is_of_these_sources(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPUs' figures do not depend on the RTL of the NPU; when this fails, run
    `python -m npu.speedup.regenerate MODEL...` and commit the result."""
    monkeypatch.setattr(store, "cache_folder", lambda: tmp_path)
    graph = read_model(shared_model(name))
    image = network_image(graph, load_inputs([], graph))
    for rung in CPU_RUNGS:
        key = measurement_key(rung, image, wait_states=0, compiler="zig", npu=None)
        found = find(key)
        assert found is not None, rung.name
        assert found.rung == rung.name
