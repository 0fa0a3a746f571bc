"""UNIDIRECTIONAL_SEQUENCE_LSTM, step by step, against TFLM and against the plain-Python twin."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.lstm import lstm, lstm_parameters
from kernels.requantize import Rounding
from tests.kernels import twins_lstm
from tests.kernels.layers import seeds
from tests.kernels.reference import Operator, quantum
from tests.support.random_layers import Rng, random_int8, random_scale, random_zero_point
from tests.support.recurrent import random_lstm
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm_steps

STEPS = 4


@dataclass
class Layer:
    """An LSTM: the model, what the kernel takes, and inputs for some inferences."""

    model: bytes
    states: list[Any]
    operands: list[NDArray[Any]]
    arguments: dict[str, Any]
    inputs: list[NDArray[Any]]


def constant(op: Operator, position: int, kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    value = op.constant(position, kind)
    assert value is not None
    return value


def build(
    rng: Rng,
    dtype: type[np.signedinteger[Any]],
    shape: tuple[int, ...],
    units: int,
    **attributes: Any,
) -> Layer:
    m = ModelBuilder()
    if dtype == np.int8:
        quantization: dict[str, Any] = {
            "scale": random_scale(rng),
            "zero_point": random_zero_point(rng),
        }
    else:
        quantization = {"scale": random_scale(rng, 2.0**-15, 2.0**-11)}
    random_lstm(m, rng, m.input(shape, dtype=dtype, **quantization), units, **attributes)
    model = m.build()
    op = Operator(model)
    bias_type = np.int64 if dtype == np.int16 else np.int32
    ranges = ((range(1, 5), np.int8), (range(5, 9), np.int8), (range(12, 16), bias_type))
    operands = [np.stack([constant(op, i, kind) for i in positions]) for positions, kind in ranges]
    scales = [tuple(quantum(op.inputs[i])[0] for i in positions) for positions, _ in ranges[:2]]
    (ifm_scale, ifm_zero_point), (hidden_scale, hidden_zero_point), (cell_scale, _) = (
        quantum(op.inputs[i]) for i in (0, 18, 19)
    )
    info = np.iinfo(dtype)
    states = [
        np.full(op.inputs[18].shape, hidden_zero_point, dtype),
        np.zeros(op.inputs[19].shape, np.int16),
    ]
    arguments = {
        "ifm_zero_point": ifm_zero_point,
        "hidden_zero_point": hidden_zero_point,
        "time_major": bool(op.options.timeMajor),
        "parameters": lstm_parameters(
            ifm_scale=ifm_scale,
            hidden_scale=hidden_scale,
            cell_scale=cell_scale,
            input_weight_scales=scales[0],
            hidden_weight_scales=scales[1],
            cell_clip=op.options.cellClip,
        ),
    }
    inputs = [rng.integers(info.min, info.max + 1, shape).astype(dtype) for _ in range(STEPS)]
    return Layer(model, states, operands, arguments, inputs)


def random_layer(seed: int, dtype: type[np.signedinteger[Any]], limit: int = 9) -> Layer:
    rng = np.random.default_rng(seed)
    batches, steps, inputs, units = (int(n) for n in rng.integers(1, limit, 4))
    time_major = bool(rng.integers(2))
    shape = (steps, batches, inputs) if time_major else (batches, steps, inputs)
    return build(
        rng,
        dtype,
        shape,
        units,
        time_major=time_major,
        cell_clip=float(rng.choice([0.0, 0.7, 10.0])),
        cell_exponent=int(rng.integers(-15, -8)),
    )


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(30), ids="seed{}".format)
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_random_steps_match_tflm(dtype: type[np.signedinteger[Any]], seed: int) -> None:
    layer = random_layer(seed, dtype)
    states = layer.states
    expected = run_tflm_steps(layer.model, [[ifm] for ifm in layer.inputs])
    for ifm, (golden,) in zip(layer.inputs, expected, strict=True):
        before = [state.copy() for state in states]
        ofm, *following = lstm(ifm, *states, *layer.operands, **layer.arguments)
        np.testing.assert_array_equal(states, before)
        np.testing.assert_array_equal(ofm, golden)
        states = following


@pytest.mark.quick
@pytest.mark.parametrize("exponent", [-15, -12, -11, -8, -4, 0])
def test_every_scale_of_the_cell_matches_tflm(exponent: int) -> None:
    layer = build(
        np.random.default_rng(0), np.int8, (2, 20, 5), 6, cell_exponent=exponent, cell_clip=0.0
    )
    ofm, *_ = lstm(layer.inputs[0], *layer.states, *layer.operands, **layer.arguments)
    (golden,) = run_tflm_steps(layer.model, [[layer.inputs[0]]])[0]
    np.testing.assert_array_equal(ofm, golden)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(3), ids="seed{}".format)
def test_every_rounding_matches_the_twin(seed: int) -> None:
    layer = build(np.random.default_rng(seed), np.int8, (1, 6, 17), 20)
    arguments = {name: value for name, value in layer.arguments.items() if name != "time_major"}
    results = set()
    for rounding in Rounding:
        operands = layer.inputs[0], *layer.states, *layer.operands
        found, expected = (
            function(*operands, **arguments, rounding=rounding)
            for function in (lstm, twins_lstm.lstm)
        )
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        results.add(found[2].tobytes())
    assert len(results) == len(Rounding)


GOOD: dict[str, Any] = {
    "ifm": random_int8(np.random.default_rng(0), (2, 3, 5)),
    "hidden": np.zeros((2, 4), np.int8),
    "cell": np.zeros((2, 4), np.int16),
    "input_weights": np.zeros((4, 4, 5), np.int8),
    "hidden_weights": np.zeros((4, 4, 4), np.int8),
    "bias": np.zeros((4, 4), np.int32),
    "ifm_zero_point": 0,
    "hidden_zero_point": 0,
    "parameters": lstm_parameters(
        ifm_scale=0.1,
        hidden_scale=0.01,
        cell_scale=2.0**-12,
        input_weight_scales=(0.01,) * 4,
        hidden_weight_scales=(0.01,) * 4,
        cell_clip=0.0,
    ),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((2, 3, 5), np.uint8)}, "ifm is uint8; allowed are int8, int16"),
        ({"ifm": np.zeros((2, 5), np.int8)}, r"ifm has shape \(2, 5\); allowed are 3 dimensions"),
        ({"ifm": np.zeros((2, 3, 6), np.int8)}, r"ifm has size \(6,\); allowed is \(5,\)"),
        ({"hidden": np.zeros((2, 4), np.int16)}, "hidden is int16; allowed is int8"),
        ({"hidden": np.zeros((3, 4), np.int8)}, r"hidden has size \(3, 4\); allowed is \(2, 4\)"),
        ({"cell": np.zeros((2, 4), np.int8)}, "cell is int8; allowed is int16"),
        ({"cell": np.zeros((2, 5), np.int16)}, r"cell has size \(2, 5\); allowed is \(2, 4\)"),
        ({"input_weights": np.zeros((3, 4, 5), np.int8)}, r"input_weights has size \(3, 4, 5\)"),
        ({"hidden_weights": np.zeros((4, 4, 5), np.int8)}, r"hidden_weights has size \(4, 4, 5\)"),
        ({"bias": np.zeros((4, 4), np.int64)}, "bias is int64; allowed is int32"),
        ({"bias": np.zeros((4, 5), np.int32)}, r"bias has size \(4, 5\); allowed is \(4, 4\)"),
        ({"ifm_zero_point": 128}, "ifm_zero_point is 128; allowed is -128 to 127"),
        ({"rounding": 5}, "rounding is 5; allowed are 0, 1, 2"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    assert lstm(**GOOD)[0].shape == (2, 3, 4)
    with pytest.raises(ValueError, match=message):
        lstm(**(GOOD | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell_scale": 32.0}, "cell state scale is 32.0; allowed is at most 16"),
        ({"cell_scale": 0.0}, "cell state scale is 0.0; allowed is a positive finite float32"),
        ({"cell_clip": -1.0}, "cell_clip is -1.0; allowed is a finite number from 0"),
        ({"ifm_scale": 1e30}, "multiplier is .*; allowed is less than"),
    ],
)
def test_bad_scales_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "ifm_scale": 0.1,
        "hidden_scale": 0.01,
        "cell_scale": 2.0**-12,
        "input_weight_scales": (0.01,) * 4,
        "hidden_weight_scales": (0.01,) * 4,
        "cell_clip": 0.0,
    }
    assert lstm_parameters(**good).tanh_argument == (3, 0)
    with pytest.raises(ValueError, match=message):
        lstm_parameters(**(good | change))
