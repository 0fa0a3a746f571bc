"""SVDF, step by step, against TFLM and against the plain-Python twin."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.quantization import SvdfParameters, svdf_parameters
from kernels.svdf import svdf
from tests.kernels.layers import seeds
from tests.kernels.twins import multiply_by_quantized_multiplier, output
from tests.support.random_layers import Rng, random_int8, random_scale, random_zero_point
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm_steps

STEPS = 6


@dataclass
class Layer:
    """An SVDF: the model, what the kernel takes, and the scales."""

    model: bytes
    state: Any
    operands: list[Any]
    arguments: dict[str, Any]
    scales: dict[str, float] = field(default_factory=dict)

    def steps(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The OFM of every step, by the kernel."""
        state, found = self.state, []
        for ifm in inputs:
            ofm, state = svdf(ifm, state, *self.operands, **self.arguments)
            found.append(ofm)
        return found


def time_limit(dtype: type[np.signedinteger[Any]]) -> int:
    """Weights over time of a size for which int32 accumulators have room."""
    return np.iinfo(dtype).max // (64 if dtype == np.int16 else 1)


def build(
    rng: Rng,
    *,
    dtype: type[np.signedinteger[Any]],
    batches: int,
    inputs: int,
    units: int,
    rank: int,
    memory: int,
    scales: dict[str, float],
    zero_points: tuple[int, int, int],
) -> Layer:
    filters = units * rank
    feature = random_int8(rng, (filters, inputs), low=-127)
    limit = time_limit(dtype)
    time = rng.integers(-limit, limit + 1, (filters, memory)).astype(dtype)
    ifm_zero_point, state_zero_point, ofm_zero_point = zero_points
    m = ModelBuilder()
    x = m.input((batches, inputs), scale=scales["ifm_scale"], zero_point=ifm_zero_point)
    spread = scales["ofm_scale"] / (scales["state_scale"] * scales["time_scale"])
    bias = rng.normal(0, 40 * spread, units).clip(-(2**29), 2**29).astype(np.int32)
    bias_scale = np.float32(scales["state_scale"]) * np.float32(scales["time_scale"])
    shape = (batches, filters * memory)
    state_scale = scales["state_scale"]
    operands = [
        x,
        m.constant(feature, scale=scales["feature_scale"]),
        m.constant(time, scale=scales["time_scale"]),
        m.constant(bias, scale=bias_scale),
        m.variable(shape, dtype, scale=state_scale, zero_point=state_zero_point),
    ]
    y = m.tensor((batches, units), scale=scales["ofm_scale"], zero_point=ofm_zero_point)
    options = {"rank": rank, "fusedActivationFunction": 1}
    m.operator("SVDF", operands, [y], options, options_type="SVDFOptions", version=3)
    arguments = {
        "ifm_zero_point": ifm_zero_point,
        "state_zero_point": state_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "parameters": svdf_parameters(rank, **scales),
    }
    state = np.full(shape, state_zero_point, dtype)
    return Layer(m.build(), state, [feature, time, bias], arguments, scales)


def random_layer(rng: Rng, dtype: type[np.signedinteger[Any]]) -> Layer:
    inputs, units, memory = (int(n) for n in rng.integers(1, 14, 3))
    rank = int(rng.integers(1, 4))
    ifm, feature = random_scale(rng), random_scale(rng)
    # the state takes most of its range, and now and then saturates
    limit = np.iinfo(dtype).max
    state = ifm * feature * 5000 * np.sqrt(inputs) * float(rng.uniform(0.5, 4)) / limit
    time = random_scale(rng) / time_limit(dtype)
    ofm = state * time * limit * time_limit(dtype) / 3 * np.sqrt(rank * memory) / 80
    scales = {
        "ifm_scale": ifm,
        "feature_scale": feature,
        "state_scale": state,
        "time_scale": time,
        "ofm_scale": ofm,
    }
    scales = {name: float(np.float32(scale)) for name, scale in scales.items()}
    state_zero_point = random_zero_point(rng) // 4 if dtype == np.int8 else 0
    return build(
        rng,
        dtype=dtype,
        batches=int(rng.integers(1, 3)),
        inputs=inputs,
        units=units,
        rank=rank,
        memory=memory,
        scales=scales,
        zero_points=(random_zero_point(rng), state_zero_point, random_zero_point(rng)),
    )


