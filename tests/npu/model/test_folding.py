"""What the reader evaluates: shapes computed in the graph, against TFLM, which computes them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.offload.reference_backend import run_on_reference
from npu.offload.runner import run_network
from rtl.config import NpuConfig
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor
from tests.support.tflm import run_tflm


def int32(*values: int) -> Any:
    return np.array(values, np.int32)


def batch_size(m: ModelBuilder, x: Tensor) -> Tensor:
    """The first dimension of `x`, as the converter computes it: SHAPE > STRIDED_SLICE."""
    shape, first = m.tensor((len(x.shape),), np.int32), m.tensor((), np.int32)
    m.operator("SHAPE", [x], [shape], {"outType": 2}, options_type="ShapeOptions")
    slices = [m.constant(int32(n)) for n in (0, 1, 1)]
    options = {"shrinkAxisMask": 1}
    m.operator(
        "STRIDED_SLICE", [shape, *slices], [first], options, options_type="StridedSliceOptions"
    )
    return first


def packed(m: ModelBuilder, parts: list[Tensor]) -> Tensor:
    y = m.tensor((len(parts),), np.int32)
    options = {"valuesCount": len(parts), "axis": 0}
    m.operator("PACK", parts, [y], options, options_type="PackOptions")
    return y


def flattened(m: ModelBuilder, x: Tensor) -> None:
    """Flatten: the target shape is the batch and -1."""
    target = packed(m, [batch_size(m, x), m.constant(np.int32(-1))])
    y = m.tensor((1, 128), scale=x.scale, zero_point=x.zero_point)
    m.operator("RESHAPE", [x, target], [y])
    m.relu(y, scale=0.4, zero_point=-3)


def transposed(m: ModelBuilder, x: Tensor) -> None:
    """Conv2DTranspose: the output's shape is computed; TFLM takes the stored one."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-127, 128, (3, 3, 3, 4), np.int8)
    rest = [m.constant(np.int32(n)) for n in (16, 8, 3)]
    target = packed(m, [batch_size(m, x), *rest])
    y = m.tensor((1, 16, 8, 3), scale=2.0, zero_point=4)
    options = {"strideH": 2, "strideW": 2, "padding": 0}
    operands = [target, m.constant(weights, scale=[0.02, 0.03, 0.04]), x]
    m.operator("TRANSPOSE_CONV", operands, [y], options, options_type="TransposeConvOptions")


