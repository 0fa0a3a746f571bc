"""The rounding given to the reference executor reaches every kernel that rescales."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.reference.network import run_reference
from tests.support.operators import elementwise, unary
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

OUT: dict[str, Any] = {"scale": float(np.float32(8.01)), "zero_point": 3}


def weights(shape: tuple[int, ...]) -> dict[str, Any]:
    values = np.random.default_rng(7).integers(-9, 10, shape).astype(np.int8)
    return {"weights": values, "bias": None, "weight_scales": 1.0, **OUT}


def convolved(m: ModelBuilder, x: Tensor) -> Tensor:
    return m.conv2d(x, **weights((5, 3, 3, 4)))


def depthwise(m: ModelBuilder, x: Tensor) -> Tensor:
    return m.depthwise_conv2d(x, **weights((1, 3, 3, 4)))


def fully_connected(m: ModelBuilder, x: Tensor) -> Tensor:
    return m.fully_connected(x, **weights((7, 4)))


def averaged(m: ModelBuilder, x: Tensor) -> Tensor:
    return m.mean(x, [3], scale=1.01, zero_point=3)


def summed(m: ModelBuilder, x: Tensor) -> Tensor:
    y = m.tensor((1, 16, 16), scale=8.01, zero_point=3)
    axes = m.constant(np.array([3], np.int32))
    m.operator("SUM", [x, axes], [y], {"keepDims": False}, options_type="ReducerOptions", version=2)
    return y


def multiplied(m: ModelBuilder, x: Tensor) -> Tensor:
    y = m.tensor((1, 16, 4, 4), **OUT)
    options, name = {"adjX": True, "adjY": False}, "BatchMatMulOptions"
    m.operator("BATCH_MATMUL", [x, x], [y], options, options_type=name, version=2)
    return y


def transposed(m: ModelBuilder, x: Tensor) -> Tensor:
    y = m.tensor((1, 32, 32, 5), **OUT)
    size = m.constant(np.array(y.shape, np.int32))
    kernel = m.constant(weights((5, 3, 3, 4))["weights"], scale=1.0)
    options, name = {"strideH": 2, "strideW": 2}, "TransposeConvOptions"
    m.operator("TRANSPOSE_CONV", [size, kernel, x], [y], options, options_type=name, version=2)
    return y


def two(code: str, scale: float = OUT["scale"]) -> Any:
    out = OUT | {"scale": scale}
    return lambda m, x: elementwise(m, code, x, m.input(x.shape, scale=1.0, zero_point=2), **out)


def one(code: str, **options: Any) -> Any:
    return lambda m, x: unary(m, code, x, **OUT, **options)


OPERATORS = {
    "CONV_2D": convolved,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "BATCH_MATMUL": multiplied,
    "TRANSPOSE_CONV": transposed,
    "MEAN": averaged,
    "SUM": summed,
    "ADD": two("ADD", 8.0),
    "SUB": two("SUB", 8.0),
    "MUL": two("MUL"),
    "PRELU": two("PRELU"),
    "QUANTIZE": lambda m, x: m.quantize(x, **OUT),
    "RELU": one("RELU"),
    "LEAKY_RELU": one("LEAKY_RELU", alpha=0.5),
}


def outputs(graph: Graph, rounding: Rounding) -> list[NDArray[Any]]:
    rng = np.random.default_rng(0)
    inputs = {i: rng.integers(-20, 20, graph.tensors[i].shape, np.int8) for i in graph.inputs}
    values = run_reference(graph, inputs, rounding=rounding)
    return [values[i] for i in graph.outputs]


@pytest.mark.parametrize("kind", [*OPERATORS])
def test_the_rounding_reaches_the_kernel(kind: str) -> None:
    m = ModelBuilder()
    OPERATORS[kind](m, m.input((1, 16, 16, 4), scale=1.0, zero_point=2))
    graph = read_model_bytes(m.build(), "m")
    double, single, half_up = (outputs(graph, mode) for mode in Rounding)
    assert len({tuple(ofm.tobytes() for ofm in mode) for mode in (double, single, half_up)}) > 1
    # one step apart at most: a rounding, and nothing else
    for other in (single, half_up):
        for a, b in zip(double, other, strict=True):
            assert np.abs(a.astype(int) - b).max() <= 1
