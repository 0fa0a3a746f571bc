"""A model whose written shapes contradict its operators is refused before it can run."""

import numpy as np
import pytest

from npu.errors import ModelError
from npu.model.tflite_reader import read_model_bytes
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile, Tensor

WINDOW = {"strideH": 1, "strideW": 1}


def refusal(m: ModelFile) -> str:
    with pytest.raises(ModelError) as caught:
        read_model_bytes(m.build(), "m")
    return str(caught.value)


def convolution(
    *,
    weights: tuple[int, ...] = (4, 3, 3, 2),
    bias: tuple[int, ...] = (4,),
    bias_type: str = "int32",
    output: tuple[int, ...] = (1, 8, 8, 4),
    x: tuple[int, ...] = (1, 8, 8, 2),
) -> ModelFile:
    m = ModelFile()
    operands: list[Tensor | None] = [
        m.input(x, scale=0.5),
        m.constant(np.ones(weights, np.int8), scale=0.1, name="w"),
        m.constant(np.zeros(bias, bias_type), name="b"),
    ]
    y = m.tensor(output, scale=0.5)
    m.operator("CONV_2D", operands, [y], WINDOW, options_type="Conv2DOptions")
    return m


def test_convolution_that_fits() -> None:
    graph = read_model_bytes(convolution().build(), "m")
    assert graph.macs(graph.operators[0]) == 8 * 8 * 4 * 3 * 3 * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"output": (1, 8, 9, 4)},
            r"output has shape \[1, 8, 9, 4\], its inputs make \[1, 8, 8",
        ),
        ({"weights": (4, 3, 3, 3)}, r"weights \[4, 3, 3, 3\] do not fit an input of 2 channels"),
        ({"weights": (4, 9, 2)}, r"input 'w' has shape \[4, 9, 2\], rank 4 expected"),
        ({"bias": (5,)}, r"bias 'b' is int32 of shape \[5\], int32 of shape \[4\] expected"),
        ({"bias_type": "int64"}, r"bias 'b' is int64 of shape \[4\], int32 of shape \[4\]"),
        ({"x": (8, 8, 2)}, r"has shape \[8, 8, 2\], rank 4 expected"),
    ],
)
def test_convolution(change: dict[str, tuple[int, ...]], message: str) -> None:
    m = convolution(**change)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"operator 0 \(CONV_2D\): .*" + message):
        read_model_bytes(m.build(), "m")


def test_window_larger_than_the_input() -> None:
    m = ModelFile()
    x, y = m.input((1, 2, 2, 3), scale=0.5), m.tensor((1, 1, 1, 3), scale=0.5)
    options = {**WINDOW, "padding": 1, "filterHeight": 3, "filterWidth": 2}
    m.operator("MAX_POOL_2D", [x], [y], options, options_type="Pool2DOptions")
    assert "operator 0 (MAX_POOL_2D): the window spans 3 inputs" in refusal(m)


def test_padding_that_fills_the_memory() -> None:
    m = ModelFile()
    x, w = m.input((1, 49, 40, 1), scale=0.5), m.constant(np.ones((1, 9, 9, 1), np.int8), scale=0.1)
    options = {**WINDOW, "dilationHFactor": 50_000, "dilationWFactor": 1_000}
    y = m.tensor((1, 49, 40, 1), scale=0.5)
    m.operator("CONV_2D", [x, w], [y], options, options_type="Conv2DOptions")
    assert "operator 0 (CONV_2D): its windows span 400049 x 8040 pixels of 1 channels" in refusal(m)


def test_number_of_operands() -> None:
    m = ModelFile()
    x, y = m.input((1, 4), scale=0.5), m.tensor((1, 4), scale=0.5)
    m.operator("ADD", [x], [y], {}, options_type="AddOptions")
    assert "operator 0 (ADD): 1 inputs and 1 outputs, 2 to 2 inputs" in refusal(m)
    m = ModelFile()
    x, y = m.input((1, 4), scale=0.5), m.tensor((1, 4), scale=0.5)
    m.operator("ADD", [x, None], [y], {}, options_type="AddOptions")
    assert "operator 0 (ADD): a required input is left out" in refusal(m)


