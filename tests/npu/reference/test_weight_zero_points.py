"""Weights with a zero point, and output scales that are only nearly what TFLM demands."""

from typing import Any

import numpy as np
import pytest

from npu.errors import ModelError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import run_network
from npu.reference.network import run_reference
from rtl.config import NpuConfig
from tests.support.operators import unary
from tests.support.tflite_builder import ModelBuilder

SHAPE = (1, 5, 5, 4)
WEIGHTS = {
    "CONV_2D": (4, 3, 3, 4),
    "DEPTHWISE_CONV_2D": (1, 3, 3, 4),
    "TRANSPOSE_CONV": (4, 3, 3, 4),
    "FULLY_CONNECTED": (4, 100),
}
WINDOWS: dict[str, Any] = {"strideH": 1, "strideW": 1, "padding": 0}
OPTIONS: dict[str, dict[str, Any]] = {
    "CONV_2D": WINDOWS,
    "DEPTHWISE_CONV_2D": {**WINDOWS, "depthMultiplier": 1},
    "TRANSPOSE_CONV": WINDOWS,
    "FULLY_CONNECTED": {},
}
TABLES = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
}


def weighted(kind: str, dtype: Any, scales: int, zero_point: int) -> bytes:
    """One operator with weights of this zero point, and one scale or one for each channel."""
    rng = np.random.default_rng(scales)
    m = ModelBuilder()
    x = m.input(SHAPE, dtype=dtype, scale=0.05)
    weights = m.constant(
        rng.integers(-128, 128, WEIGHTS[kind], np.int8),
        scale=[0.01] * scales,
        zero_point=zero_point,
        quantized_dimension=3 if kind == "DEPTHWISE_CONV_2D" else 0,
    )
    bias_type = np.int64 if dtype == np.int16 else np.int32
    bias = m.constant(rng.integers(-99, 99, 4).astype(bias_type), scale=[0.0005] * scales)
    shape = (1, 4) if kind == "FULLY_CONNECTED" else SHAPE
    y = m.tensor(shape, dtype, scale=0.9, zero_point=0 if dtype == np.int16 else 5)
    operands = [x, weights, bias]
    if kind == "TRANSPOSE_CONV":
        operands = [m.constant(np.array(SHAPE, np.int32)), weights, x, bias]
    m.operator(kind, operands, [y], OPTIONS[kind], options_type=TABLES[kind], version=3)
    return m.build()


def checked(model: bytes) -> Graph:
    """The graph of `model`, after the kernels computed it as TFLM does."""
    graph = read_model_bytes(model, "m")
    inputs = load_inputs(["random:3"], graph)
    golden = run_golden(model, graph, inputs)
    assert compare(graph, golden, run_reference(graph, inputs)).bit_exact
    if all(graph.tensors[i].dtype == np.int8 for i in graph.outputs):
        result = run_network(graph, inputs, config=NpuConfig(), backend="functional")
        assert compare(graph, golden, result.values).bit_exact
    return graph


@pytest.mark.parametrize("zero_point", [-128])
@pytest.mark.parametrize("scales", [1, 4])
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_tflm_decides_whether_it_counts(
    kind: str, dtype: Any, scales: int, zero_point: int
) -> None:
    checked(weighted(kind, dtype, scales, zero_point))


@pytest.mark.parametrize(("kind", "scales"), [("CONV_2D", 1), ("FULLY_CONNECTED", 4)])
def test_the_npu_takes_what_tflm_takes_no_notice_of(kind: str, scales: int) -> None:
    graph = read_model_bytes(weighted(kind, np.int8, scales, 7), "m")
    inputs = load_inputs(["random:3"], graph)
    (layer,) = run_network(graph, inputs, config=NpuConfig(), backend="functional").layers
    assert layer.placed == "NPU"


def test_the_npu_leaves_what_counts() -> None:
    graph = read_model_bytes(weighted("FULLY_CONNECTED", np.int8, 1, 7), "m")
    inputs = load_inputs(["random:3"], graph)
    (layer,) = run_network(graph, inputs, config=NpuConfig(), backend="functional").layers
    assert layer.reason == "weights must be quantized with zero point 0"


def functional(kind: str, ifm: Any, ofm: Any, scale: float, zero_point: int) -> bytes:
    m = ModelBuilder()
    x = m.input((1, 8), dtype=ifm, scale=2.0**-7)
    y = m.tensor((1, 8), ofm, scale=scale, zero_point=zero_point)
    options = {"beta": 1.0} if kind == "SOFTMAX" else {}
    table = "SoftmaxOptions" if kind == "SOFTMAX" else None
    m.operator(kind, [x], [y], options, options_type=table, version=2)
    return m.build()


# the converter writes 1 / 65535 where TFLM computes with 1 / 65536
NEARLY: dict[str, tuple[str, Any, Any, float, int]] = {
    "softmax": ("SOFTMAX", np.int8, np.int16, 1 / 65535, -32768),
    "softmax 16x16": ("SOFTMAX", np.int16, np.int16, 1.0009 / 32768, 0),
    "logistic": ("LOGISTIC", np.int16, np.int16, 1.0006 / 32768, 0),
    "tanh": ("TANH", np.int16, np.int16, 0.9994 / 32768, 0),
}


@pytest.mark.parametrize("name", NEARLY)
def test_scales_that_are_near_enough(name: str) -> None:
    checked(functional(*NEARLY[name]))


@pytest.mark.parametrize("name", NEARLY)
def test_scales_that_are_too_far(name: str) -> None:
    kind, ifm, ofm, scale, zero_point = NEARLY[name]
    graph = read_model_bytes(functional(kind, ifm, ofm, scale * 1.002, zero_point), "m")
    with pytest.raises(ModelError, match="the output has scale and zero point"):
        run_reference(graph, load_inputs([], graph))


def test_an_audio_front_end_without_scales() -> None:
    """Moves and windows need none, whatever their type."""
    m = ModelBuilder()
    x = m.input((1, 6, 6, 2), dtype=np.int16)
    y = m.tensor((1, 3, 3, 2), np.int16)
    options = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": 1}
    m.operator("MAX_POOL_2D", [x], [y], options, options_type="Pool2DOptions", version=2)
    z = m.tensor((1, 9, 2), np.int16)
    m.operator("RESHAPE", [y], [z])
    w = m.tensor((1, 9, 4), np.int16)
    m.operator("CONCATENATION", [z, z], [w], {"axis": 2}, options_type="ConcatenationOptions")
    checked(m.build())
    unary(m, "ABS", x, scale=0.5, zero_point=0)
    with pytest.raises(ModelError, match=r"\(ABS\): tensor 't0' is int16 without a scale"):
        read_model_bytes(m.build(), "m")
