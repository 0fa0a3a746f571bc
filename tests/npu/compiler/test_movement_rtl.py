"""Programs that move data, multiply matrices and enlarge maps on the RTL: the bits of TFLM."""

import numpy as np
import pytest

from npu.golden import run_golden
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from rtl.config import PRESETS
from tests.npu.compiler.lowering.test_movement import NETS, build
from tests.npu.compiler.lowering.test_products import attention, u_net

MOVED = [
    "concatenation of odd channels",
    "concatenation of columns",
    "channel shuffle",
    "transpose to planes",
    "planes to pixels",
    "uneven split of columns",
    "strided slice, backwards",
    "resize twice",
    "heads of a detector",
]
MODELS = {
    "attention": attention(3),
    "U-net": u_net(4),
    **{name: build(*NETS[name], seed=5) for name in MOVED},
}


@pytest.mark.parametrize("preset", ["npu64", "npu256"])
@pytest.mark.parametrize("name", MODELS)
def test_movement_on_rtl_equals_tflm(name: str, preset: str) -> None:
    graph = read_model_bytes(MODELS[name], "test")
    rng = np.random.default_rng(9)
    inputs = {
        i: rng.integers(-128, 128, graph.tensors[i].shape).astype(np.int8) for i in graph.inputs
    }
    golden = run_golden(MODELS[name], graph, inputs)
    runner = NetworkRunner(graph, config=PRESETS[preset], backend="rtl", keep_intermediates=True)
    result = runner.run(inputs)
    values = {**result.values, **result.outputs}
    compared = values.keys() & golden.keys()
    assert compared >= set(graph.outputs)
    for index in compared:
        np.testing.assert_array_equal(values[index], golden[index], f"tensor {index}")