def test_depthwise_multiplier() -> None:
    m = ModelFile()
    x, y = m.input((1, 4, 4, 3), scale=0.5), m.tensor((1, 4, 4, 6), scale=0.5)
    w = m.constant(np.ones((1, 3, 3, 6), np.int8), scale=0.1)
    options = {**WINDOW, "depthMultiplier": 3}
    m.operator("DEPTHWISE_CONV_2D", [x, w], [y], options, options_type="DepthwiseConv2DOptions")
    assert "do not fit 3 channels with a depth multiplier of 3" in refusal(m)


def test_fully_connected() -> None:
    m = ModelFile()
    x, y = m.input((1, 7), scale=0.5), m.tensor((1, 5), scale=0.5)
    w = m.constant(np.ones((5, 8), np.int8), scale=0.1)
    m.operator("FULLY_CONNECTED", [x, w], [y], {}, options_type="FullyConnectedOptions")
    assert "weights [5, 8] do not fit an input of [1, 7]" in refusal(m)


def test_elementwise_broadcast() -> None:
    m = ModelFile()
    a, b = m.input((1, 4), scale=0.5), m.input((1, 3), scale=0.5)
    m.operator("ADD", [a, b], [m.tensor((1, 4), scale=0.5)], {}, options_type="AddOptions")
    assert "shapes [1, 4] and [1, 3] do not broadcast" in refusal(m)


def test_mean_axes() -> None:
    m = ModelFile()
    x, axes = m.input((1, 4, 4, 2), scale=0.5), m.constant(np.array([1, 4], np.int32))
    m.operator("MEAN", [x, axes], [m.tensor((1, 2), scale=0.5)], {}, options_type="ReducerOptions")
    assert "operator 0 (MEAN): axis is 4; allowed is -4 to 3" in refusal(m)


def test_paddings() -> None:
    m = ModelFile()
    x, amounts = m.input((1, 4), scale=0.5), m.constant(np.array([[0, 0], [-1, 0]], np.int32))
    m.operator("PAD", [x, amounts], [m.tensor((1, 3), scale=0.5)])
    assert "paddings [[0, 0], [-1, 0]] for an input of shape [1, 4]" in refusal(m)


def test_reshape_keeps_the_size() -> None:
    m = ModelFile()
    x, y = m.input((1, 4), scale=0.5), m.tensor((5,), scale=0.5)
    m.operator("RESHAPE", [x], [y])
    assert "[1, 4] cannot become [5]: sizes differ" in refusal(m)


@pytest.mark.parametrize("order", [[0, 1], [0, 0, 1], [0, 1, 3]])
def test_transpose_order(order: list[int]) -> None:
    m = ModelFile()
    x, o = m.input((1, 4, 2), scale=0.5), m.constant(np.array(order, np.int32))
    m.operator("TRANSPOSE", [x, o], [m.tensor((1, 2, 4), scale=0.5)])
    assert "is not a permutation of the 3 dimensions" in refusal(m)


def test_concatenation() -> None:
    def joined(axis: int) -> ModelFile:
        m = ModelFile()
        a, b = m.input((1, 4), scale=0.5), m.input((2, 4), scale=0.5)
        y = m.tensor((3, 4), scale=0.5)
        options = {"axis": axis}
        m.operator("CONCATENATION", [a, b], [y], options, options_type="ConcatenationOptions")
        return m

    assert read_model_bytes(joined(-2).build(), "m").operators[0].kind == "CONCATENATION"
    assert "do not join along axis 1" in refusal(joined(1))
    assert "axis 2 of inputs of rank 2" in refusal(joined(2))


def test_softmax_of_a_scalar() -> None:
    m = ModelBuilder()
    m.softmax(m.input((), scale=0.5))
    assert "is a scalar" in refusal(m)
