"""The whole path in a few seconds and without a simulator build: `pytest tests/test_smoke.py`."""

import numpy as np
import pytest

from npu import zoo
from npu.golden import compare, run_golden
from npu.model.tflite_reader import read_model
from npu.offload.network import CompiledNetwork
from npu.offload.runner import run_network
from rtl.config import DEFAULT_PRESET, PRESETS
from sim.hazards import check_dependencies

pytestmark = pytest.mark.quick


def test_the_shipped_network_from_file_to_class() -> None:
    """Read, partition, compile, execute the commands, compare every tensor with TFLM."""
    path = zoo.model_path()
    graph = read_model(path)
    images, labels, _ = zoo.load_images()
    inputs = {graph.inputs[0]: zoo.to_int8(images[:1])}
    config = PRESETS[DEFAULT_PRESET]
    result = run_network(
        graph, inputs, config=config, backend="functional", keep_intermediates=True
    )
    comparison = compare(graph, run_golden(path.read_bytes(), graph, inputs), result.values)
    assert comparison.bit_exact, comparison.summary
    (output,) = result.outputs.values()
    assert int(np.argmax(output)) == int(labels[0])


def test_the_shipped_network_compiles_without_races() -> None:
    network = CompiledNetwork(read_model(zoo.model_path()), PRESETS[DEFAULT_PRESET])
    for program in network.programs.values():
        check_dependencies(program)
