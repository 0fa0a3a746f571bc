"""Networks of int16 activations (16x8): single operators and whole models against TFLM."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npu.compiler.rules.partition import partition
from npu.errors import ModelError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.reference.network import run_reference
from rtl.config import NpuConfig
from tests.support.operators import elementwise, unary
from tests.support.random_layers import Rng, random_int8, random_scale
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor
from tests.support.tflm import run_tflm

UNIT: dict[str, Any] = {"scale": 2.0**-15, "zero_point": 0}
SHAPE = (1, 6, 5, 4)
Build = Callable[[ModelBuilder, Rng], Any]


def small_scale(rng: Rng) -> float:
    return random_scale(rng, 2.0**-14, 2.0**-8)


def given(m: ModelBuilder, rng: Rng, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return m.input(shape, scale=small_scale(rng), dtype=np.int16)


def result(
    m: ModelBuilder,
    shape: tuple[int, ...],
    scale: float,
    dtype: Any = np.int16,
    zero_point: int = 0,
) -> Tensor:
    return m.tensor(shape, dtype, scale=scale, zero_point=zero_point)


def weighted(rng: Rng, x: Tensor, shape: tuple[int, ...], channels: int) -> dict[str, Any]:
    """Arguments of a layer with weights whose OFM spreads over int16."""
    scales = np.exp(rng.uniform(-6, -4, channels)).astype(np.float32)
    spread = 74.0 * np.sqrt(np.prod(shape) / channels)
    return {
        "weights": random_int8(rng, shape, low=-127),
        "bias": rng.integers(-(2**24), 2**24, channels).astype(np.int64),
        "weight_scales": scales,
        "scale": float(np.float32(x.scale * float(scales.max()) * spread)),
        "zero_point": 0,
    }


def convolved(m: ModelBuilder, rng: Rng, x: Tensor, channels: int = 6, **attributes: Any) -> Tensor:
    shape = (channels, 3, 3, x.shape[3])
    return m.conv2d(x, **weighted(rng, x, shape, channels), **attributes)


def depthwise(m: ModelBuilder, rng: Rng, x: Tensor, **attributes: Any) -> Tensor:
    channels = x.shape[3]
    return m.depthwise_conv2d(x, **weighted(rng, x, (1, 3, 3, channels), channels), **attributes)


def connected(m: ModelBuilder, rng: Rng, x: Tensor, outputs: int = 7) -> Tensor:
    return m.fully_connected(x, **weighted(rng, x, (outputs, x.shape[-1]), outputs))


def two(code: str, **activation: str) -> Build:
    def build(m: ModelBuilder, rng: Rng) -> None:
        a, b = given(m, rng), given(m, rng, (1, 1, 5, 4) if rng.integers(2) else SHAPE)
        product = 2.0**15 if code == "MUL" else 1 / max(a.scale, b.scale)
        scale = random_scale(rng, a.scale * b.scale * product / 2, a.scale * b.scale * product * 2)
        elementwise(m, code, a, b, scale=scale, zero_point=0, **activation)

    return build


def one(code: str, ofm: dict[str, Any] | None = None, **options: Any) -> Build:
    def build(m: ModelBuilder, rng: Rng) -> None:
        unary(
            m,
            code,
            given(m, rng),
            **(ofm or {"scale": small_scale(rng), "zero_point": 0}),
            **options,
        )

    return build


def reduced(code: str, axes: list[int], shape: tuple[int, ...]) -> Build:
    def build(m: ModelBuilder, rng: Rng) -> None:
        x = given(m, rng)
        y, which = result(m, shape, x.scale), m.constant(np.array(axes, np.int32))
        name = "ReducerOptions"
        m.operator(code, [x, which], [y], {"keepDims": True}, options_type=name, version=2)

    return build


def moved(
    code: str, constants: list[Any], shapes: list[tuple[int, ...]], table: str, **options: Any
) -> Build:
    def build(m: ModelBuilder, rng: Rng) -> None:
        x = given(m, rng)
        operands = [x, *(m.constant(np.array(c, np.int32)) for c in constants)]
        if code == "SPLIT":
            operands.reverse()
        outputs = [result(m, shape, x.scale) for shape in shapes]
        m.operator(code, operands, outputs, options, options_type=table, version=2)

    return build


def joined(m: ModelBuilder, rng: Rng) -> None:
    x = given(m, rng)
    y = m.input(SHAPE, scale=x.scale, dtype=np.int16)
    z = result(m, (1, 6, 5, 8), x.scale)
    name = "ConcatenationOptions"
    m.operator("CONCATENATION", [x, y], [z], {"axis": 3}, options_type=name, version=2)


def softmax(m: ModelBuilder, rng: Rng) -> None:
    x = given(m, rng, (3, 10))
    y = m.tensor(x.shape, x.dtype, **UNIT)
    m.operator("SOFTMAX", [x], [y], {"beta": 1.0}, options_type="SoftmaxOptions", version=2)


def quantized(source: Any, target: Any) -> Build:
    def build(m: ModelBuilder, rng: Rng) -> None:
        scale = small_scale(rng) * (64 if source == np.int8 else 1)
        zero_point = int(rng.integers(-128, 128)) if source == np.int8 else 0
        quantization: dict[str, Any] = (
            {} if source == np.float32 else {"scale": scale, "zero_point": zero_point}
        )
        x = m.input(SHAPE, dtype=source, **quantization)
        if target == np.float32:
            m.operator("DEQUANTIZE", [x], [m.tensor(SHAPE, target)], version=2)
            return
        offset = int(rng.integers(-128, 128)) if target == np.int8 else 0
        y = result(m, SHAPE, scale * (200 if target == np.int8 else 0.3), target, offset)
        m.operator("QUANTIZE", [x], [y], options_type="QuantizeOptions", version=2)

    return build


def transposed(bias: Any) -> Build:
    def build(m: ModelBuilder, rng: Rng) -> None:
        x = given(m, rng)
        numbers = weighted(rng, x, (3, 3, 3, 4), 3)
        y = result(m, (1, 12, 10, 3), numbers["scale"])
        operands = [
            m.constant(np.array(y.shape, np.int32)),
            m.constant(numbers["weights"], scale=numbers["weight_scales"]),
            x,
        ]
        if bias is not None:
            values = numbers["bias"] // (1 if bias == np.int64 else 2**10)
            operands.append(m.constant(values.astype(bias)))
        options = {"strideH": 2, "strideW": 2}
        name = "TransposeConvOptions"
        m.operator("TRANSPOSE_CONV", operands, [y], options, options_type=name, version=2)

    return build


def multiplied(m: ModelBuilder, rng: Rng) -> None:
    swapped = [bool(n) for n in rng.integers(0, 2, 2)]
    a = given(m, rng, (2, 7, 4) if swapped[0] else (2, 4, 7))
    b = given(m, rng, (2, 5, 7) if swapped[1] else (2, 7, 5))
    y = result(m, (2, 4, 5), a.scale * b.scale * 2.0**15)
    options = {"adjX": swapped[0], "adjY": swapped[1]}
    m.operator("BATCH_MATMUL", [a, b], [y], options, options_type="BatchMatMulOptions", version=2)


RELU6 = {"scale": 2.0**-12, "zero_point": 0}
OPERATORS: dict[str, Build] = {
    "CONV_2D": lambda m, r: convolved(m, r, given(m, r), stride=(2, 1), activation="RELU6"),
    "DEPTHWISE_CONV_2D": lambda m, r: depthwise(m, r, given(m, r), padding="VALID"),
    "FULLY_CONNECTED": lambda m, r: connected(m, r, given(m, r, (3, 20))),
    "TRANSPOSE_CONV": transposed(np.int64),
    "TRANSPOSE_CONV_int16_bias": transposed(np.int16),
    "TRANSPOSE_CONV_no_bias": transposed(None),
    "BATCH_MATMUL": multiplied,
    "ADD": two("ADD", activation="RELU"),
    "SUB": two("SUB"),
    "MUL": two("MUL", activation="RELU_N1_TO_1"),
    "MAXIMUM": two("MAXIMUM"),
    "MINIMUM": two("MINIMUM"),
    "RELU": one("RELU"),
    "RELU6": one("RELU6"),
    "ABS": one("ABS"),
    "LEAKY_RELU": one("LEAKY_RELU", alpha=0.3),
    "LOGISTIC": one("LOGISTIC", UNIT),
    "TANH": one("TANH", UNIT),
    "SOFTMAX": softmax,
    "AVERAGE_POOL_2D": lambda m, r: m.average_pool2d(given(m, r), window=(3, 2), padding="SAME"),
    "MAX_POOL_2D": lambda m, r: m.max_pool2d(given(m, r), window=(2, 2), activation="RELU"),
    "MEAN": reduced("MEAN", [1, 2], (1, 1, 1, 4)),
    "SUM": reduced("SUM", [3], (1, 6, 5, 1)),
    "PAD": lambda m, r: m.pad(given(m, r), [(0, 0), (1, 2), (0, 1), (3, 0)]),
    "RESHAPE": lambda m, r: m.reshape(given(m, r), [2, -1]),
    "CONCATENATION": joined,
    "TRANSPOSE": moved("TRANSPOSE", [[0, 3, 1, 2]], [(1, 4, 6, 5)], "TransposeOptions"),
    "SPLIT": moved("SPLIT", [3], [(1, 6, 5, 2)] * 2, "SplitOptions", numSplits=2),
    "STRIDED_SLICE": moved(
        "STRIDED_SLICE",
        [[0, 1, 0, 0], [1, 6, 5, 4], [1, 2, 1, 1]],
        [(1, 3, 5, 4)],
        "StridedSliceOptions",
    ),
    "UNPACK": moved("UNPACK", [], [(1, 6, 5)] * 4, "UnpackOptions", num=4, axis=3),
    "RESIZE_NEAREST_NEIGHBOR": moved(
        "RESIZE_NEAREST_NEIGHBOR", [[9, 10]], [(1, 9, 10, 4)], "ResizeNearestNeighborOptions"
    ),
    "QUANTIZE_int16_int16": quantized(np.int16, np.int16),
    "QUANTIZE_int16_int8": quantized(np.int16, np.int8),
    "QUANTIZE_int8_int16": quantized(np.int8, np.int16),
    "QUANTIZE_float32_int16": quantized(np.float32, np.int16),
    "DEQUANTIZE": quantized(np.int16, np.float32),
}


def network(m: ModelBuilder, rng: Rng) -> None:
    """A small residual network with float ends, as the converter makes of a 16x8 model."""
    x = m.input((1, 12, 12, 3), dtype=np.float32)
    q = result(m, x.shape, 2.0**-13)
    m.operator("QUANTIZE", [x], [q], options_type="QuantizeOptions", version=2)
    first = convolved(m, rng, q, 8, activation="RELU")
    second = depthwise(m, rng, first)
    both = elementwise(m, "ADD", first, second, scale=2 * second.scale, zero_point=0)
    pooled = m.average_pool2d(both, window=(2, 2))
    gate = m.tensor((1, 6, 6, 8), np.int16, **UNIT)
    m.operator("LOGISTIC", [pooled], [gate], version=2)
    gated = elementwise(m, "MUL", pooled, gate, scale=pooled.scale, zero_point=0)
    mean = m.mean(gated, [1, 2], scale=gated.scale / 4, zero_point=0, keep_dims=False)
    logits = connected(m, rng, mean, 10)
    y = m.tensor(logits.shape, np.int16, **UNIT)
    m.operator("SOFTMAX", [logits], [y], {"beta": 1.0}, options_type="SoftmaxOptions", version=2)
    m.dequantize(y)


def built(build: Build, seed: int) -> tuple[bytes, Graph]:
    m = ModelBuilder()
    build(m, np.random.default_rng(seed))
    return m.build(), read_model_bytes(m.build(), "m")


def agree(model: bytes, graph: Graph, seed: int) -> None:
    inputs = load_inputs([f"random:{seed}"], graph)
    comparison = compare(graph, run_golden(model, graph, inputs), run_reference(graph, inputs))
    assert comparison.bit_exact, comparison.mismatches


@pytest.mark.parametrize("seed", range(4), ids="seed{}".format)
@pytest.mark.parametrize("kind", OPERATORS)
def test_operators_match_tflm(kind: str, seed: int) -> None:
    agree(*built(OPERATORS[kind], seed), seed)


@pytest.mark.parametrize("seed", range(6), ids="seed{}".format)
def test_whole_networks_match_tflm(seed: int) -> None:
    model, graph = built(network, seed)
    agree(model, graph, seed)
    assert graph.total_macs == 144 * 8 * 27 + 144 * 8 * 9 + 80


def test_the_npu_leaves_int16_to_the_kernels() -> None:
    _, graph = built(network, 0)
    found = partition(graph, NpuConfig())
    assert found.segments == ()
    assert found.reasons[1] == "inputs and outputs must be int8"


def test_what_ignores_the_zero_point() -> None:
    """PAD fills int16 with zeros whatever the zero point, windows and QUANTIZE know it."""
    m = ModelBuilder()
    x = m.input((1, 6, 6, 2), scale=0.5, zero_point=300, dtype=np.int16)
    y = m.max_pool2d(m.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), window=(2, 2))
    m.operator("QUANTIZE", [y], [m.tensor(y.shape, np.int16, scale=0.7, zero_point=-5)])
    graph = read_model_bytes(m.build(), "m")
    inputs = load_inputs(["random:7"], graph)
    (expected,) = run_tflm(m.build(), list(inputs.values()))
    np.testing.assert_array_equal(run_reference(graph, inputs)[graph.outputs[0]], expected)


@pytest.mark.parametrize("code", ["LOGISTIC", "TANH"])
def test_another_scale_of_a_function_is_refused(code: str) -> None:
    _, graph = built(one(code, {"scale": 2.0**-14, "zero_point": 0}), 0)
    with pytest.raises(ModelError, match=rf"operator 0 \({code}\): the output has scale and zero"):
        run_reference(graph, load_inputs([], graph))


def test_a_bias_of_another_type_is_refused() -> None:
    with pytest.raises(ModelError, match=r"is int32 of shape \[3\], int64 or int16 of shape \[3\]"):
        built(transposed(np.int32), 0)
