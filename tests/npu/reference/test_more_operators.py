"""Operators that no hardware takes: normalization, conditions, positions, and several types."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.errors import ModelError
from npu.golden import compare, run_golden
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.reference.network import run_reference
from tests.kernels.one_operator import Given, Made, indices, one_operator

SHAPE = (2, 4, 6, 3)
PIXEL = (1, 1, 1, 3)


def activation(shape: Sequence[int] = SHAPE, dtype: Any = np.int8, zero_point: int = 0) -> Given:
    return Given(np.zeros(shape, dtype), 0.1, zero_point)


def made(shape: Sequence[int] = SHAPE, **changes: Any) -> Made:
    return Made(shape, **({"scale": 0.1} | changes))


X, SIGNED = activation(zero_point=3), activation(zero_point=-7)
BOOL = Given(np.zeros(SHAPE, np.bool_))
TRUTH = Made(SHAPE, np.bool_)
BLOCK, CORNER = indices(2, 3), indices([0, 0], [1, 2])
MODELS: dict[str, tuple[Any, ...]] = {
    "squared_difference": (
        *("SQUARED_DIFFERENCE", [X, activation(PIXEL)], made(scale=0.5, zero_point=-128)),
        *({}, "SquaredDifferenceOptions"),
    ),
    "squared_difference_int16": (
        "SQUARED_DIFFERENCE",
        [activation(dtype=np.int16), activation(PIXEL, np.int16)],
        made(dtype=np.int16, scale=900.0),
        {},
        "SquaredDifferenceOptions",
    ),
    "rsqrt": ("RSQRT", [activation(zero_point=-128)], made(scale=0.02, zero_point=-100)),
    "div": (
        *("DIV", [X, activation(PIXEL, zero_point=-128)], made(zero_point=5)),
        *({"fusedActivationFunction": 1}, "DivOptions"),
    ),
    "l2_normalization": ("L2_NORMALIZATION", [X], made(scale=1 / 128), {}, "L2NormOptions"),
    "log_softmax": (
        *("LOG_SOFTMAX", [X], made(scale=1 / 16, zero_point=127)),
        *({}, "LogSoftmaxOptions"),
    ),
    "cumsum": (
        *("CUMSUM", [X, indices(-2)], made(scale=0.4, zero_point=9)),
        *({"exclusive": True, "reverse": True}, "CumsumOptions"),
    ),
    "add_n": ("ADD_N", [X, X, X], made(scale=0.3, zero_point=9), {}, "AddNOptions"),
    "equal": ("EQUAL", [X, activation(PIXEL, zero_point=3)], TRUTH),
    "not_equal_int8": ("NOT_EQUAL", [X, SIGNED], TRUTH),
    "not_equal": ("NOT_EQUAL", [BOOL, Given(np.zeros(PIXEL, np.bool_))], TRUTH),
    "greater": ("GREATER", [X, SIGNED], TRUTH),
    "greater_equal": ("GREATER_EQUAL", [X, SIGNED], TRUTH),
    "less": ("LESS", [X, SIGNED], TRUTH),
    "less_equal": ("LESS_EQUAL", [X, activation((1,), zero_point=-7)], TRUTH),
    "less_int32": (
        "LESS",
        [Given(np.zeros(SHAPE, np.int32)), Given(np.zeros((1,), np.int32))],
        TRUTH,
    ),
    "logical_and": ("LOGICAL_AND", [BOOL, BOOL], TRUTH),
    "logical_or": ("LOGICAL_OR", [BOOL, Given(np.zeros(PIXEL, np.bool_))], TRUTH),
    "logical_not": ("LOGICAL_NOT", [BOOL], TRUTH),
    "select": ("SELECT_V2", [BOOL, X, activation(PIXEL)], made()),
    "select_int16": ("SELECT_V2", [BOOL, *[activation(dtype=np.int16)] * 2], made(dtype=np.int16)),
    "reverse": ("REVERSE_V2", [X, indices(2, -3)], made()),
    "gather_nd": ("GATHER_ND", [X, indices([1, 2], [0, 3])], made((2, 6, 3))),
    "embedding_lookup": (
        "EMBEDDING_LOOKUP",
        [indices(3, 0), activation((4, 5))],
        made((2, 5)),
    ),
    "dynamic_update_slice": (
        *("DYNAMIC_UPDATE_SLICE", [X, activation((1, 2, 3, 1)), indices(1, -1, 9, 2)], made()),
        *({}, "DynamicUpdateSliceOptions"),
    ),
    "space_to_batch": (
        "SPACE_TO_BATCH_ND",
        [X, BLOCK, indices([0, 0], [0, 0])],
        made((12, 2, 2, 3)),
    ),
    "batch_to_space": (
        "BATCH_TO_SPACE_ND",
        [activation((12, 2, 2, 3)), BLOCK, CORNER],
        made((2, 4, 3, 3)),
    ),
    "rows_to_batch": (
        "SPACE_TO_BATCH_ND",
        [activation((2, 6, 3)), indices(3), indices([0, 0])],
        made((6, 2, 3)),
    ),
    "zeros_like": ("ZEROS_LIKE", [X], made()),
    "broadcast_args": (
        "BROADCAST_ARGS",
        [indices(2, 1, 3), Given(np.array([5, 1], np.int32))],
        Made((3,), np.int32),
    ),
    "add_int32": (
        "ADD",
        [Given(np.zeros(SHAPE, np.int32))] * 2,
        Made(SHAPE, np.int32),
        {},
        "AddOptions",
    ),
    "maximum_int32": (
        *("MAXIMUM", [Given(np.zeros(SHAPE, np.int32))] * 2, Made(SHAPE, np.int32)),
        *({}, "MaximumMinimumOptions"),
    ),
    "fill": ("FILL", [indices(2, 3), activation(())], made((2, 3))),
    "to_float": ("DEQUANTIZE", [activation()], Made(SHAPE, np.float32), {}, "DequantizeOptions"),
    "to_int32": ("QUANTIZE", [X], made(dtype=np.int32, scale=0.01), {}, "QuantizeOptions"),
}


def random_inputs(graph: Graph, operands: Sequence[Given]) -> dict[int, NDArray[Any]]:
    """What operands hold unless it is zeros, else random values: small ones for positions."""
    rng = np.random.default_rng(1)
    inputs = {}
    given = [each.values for each in operands if not each.constant]
    for index, values in zip(graph.inputs, given, strict=True):
        low, high = (-128, 128) if values.dtype in (np.int8, np.int16) else (0, 2)
        chosen = values if values.any() else rng.integers(low, high, values.shape)
        inputs[index] = chosen.astype(values.dtype)
    return inputs


@pytest.mark.parametrize("name", MODELS)
def test_bit_exact(name: str) -> None:
    model = one_operator(*MODELS[name])
    graph = read_model_bytes(model, "m")
    inputs = random_inputs(graph, MODELS[name][1])
    comparison = compare(graph, run_golden(model, graph, inputs), run_reference(graph, inputs))
    assert comparison.bit_exact, comparison.mismatches[0]


CONTRADICTIONS: dict[str, tuple[tuple[Any, ...], str]] = {
    "axis": (("CUMSUM", [X, indices(4)], made()), "axis is 4, one from -4 to 3 expected"),
    "axes": (("CUMSUM", [X, indices(1, 2)], made()), r"2 axes of \[2, 4, 6, 3\], one of"),
    "float_axes": (
        ("REVERSE_V2", [X, activation((1,))._replace(constant=True)], made()),
        "is int8, int32 or int64 expected",
    ),
    "depth": (
        ("GATHER_ND", [X, indices([0] * 5)], made((1,))),
        r"indices of shape \[1, 5\] into \[2, 4, 6, 3\]",
    ),
    "table": (("EMBEDDING_LOOKUP", [indices(0), activation((4,))], made((1,))), "rows expected"),
    "update": (
        ("DYNAMIC_UPDATE_SLICE", [X, activation((3, 1, 1, 1)), indices(0, 0, 0, 0)], made()),
        r"an update of \[3, 1, 1, 1\] at 4 numbers for \[2, 4, 6, 3\]",
    ),
    "block": (
        ("SPACE_TO_BATCH_ND", [X, indices(3, 3), CORNER], made()),
        r"padded to \[4, 9\], which blocks of \[3, 3\] do not divide",
    ),
    "open_batch": (
        ("SPACE_TO_BATCH_ND", [X, BLOCK, indices([0, 0], [0, 0])], made((2, 2, 2, 3))),
        "12 maps are stored as 2, of which TFLM would compute 2 .*; convert it with a fixed batch",
    ),
    "negative": (
        ("SPACE_TO_BATCH_ND", [X, indices(0, 3), CORNER], made()),
        r"blocks of \[0, 3\] and pairs",
    ),
    "rank": (
        ("SPACE_TO_BATCH_ND", [X, indices(2), indices([0, 0])], made()),
        "one of each inner dimension expected",
    ),
    "crops": (
        ("BATCH_TO_SPACE_ND", [X, BLOCK, CORNER], made()),
        r"\[2, 4, 6, 3\] in blocks of \[2, 3\], cropped by",
    ),
    "value": (
        ("FILL", [indices(2, 2), activation((1,))], made((2, 2))),
        r"has shape \[1\], a scalar expected",
    ),
    "condition": (("SELECT_V2", [X, X, X], made()), "is int8, bool expected"),
    "branches": (
        ("SELECT_V2", [BOOL, X, activation((5,))], made()),
        r"shapes .*\[5\]\] do not broadcast",
    ),
    "terms": (("ADD_N", [X, activation(PIXEL)], made()), "differ"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_models_that_contradict_themselves(name: str) -> None:
    arguments, message = CONTRADICTIONS[name]
    with pytest.raises(ModelError, match=rf"operator 0 \({arguments[0]}\): .*{message}"):
        read_model_bytes(one_operator(*arguments), "m")


REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "log_softmax": (("LOG_SOFTMAX", [X], made()), r"allowed is \(0\.0625, 127\)"),
    "l2": (
        ("L2_NORMALIZATION", [X], made(), {"fusedActivationFunction": 1}, "L2NormOptions"),
        "activation is RELU; allowed is NONE",
    ),
    "terms": (
        ("ADD_N", [X, SIGNED], made(), {}, "AddNOptions"),
        "input 1 has scale and zero point",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_parameters_that_tflm_refuses_too(name: str) -> None:
    arguments, message = REFUSED[name]
    graph = read_model_bytes(one_operator(*arguments), "m")
    with pytest.raises(ModelError, match=rf"operator 0 \({arguments[0]}\): .*{message}"):
        run_reference(graph, random_inputs(graph, arguments[1]))
