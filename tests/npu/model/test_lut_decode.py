"""TFLM's compressed files: read as the weights that they stand for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.golden import compare, run_golden
from npu.model.graph import Quantization, Tensor
from npu.model.lut_decode import decode_luts
from npu.model.tflite_reader import read_model_bytes
from npu.offload.network import CompiledNetwork
from npu.optimize.lut_file import write_lut_file
from rtl.config import PRESETS
from rtl.isa import Destination, Opcode
from sim.functional import FunctionalSimulator
from tests.npu.optimize.networks import two_convolutions
from tests.support.compressed_models import changed, clustered


@pytest.mark.parametrize("clusters", [2, 7, 16, 50])
@pytest.mark.parametrize("per_channel", [True, False])
def test_a_compressed_file_is_read_and_run(clusters: int, per_channel: bool) -> None:
    plain = changed(
        two_convolutions(channels=32, per_channel=per_channel),
        lambda weights: clustered(weights, clusters, per_channel),
    )
    content, names = write_lut_file(plain)
    assert names
    graph, expected = read_model_bytes(content, "lut"), read_model_bytes(plain, "plain")
    assert [op.kind for op in graph.operators] == [op.kind for op in expected.operators]
    for op, other in zip(graph.operators, expected.operators, strict=True):
        weights, dense = graph.input_tensor(op, 1), expected.input_tensor(other, 1)
        if dense is not None and dense.data is not None:
            assert weights is not None
            assert weights.data is not None
            np.testing.assert_array_equal(weights.data, dense.data)

    rng = np.random.default_rng(clusters)
    inputs = {
        i: rng.integers(-128, 128, graph.tensors[i].shape).astype(np.int8) for i in graph.inputs
    }
    network = CompiledNetwork(graph, PRESETS["npu256c"])
    simulator = FunctionalSimulator(network.config)
    values, _ = network.run(inputs, lambda program, given, _: simulator.run(program, given))
    known = {i: values[i] for i in graph.outputs}
    assert compare(graph, run_golden(content, graph, inputs), known).bit_exact
    encoded = [
        command
        for program in network.programs.values()
        for command in program.decode()
        if command.opcode == Opcode.LOAD and command["destination"] == Destination.ENCODED
    ]
    assert encoded or clusters > 16, "16 values fit the decoder's tables"


def lut(bits: int, table: list[int], **header: int) -> NDArray[np.uint8]:
    """An ancillary tensor with one table."""
    head = {0: 0, 1: 1, 4: 1, 5: bits, 6: len(table)}
    head |= {int(name.removeprefix("byte")): value for name, value in header.items()}
    first = [head.get(i, 0) for i in range(16)]
    return np.array([*first, *(value & 0xFF for value in table)], np.uint8)


def tensor(shape: tuple[int, ...], channels: int = 1, axis: int = 0) -> Tensor:
    quantization = Quantization(np.ones(channels, np.float32), np.zeros(channels, np.int64), axis)
    return Tensor(0, "weights", shape, np.dtype(np.int8), quantization)


def test_channels_of_the_last_dimension() -> None:
    indices = np.array([0b01010000], np.uint8)
    ancillary = lut(1, [1, 2, 3, -4], byte6=2)
    (found,) = decode_luts([indices, ancillary], [tensor((2, 2), 2, axis=1)])
    np.testing.assert_array_equal(found, np.array([[1, -4], [1, -4]], np.int8))
    (found,) = decode_luts([indices, ancillary], [tensor((2, 2), 2)])
    np.testing.assert_array_equal(found, np.array([[1, 2], [3, -4]], np.int8))


@pytest.mark.parametrize(
    ("ancillary", "message"),
    [
        (lut(2, [1, 2, 3, 4], byte0=1), "weights of type 1, version 1, 2 bits"),
        (lut(2, [1, 2, 3, 4], byte1=2), "weights of type 0, version 2, 2 bits"),
        (lut(0, [1]), "weights of type 0, version 1, 0 bits"),
        (lut(2, [1, 2, 3, 4], byte6=3), "4 entries for 1 tables of 3"),
        (lut(2, [1, 2]), "4 indices into tables of 2 for 4 values"),
        (lut(4, [1, 2]), "2 indices into tables of 2 for 4 values"),
    ],
)
def test_what_is_not_decoded(ancillary: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_luts([np.array([0b11000000], np.uint8), ancillary], [tensor((4,))])
    with pytest.raises(ValueError, match="1 inputs for 1 outputs"):
        decode_luts([ancillary], [tensor((4,))])
