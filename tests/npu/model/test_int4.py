"""Networks with weights of four bits, against TFLM."""

from typing import Any

import numpy as np
import pytest

from kernels.int4 import unpack_int4
from npu.errors import ModelError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import run_network
from npu.reference.network import run_reference
from rtl.config import load_config
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile, Tensor


def weighted(seed: int, code: str) -> bytes:
    """A CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED with an odd number of weights."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = m.input((1, 7, 7, 5), scale=0.1, zero_point=3)
    shape: tuple[int, ...] = {"CONV_2D": (3, 3, 3, 5), "DEPTHWISE_CONV_2D": (1, 3, 3, 5)}.get(
        code, (3, 245)
    )
    channels = shape[3] if code == "DEPTHWISE_CONV_2D" else shape[0]
    scales = rng.uniform(0.02, 0.2, 1 if code == "FULLY_CONNECTED" else channels)
    w = m.int4_constant(
        rng.integers(-8, 8, shape).astype(np.int8),
        scale=scales.astype(np.float32),
        quantized_dimension=3 if code == "DEPTHWISE_CONV_2D" else 0,
    )
    bias = rng.integers(-3000, 3000, channels).astype(np.int32)
    b = m.constant(bias, scale=np.float32(x.scale) * w.scales)
    ofm = (1, 3) if code == "FULLY_CONNECTED" else (1, 7, 7, channels)
    y = m.tensor(ofm, scale=0.8, zero_point=-5)
    window = {"strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    options: dict[str, Any] = window
    if code == "DEPTHWISE_CONV_2D":
        options = window | {"depthMultiplier": 1}
    elif code == "FULLY_CONNECTED":
        options = {}
    types = {
        "CONV_2D": "Conv2DOptions",
        "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
        "FULLY_CONNECTED": "FullyConnectedOptions",
    }
    m.operator(code, [x, w, b], [y], options, options_type=types[code], version=7)
    return m.build()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("code", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_weights_match_tflm(code: str, seed: int) -> None:
    model = weighted(seed, code)
    graph = read_model_bytes(model, "m")
    inputs = load_inputs([f"random:{seed}"], graph)
    golden = run_golden(model, graph, inputs)
    comparison = compare(graph, golden, run_reference(graph, inputs))
    assert comparison.bit_exact, comparison.mismatches[0]
    result = run_network(graph, inputs, config=load_config("npu64"), backend="functional")
    assert compare(graph, golden, dict(result.outputs)).bit_exact
    assert [layer.placed for layer in result.layers] == ["NPU"]


def test_unpacking() -> None:
    packed = np.array([0x71, 0xF8], np.uint8)
    assert unpack_int4(packed, 4).tolist() == [1, 7, -8, -1]
    assert unpack_int4(packed, 3).tolist() == [1, 7, -8]
    every = unpack_int4(np.arange(256, dtype=np.uint8), 512).reshape(256, 2).tolist()
    assert every == [[(n + 8) % 16 - 8, (n // 16 + 8) % 16 - 8] for n in range(256)]


def test_unpacking_refuses_another_number_of_bytes() -> None:
    with pytest.raises(ValueError, match="packed has 2 bytes; allowed for 5 values is 3"):
        unpack_int4(np.zeros(2, np.uint8), 5)
    with pytest.raises(ValueError, match="packed is int8; allowed is uint8"):
        unpack_int4(np.zeros(2, np.int8), 4)


def added(m: ModelFile, x: Tensor) -> None:
    c = m.int4_constant(np.zeros((1, 4), np.int8), scale=0.5, name="four")
    m.operator("ADD", [x, c], [m.tensor((1, 4), scale=0.5)], {}, options_type="AddOptions")


def cut_short(m: ModelFile, x: Tensor) -> None:
    w = m.int4_constant(np.zeros((3, 4), np.int8), scale=0.5, name="four")
    m._tensors[w.index].shape = [3, 5]
    y = m.tensor((1, 3), scale=0.5)
    m.operator("FULLY_CONNECTED", [x, w], [y], {}, options_type="FullyConnectedOptions")


def activation(m: ModelFile, x: Tensor) -> None:
    y = m.tensor((1, 4), scale=0.5, name="four")
    m._tensors[y.index].type = 17
    m.operator("RELU", [x], [y])


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (added, r"operator 0 \(ADD\) reads tensor 'four', which is INT4: only the weights of CONV"),
        (cut_short, "tensor 'four' .* type int4: packed has 6 bytes; allowed for 15 values is 8"),
        (activation, "the model is not fully integer: tensor 'four' is INT4"),
    ],
)
def test_other_uses_are_refused(use: Any, message: str) -> None:
    m = ModelFile()
    use(m, m.input((1, 4), scale=0.5))
    with pytest.raises(ModelError, match=message):
        read_model_bytes(m.build(), "m")
