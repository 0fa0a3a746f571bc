"""Types and scales of tensors: what is integer arithmetic, and what is refused."""

import re
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from npu.model.tflite_reader import read_model_bytes
from tests.npu.model.edited import edited, refusal
from tests.npu.small_model import classifier
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile


def test_float_models_are_refused() -> None:
    m = ModelFile()
    m.operator("RELU", [m.input((1, 4), dtype="float32")], [m.tensor((1, 4), "float32")])
    message = refusal(m.build())
    assert (
        "the model is not quantized: it holds float32 only; convert it with full-integer" in message
    )


def test_float_weights_are_refused() -> None:
    """A float product is no island between quantized operators, whatever its ends are."""
    m = ModelFile()
    x, y = m.input((1, 4), dtype="float32"), m.tensor((1, 2), "float32")
    weights = m.constant(np.ones((2, 4), np.float32))
    m.operator("FULLY_CONNECTED", [x, weights], [y])
    m.operator("QUANTIZE", [y], [m.tensor((1, 2), scale=0.5)])
    message = refusal(m.build())
    assert "operator 0 (FULLY_CONNECTED) computes in float32; convert it with full" in message


def test_legacy_uint8_is_refused() -> None:
    m = ModelFile()
    x = m.input((1, 4), dtype="uint8", scale=0.5)
    m.operator("RELU", [x], [m.tensor((1, 4), "uint8", scale=0.5)])
    message = refusal(m.build())
    assert "operator 0 (RELU) computes in uint8, as TensorFlow 1 quantized" in message
    assert "convert the float model again with TensorFlow 2" in message


def test_type_that_nothing_computes_in() -> None:
    m = ModelFile()
    x = m.input((1, 4), dtype="float16", name="audio")
    m.operator("RELU", [x], [m.tensor((1, 4), "float16")])
    assert "the model is not quantized: tensor 'audio' is FLOAT16" in refusal(m.build())


def test_float_between_quantized_operators() -> None:
    m = ModelBuilder()
    f = m.dequantize(m.input((1, 4), scale=0.5))
    g = m.tensor((1, 4), "float32")
    m.operator("NEG", [f], [g])
    m.quantize(g, scale=0.5, zero_point=0)
    kinds = [op.kind for op in read_model_bytes(m.build(), "m").operators]
    assert kinds == ["DEQUANTIZE", "NEG", "QUANTIZE"]


def test_uint8_at_the_ends() -> None:
    m = ModelFile()
    x = m.input((1, 4), dtype="uint8", scale=0.5, zero_point=200)
    y, z = m.tensor((1, 4), scale=0.5, zero_point=72), m.tensor((1, 4), "uint8", scale=0.5)
    m.operator("QUANTIZE", [x], [y])
    m.operator("QUANTIZE", [y], [z])
    graph = read_model_bytes(m.build(), "m")
    assert [t.type_name for t in graph.tensors] == ["uint8", "int8", "uint8"]


def test_type_without_numpy_counterpart() -> None:
    def use_strings(model: Any) -> None:
        model.subgraphs[0].tensors[0].type = schema.TensorType.STRING

    message = refusal(edited(classifier(), use_strings))
    assert "not fully integer: tensor 'image' is STRING" in message


def test_int8_without_scale() -> None:
    m = ModelFile()
    x = m.input((1, 4), name="raw")
    m.operator("LOGISTIC", [x], [m.tensor((1, 4), scale=0.5)])
    assert "operator 0 (LOGISTIC): tensor 'raw' is int8 without a scale" in refusal(m.build())


def test_a_scale_is_asked_for_where_it_is_needed() -> None:
    m = ModelFile()
    x, y = m.input((1, 4), dtype="int16"), m.tensor((2, 2), "int16")
    m.operator("RESHAPE", [x], [y])
    assert read_model_bytes(m.build(), "m").tensors[y.index].quantization is None


@pytest.mark.parametrize("scale", [0.0, -1.0, float("inf"), float("nan")])
def test_illegal_scale(scale: float) -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=scale, name="bad")
    m.operator("RELU", [x], [m.tensor((1, 4), scale=0.5)])
    assert re.search("tensor 'bad' (has|is int8 with scale 0)", refusal(m.build()))


def test_zero_point_out_of_range() -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=0.5, zero_point=128)
    m.operator("RELU", [x], [m.tensor((1, 4), scale=0.5)])
    message = refusal(m.build())
    assert "zero point 128; a positive scale and a zero point from -128 to 127 exp" in message
