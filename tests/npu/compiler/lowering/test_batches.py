"""Windows over batches of maps against TFLM."""

import numpy as np
import pytest

from npu.golden import run_golden
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from rtl.config import PRESETS
from tests.npu.compiler.support import CONFIGS, check_model
from tests.support.random_layers import (
    random_add,
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
)
from tests.support.tflite_builder import ModelBuilder


def batched(seed: int, batch: int) -> bytes:
    """Convolutions, pools, a sum and a matrix product, of several maps at once."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, (batch, *(int(n) for n in rng.integers(7, 14, 2)), 5))
    y = random_conv2d(m, rng, x, int(rng.integers(1, 20)), (3, 3))
    z = random_depthwise_conv2d(m, rng, y, (3, 3))
    x = random_add(m, rng, y, z)
    x = m.max_pool2d(x, window=(2, 2), stride=(2, 2))
    x = m.pad(x, [(0, 0), (1, 0), (0, 2), (0, 0)])
    x = random_conv2d(m, rng, x, 8, (2, 3), stride=(2, 1), padding="VALID")
    x = m.average_pool2d(x, window=(x.shape[1], x.shape[2]), padding="VALID")
    x = m.reshape(x, (batch, 8))
    return m.build([random_fully_connected(m, rng, x, 3)])


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("batch", [2, 3, 7])
def test_batches_equal_tflm(batch: int, config: str) -> None:
    for seed in range(2):
        assert not check_model(batched(seed, batch), CONFIGS[config], seed).reasons


@pytest.mark.parametrize("preset", ["npu32", "npu256"])
def test_batches_on_rtl(preset: str) -> None:
    model = batched(3, 3)
    graph = read_model_bytes(model, "test")
    x = np.random.default_rng(3).integers(-128, 128, graph.tensors[graph.inputs[0]].shape)
    inputs = {graph.inputs[0]: x.astype(np.int8)}
    golden = run_golden(model, graph, inputs)
    cycles = set()
    for backend in ("cycle", "rtl"):
        runner = NetworkRunner(
            graph, config=PRESETS[preset], backend=backend, keep_intermediates=True
        )
        result = runner.run(inputs)
        cycles.add(result.cycles)
        values = {**result.values, **result.outputs}
        assert golden.keys() <= values.keys()
        for index, value in golden.items():
            np.testing.assert_array_equal(values[index], value)
    assert len(cycles) == 1
