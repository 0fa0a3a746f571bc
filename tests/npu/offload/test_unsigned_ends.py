"""Networks with uint8 at their ends, as cameras and wake words have them, against TFLM."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from npu.golden import compare, run_golden
from npu.inference import infer
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.backends import BackendName
from rtl.config import PRESETS
from tests.support.random_layers import random_int8
from tests.support.tflite_builder import ModelBuilder

SHAPE = (1, 8, 6, 3)
SCALE = 1 / 127.5


def network() -> bytes:
    """QUANTIZE from uint8, a convolution, a mean, and QUANTIZE to uint8 of another scale."""
    rng = np.random.default_rng(2)
    m = ModelBuilder()
    x = m.input(SHAPE, dtype="uint8", scale=SCALE, zero_point=128, name="picture")
    y = m.tensor(SHAPE, scale=SCALE, zero_point=0)
    m.operator("QUANTIZE", [x], [y], options_type="QuantizeOptions", version=2)
    weights = random_int8(rng, (5, 3, 3, 3))
    z = m.conv2d(y, weights, None, weight_scales=[0.01] * 5, scale=0.05, zero_point=-3)
    z = m.mean(z, [1, 2], scale=0.01, zero_point=4, keep_dims=False)
    w = m.tensor((1, 5), "uint8", scale=0.02, zero_point=100)
    m.operator("QUANTIZE", [z], [w], options_type="QuantizeOptions", version=2)
    return m.build()


@pytest.fixture(name="graph", scope="module")
def graph_fixture() -> Graph:
    return read_model_bytes(network(), "m")


@pytest.mark.parametrize("backend", [name for name in get_args(BackendName) if name != "rtl"])
def test_every_backend_is_bit_exact(graph: Graph, backend: BackendName) -> None:
    inputs = load_inputs(["random:4"], graph)
    golden = run_golden(network(), graph, inputs)
    result = infer(graph, inputs, config=PRESETS["npu64"], backend=backend)
    comparison = compare(graph, golden, {**result.values, **result.outputs})
    assert comparison.bit_exact
    assert comparison.outputs_equal == 1
    assert all(layer.placed == "NPU" for layer in result.layers) == (backend != "reference")
    (output,) = result.outputs.values()
    assert output.dtype == np.uint8


def test_a_picture_is_what_tflm_is_given(graph: Graph, tmp_path: Path) -> None:
    """An input that holds -1..1 in steps of 1/127.5 takes the pixels, up to rounding at zero."""
    pixels = np.random.default_rng(1).integers(0, 256, SHAPE[1:], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    inputs = load_inputs([str(tmp_path / "x.png")], graph)
    (given,) = inputs.values()
    assert abs(given[0].astype(int) - pixels).max() <= 1
    golden = run_golden(network(), graph, inputs)
    result = infer(graph, inputs, config=PRESETS["npu64"], backend="functional")
    assert compare(graph, golden, result.outputs).bit_exact