def random_steps(rng: Rng, layer: Layer) -> list[Any]:
    shape = (layer.state.shape[0], layer.operands[0].shape[1])
    return [random_int8(rng, shape) for _ in range(STEPS)]


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
@pytest.mark.parametrize("dtype", [np.int16, np.int8])
def test_random_steps_match_tflm(dtype: type[np.signedinteger[Any]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, dtype)
    inputs = random_steps(rng, layer)
    np.testing.assert_array_equal(
        layer.steps(inputs),
        [ofm for (ofm,) in run_tflm_steps(layer.model, [[ifm] for ifm in inputs])],
    )


def twin(
    ifm: NDArray[Any],
    state: NDArray[Any],
    feature: NDArray[Any],
    time: NDArray[Any],
    bias: NDArray[Any],
    *,
    arguments: dict[str, Any],
) -> tuple[NDArray[np.int8], NDArray[Any]]:
    """(OFM, next state), one integer at a time."""
    p = arguments["parameters"]
    filters, memory = time.shape
    info = np.iinfo(time.dtype)
    low, span = int(info.min), int(info.max) - int(info.min) + 1
    ofm = np.empty((ifm.shape[0], filters // p.rank), np.int8)
    memories = state.reshape(-1, filters, memory).tolist()
    for n in range(ifm.shape[0]):
        sums = [int(b) for b in bias]
        for f in range(filters):
            projection = sum(
                int(w) * (int(x) - arguments["ifm_zero_point"])
                for w, x in zip(feature[f], ifm[n], strict=True)
            )
            scaled = multiply_by_quantized_multiplier(
                projection, p.multiplier_feature, p.shift_feature
            )
            newest = min(max(scaled, low), low + span - 1) + arguments["state_zero_point"]
            newest = (newest - low) % span + low
            memories[n][f] = [*memories[n][f][1:], newest]
            sums[f // p.rank] += sum(
                int(w) * (value - arguments["state_zero_point"])
                for w, value in zip(time[f], memories[n][f], strict=True)
            )
        for unit, acc in enumerate(sums):
            ofm[n, unit] = output(
                acc, p.multiplier_time, p.shift_time, arguments["ofm_zero_point"], -128, 127
            )
    return ofm, np.array(memories, time.dtype).reshape(state.shape)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(4), ids="seed{}".format)
@pytest.mark.parametrize("dtype", [np.int16, np.int8])
def test_random_steps_match_the_twin(dtype: type[np.signedinteger[Any]], seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    layer = random_layer(rng, dtype)
    state = layer.state
    for ifm in random_steps(rng, layer):
        expected_ofm, expected_state = twin(ifm, state, *layer.operands, arguments=layer.arguments)
        before = state.copy()
        ofm, next_state = svdf(ifm, state, *layer.operands, **layer.arguments)
        np.testing.assert_array_equal(state, before)
        np.testing.assert_array_equal(ofm, expected_ofm)
        np.testing.assert_array_equal(next_state, expected_state)
        state = next_state


GOOD: dict[str, Any] = {
    "ifm": np.zeros((1, 3), np.int8),
    "state": np.zeros((1, 20), np.int16),
    "weights_feature": np.zeros((4, 3), np.int8),
    "weights_time": np.zeros((4, 5), np.int16),
    "bias": None,
    "ifm_zero_point": 0,
    "state_zero_point": 0,
    "ofm_zero_point": 0,
    "parameters": SvdfParameters(2, 2**30, 0, 2**30, 0),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((1, 3), np.int16)}, "ifm is int16; allowed is int8"),
        ({"ifm": np.zeros((1, 4), np.int8)}, "ifm has size 4; allowed is 3"),
        ({"weights_time": np.zeros((3, 5), np.int16)}, "weights_time has size 3; allowed is 4"),
        ({"weights_time": np.zeros((4, 5), np.int32)}, "weights_time is int32; allowed is int16"),
        ({"state": np.zeros((1, 20), np.int8)}, "state is int8; allowed is int16"),
        (
            {"state": np.zeros((1, 19), np.int16)},
            r"state has size \(1, 19\); allowed is \(1, 20\)",
        ),
        ({"bias": np.zeros(3, np.int32)}, "bias has 3 values; allowed is one per channel: 2"),
        ({"state_zero_point": 1}, "state_zero_point is 1; allowed for int16 is 0"),
        ({"ofm_zero_point": 200}, "ofm_zero_point is 200; allowed is -128 to 127"),
        (
            {"parameters": SvdfParameters(3, 2**30, 0, 2**30, 0)},
            "rank is 3; allowed are divisors of the filters: 4",
        ),
        (
            {"parameters": SvdfParameters(2, 2**30, 31, 2**30, 0)},
            "shift is 31; allowed is -31 to 30",
        ),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    ofm, state = svdf(**GOOD)
    assert ofm.shape == (1, 2)
    assert state.shape == (1, 20)
    with pytest.raises(ValueError, match=message):
        svdf(**(GOOD | change))