NETWORKS: dict[str, tuple[Callable[[ModelBuilder, Tensor], None], int]] = {
    "flattened": (flattened, 2),
    "transposed": (transposed, 1),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_computed_shapes_disappear(name: str) -> None:
    build, operators = NETWORKS[name]
    m = ModelBuilder()
    build(m, m.input((1, 8, 4, 4), scale=0.3, zero_point=-7, shape_signature=(-1, 8, 4, 4)))
    graph = read_model_bytes(m.build(), "m")
    assert len(graph.operators) == operators
    inputs = load_inputs(["random:3"], graph)
    (expected,) = run_tflm(m.build(), list(inputs.values()))
    (actual,) = run_on_reference(graph, inputs).outputs.values()
    np.testing.assert_array_equal(actual, expected)
    result = run_network(graph, inputs, config=NpuConfig(), backend="functional")
    np.testing.assert_array_equal(result.outputs[graph.outputs[0]], expected)
    assert [layer.placed for layer in result.layers] == ["NPU"] * operators


# TFLM has them, but not of int32
NOT_IN_TFLM = frozenset({"FLOOR_DIV", "EXPAND_DIMS", "TRANSPOSE", "SELECT_V2"})


def folded(code: str, inputs: list[Any], output: Any, **options: Any) -> None:
    """Check that `code` on constants is folded to `output`; TFLM computes the same."""
    m = ModelBuilder()
    x = m.input((1, 2), scale=0.5)
    m.relu(x, scale=0.5, zero_point=0)
    made = np.asarray(output)
    y = m.tensor(made.shape, made.dtype)
    m.operator(code, [m.constant(np.asarray(a)) for a in inputs], [y], **options)
    graph = read_model_bytes(m.build(), "m")
    assert [op.kind for op in graph.operators] == ["RELU"]
    found = graph.tensors[y.index].data
    assert found is not None
    np.testing.assert_array_equal(found, made)
    assert not found.flags.writeable
    if code not in NOT_IN_TFLM:
        *_, golden = run_tflm(m.build(), [np.zeros((1, 2), np.int8)])
        np.testing.assert_array_equal(golden, made)


A, B = int32(7, -8, 9), int32(2, 3, -4)
FOLDED: dict[str, tuple[list[Any], Any, dict[str, Any]]] = {
    "ADD": ([A, B], A + B, {"options_type": "AddOptions"}),
    "SUB": ([A, B], A - B, {"options_type": "SubOptions"}),
    "MUL": ([A, B], A * B, {"options_type": "MulOptions"}),
    "MAXIMUM": ([A, B], np.maximum(A, B), {}),
    "MINIMUM": ([A, B], np.minimum(A, B), {}),
    "FLOOR_DIV": ([A, B], int32(3, -3, -3), {}),
    "LESS": ([A, B], np.array([False, True, False]), {}),
    "EQUAL": ([A, A], np.array([True, True, True]), {}),
    "CAST": ([A], A.astype(np.bool_), {"options_type": "CastOptions"}),
    "CONCATENATION": ([A, B], np.append(A, B), {"options_type": "ConcatenationOptions"}),
    "EXPAND_DIMS": ([A, np.int32(0)], A[None], {}),
    "SLICE": ([A, int32(1), int32(2)], A[1:], {}),
    "TRANSPOSE": ([A.reshape(1, 3), int32(1, 0)], A.reshape(3, 1), {}),
    "BROADCAST_TO": ([A, int32(2, 3)], np.array([A, A]), {}),
    "FILL": ([int32(2, 2), np.int32(5)], np.full((2, 2), 5, np.int32), {}),
    "SELECT_V2": ([A > B, A, B], np.maximum(A, B), {}),
    "SPLIT_V": (
        [A, int32(3), np.int32(0)],
        A,
        {"options": {"numSplits": 1}, "options_type": "SplitVOptions"},
    ),
}


@pytest.mark.parametrize("code", FOLDED)
def test_operators_on_constants_are_folded(code: str) -> None:
    inputs, output, options = FOLDED[code]
    folded(code, inputs, output, **options)


def test_a_constant_that_cannot_be_evaluated_is_left() -> None:
    """A contradiction is said by the rules of the operator, as it would be without folding."""
    m = ModelBuilder()
    x = m.input((1, 2), scale=0.5)
    m.relu(x, scale=0.5, zero_point=0)
    a, zero = m.constant(A), m.constant(int32(0, 0, 0))
    m.operator("FLOOR_DIV", [a, zero], [m.tensor((3,), np.int32)])
    kinds = [op.kind for op in read_model_bytes(m.build(), "m").operators]
    assert kinds == ["RELU", "FLOOR_DIV"]


def test_rescaling_is_left_to_the_hardware() -> None:
    """int8 arithmetic rounds as the hardware does, so it is not evaluated before."""
    m = ModelBuilder()
    x = m.input((1, 2), scale=0.5)
    c = m.constant(np.array([[1, 2]], np.int8), scale=0.5)
    m.add(x, m.add(c, c, scale=0.7, zero_point=1), scale=0.5, zero_point=0)
    assert len(read_model_bytes(m.build(), "m").operators) == 2


def test_a_large_constant_is_not_made_early() -> None:
    m = ModelBuilder()
    x = m.input((1, 2), scale=0.5)
    m.relu(x, scale=0.5, zero_point=0)
    y = m.tensor((1 << 23,), np.int32)
    m.operator("BROADCAST_TO", [m.constant(int32(1)), m.constant(int32(1 << 23))], [y])
    assert len(read_model_bytes(m.build(), "m").operators) == 2
