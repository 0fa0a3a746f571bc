"""Networks with float32 ends: QUANTIZE reads their input, and DEQUANTIZE writes their output."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npu.errors import InputError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import run_network
from npu.reference.network import run_reference
from rtl.config import load_config
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile

SCALE, ZERO_POINT = 1 / 128, -3


def network(shape: tuple[int, ...] = (1, 6, 6, 3)) -> bytes:
    rng = np.random.default_rng(4)
    m = ModelBuilder()
    x = m.quantize(
        m.input(shape, dtype="float32", name="image"), scale=SCALE, zero_point=ZERO_POINT
    )
    y = random_conv2d(m, rng, x, 8)
    m.dequantize(random_conv2d(m, rng, y, 4, (1, 1)))
    return m.build()


def graph_of(model: bytes) -> Graph:
    return read_model_bytes(model, "m")


@pytest.mark.parametrize("seed", range(3))
def test_reference_matches_tflm(seed: int) -> None:
    model = network()
    graph = graph_of(model)
    inputs = load_inputs([f"random:{seed}"], graph)
    values = run_reference(graph, inputs)
    comparison = compare(graph, run_golden(model, graph, inputs), values)
    assert comparison.bit_exact, comparison.mismatches[0]
    (output,) = graph.outputs
    assert values[output].dtype == np.float32
    assert np.unique(values[output]).size > 20, f"seed {seed}"


def test_the_npu_executes_what_lies_between() -> None:
    model = network()
    graph = graph_of(model)
    inputs = load_inputs([], graph)
    result = run_network(graph, inputs, config=load_config("npu64"), backend="functional")
    assert compare(graph, run_golden(model, graph, inputs), dict(result.outputs)).bit_exact
    assert [layer.placed for layer in result.layers] == ["CPU", "NPU", "NPU", "CPU"]


def test_random_inputs_are_the_values_that_int8_stands_for() -> None:
    graph = graph_of(network())
    (values,) = load_inputs(["random:5"], graph).values()
    assert values.dtype == np.float32
    assert values.min() < -0.9
    steps = values / np.float32(SCALE) + ZERO_POINT
    np.testing.assert_array_equal(steps, np.rint(steps))


def test_arrays_are_taken_as_real_values(tmp_path: Path) -> None:
    graph = graph_of(network())
    array = np.random.default_rng(0).normal(size=(6, 6, 3))
    path = tmp_path / "x.npy"
    np.save(path, array)
    (values,) = load_inputs([str(path)], graph).values()
    np.testing.assert_array_equal(values, array[None].astype(np.float32))
    np.save(path, array.astype(np.int8))
    with pytest.raises(InputError, match=r"is int8, allowed is floating point \(real values\)$"):
        load_inputs([str(path)], graph)


def test_pixels_are_scaled_to_the_range_that_the_network_quantizes(tmp_path: Path) -> None:
    graph = graph_of(network())
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    (values,) = load_inputs([str(tmp_path / "x.png")], graph).values()
    assert values.dtype == np.float32
    np.testing.assert_allclose(values[0], pixels / 127.5 - 1, atol=1e-6)


def test_values_that_cannot_be_quantized() -> None:
    """No number, and numbers beyond int32: as TFLM computes them on this machine."""
    model = network()
    graph = graph_of(model)
    (index,) = graph.inputs
    given = np.resize(np.array([np.nan, np.inf, -np.inf, 3e38, -3e38], np.float32), (1, 6, 6, 3))
    golden = run_golden(model, graph, {index: given})
    assert compare(graph, golden, run_reference(graph, {index: given})).bit_exact


def test_float_inputs_that_no_quantize_reads(tmp_path: Path) -> None:
    """Random values are from -1 to 1 where nothing says what they stand for, pixels from 0 to 1."""
    m = ModelFile()
    x, y = m.input((1, 2, 2, 3), dtype="float32"), m.tensor((1, 12), "float32")
    m.operator("RESHAPE", [x], [y])
    m.operator("QUANTIZE", [y], [m.tensor((1, 12), scale=0.1)])
    graph = graph_of(m.build())
    (values,) = load_inputs(["random:5"], graph).values()
    assert values.dtype == np.float32
    assert -1 <= values.min() < -0.5
    assert 0.5 < values.max() < 1
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 23
    Image.fromarray(pixels).save(tmp_path / "x.png")
    (values,) = load_inputs([str(tmp_path / "x.png")], graph).values()
    np.testing.assert_array_equal(values[0], pixels.astype(np.float32) / np.float32(255))
