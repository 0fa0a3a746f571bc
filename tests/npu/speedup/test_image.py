"""The network image: what it refuses, how it is laid out, and the NPU's part in it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.errors import SpeedupError, UnsupportedOperatorError
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.network import CompiledNetwork
from npu.reference.network import run_reference
from npu.speedup.image import network_image, read_outputs, read_results
from npu.speedup.image_builder import Constant, ImageBuilder, Place
from npu.speedup.image_copy import broadcast_parameters, copy_parameters, stand_in
from npu.speedup.image_windows import pack_weights
from rtl.config import NpuConfig
from rtl.registers import Status
from sim.functional.simulator import FunctionalSimulator
from sim.soc.firmware import image_format
from sim.soc.firmware.image_format import HEADER, OPERATOR, PARAMETERS, Kind, unpack_record
from sim.soc.memory_map import ARENA_LIMIT, IMAGE_BASE, RAM_BASE, RAM_BYTES, ExitCode
from tests.npu.small_model import classifier
from tests.sim.configs import SINGLE, SMALL
from tests.sim.soc.native import run_native
from tests.support.operators import unary
from tests.support.random_layers import random_conv2d, random_input
from tests.support.tflite_builder import ModelBuilder


def read(model: bytes, seed: int = 0) -> tuple[Graph, dict[int, NDArray[np.int8]]]:
    graph = read_model_bytes(model, "m")
    return graph, load_inputs([f"random:{seed}"], graph)


def operators(image: bytes) -> list[tuple[Kind, dict[str, int]]]:
    header = unpack_record(HEADER, image)
    found = []
    for i in range(header["operator_count"]):
        offset = header["operators"] + i * image_format.record_bytes(OPERATOR)
        entry = unpack_record(OPERATOR, image, offset)
        kind = Kind(entry["kind"])
        assert entry["parameter_bytes"] == image_format.record_bytes(PARAMETERS[kind])
        found.append((kind, unpack_record(PARAMETERS[kind], image, entry["parameters"])))
    return found


# layout


def test_sections_are_aligned_and_the_image_is_reproducible() -> None:
    graph, inputs = read(classifier())
    image = network_image(graph, inputs)
    assert image == network_image(graph, inputs)
    header = unpack_record(HEADER, image)
    assert header["bytes"] == len(image)
    assert len(image) % image_format.ALIGNMENT == 0
    for name in ("operators", "inputs", "outputs"):
        assert header[name] % image_format.ALIGNMENT == 0
    assert header["input_count"] == header["output_count"] == 1


def test_operands_are_references_into_arena_and_image() -> None:
    graph, inputs = read(classifier())
    image = network_image(graph, inputs)
    arena_bytes = unpack_record(HEADER, image)["arena_bytes"]
    kind, conv = operators(image)[0]
    assert kind == Kind.CONV_2D
    weights = graph.tensors[graph.operators[0].inputs[1]].data
    assert weights is not None
    start = ~conv["weights"] & 0xFFFFFFFF
    assert image[start : start + weights.size] == weights.tobytes()
    for name in ("input", "output", "scratch"):
        assert conv[name] < arena_bytes


def test_folded_bias_takes_the_zero_point_in() -> None:
    graph, inputs = read(classifier())
    image = network_image(graph, inputs)
    _, conv = operators(image)[0]
    op = graph.operators[0]
    weights, bias = (graph.tensors[i].data for i in op.inputs[1:])
    assert weights is not None
    assert bias is not None
    start = ~conv["folded_bias"] & 0xFFFFFFFF
    folded = np.frombuffer(image, "<i4", weights.shape[0], start)
    np.testing.assert_array_equal(folded, bias + 128 * weights.astype(np.int64).sum((1, 2, 3)))


def test_buffers_in_use_at_once_do_not_overlap() -> None:
    builder = ImageBuilder()
    a, b, c = (builder.buffer(name, 100) for name in "abc")
    table = builder.constant(np.zeros(256, np.int8))
    for source, target in ((a, b), (b, c)):
        parameters: dict[str, int | Place | Constant] = {
            "input": source,
            "output": target,
            "count": 100,
            "table": table,
        }
        builder.add(Kind.TABLE, 0, parameters)
    builder.input(0, np.zeros(100, np.int8), a)
    builder.output(1, c, 100)
    (_, first), (_, second) = operators(builder.finish())
    assert abs(first["input"] - first["output"]) >= 100
    assert abs(second["input"] - second["output"]) >= 100
    assert second["output"] == first["input"]


def test_equal_constants_are_stored_once() -> None:
    builder = ImageBuilder()
    first = builder.constant(np.arange(5, dtype=np.int32))
    assert builder.constant(np.arange(5, dtype=np.int32)) == first
    assert builder.constant(np.arange(6, dtype=np.int32)) != first


@pytest.mark.parametrize(("channels", "values", "groups"), [(8, 12, 1), (5, 7, 1), (6, 3, 2)])
def test_packed_weights(channels: int, values: int, groups: int) -> None:
    matrix = np.arange(1, channels * values + 1).astype(np.int8).reshape(channels, values)
    packed = pack_weights(matrix, groups)
    per_group = channels // groups
    for c in range(channels):
        group, inside = divmod(c, per_group)
        for k in range(values):
            assert packed[group, inside // 4, k // 4, inside % 4, k % 4] == matrix[c, k]
    assert np.count_nonzero(packed) == matrix.size


def test_copies_of_dense_tensors_are_one_line() -> None:
    view = stand_in((2, 3, 4))
    parameters = copy_parameters(Place("a"), view, Place("b"), view)
    assert [parameters[f"extent{i}"] for i in range(image_format.COPY_RANK)] == [1, 1, 1, 1, 1, 24]
    repeated = broadcast_parameters(Place("a"), (1, 1, 5), Place("b"), (2, 3, 5))
    assert [repeated[f"input_stride{i}"] for i in (4, 5)] == [0, 1]
    with pytest.raises(ValueError, match="must be equal"):
        copy_parameters(Place("a"), view, Place("b"), view[0])


def test_copies_of_too_many_dimensions() -> None:
    view = stand_in((2,) * 7).transpose()
    with pytest.raises(ValueError, match="7 dimensions, 6 are possible"):
        copy_parameters(Place("a"), view, Place("b"), stand_in((2,) * 7))


# what is refused


def test_an_operator_without_kernel_is_named() -> None:
    m = ModelBuilder()
    x = m.input((1, 4, 4, 2), scale=0.5, zero_point=0)
    unary(m, "LEAKY_RELU", x, scale=0.5, zero_point=0, alpha=0.1)
    m.operator("MIRROR_PAD", [x, m.constant(np.zeros((4, 2), np.int32))],
               [m.tensor((1, 4, 4, 2), scale=0.5, zero_point=0)],
               {"mode": 0}, options_type="MirrorPadOptions")  # fmt: skip
    graph, inputs = read(m.build())
    with pytest.raises(UnsupportedOperatorError, match=r"operator 1 \(MIRROR_PAD\).*it has ABS"):
        network_image(graph, inputs)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_an_input_that_is_not_int8_is_named(dtype: str) -> None:
    m = ModelBuilder()
    x = m.input((1, 8), dtype=dtype, scale=0.5, zero_point=0, name="x")
    m.quantize(x, scale=0.5, zero_point=-128)
    graph, inputs = read(m.build())
    message = f"input 'x' is {dtype}, the firmware takes int8 only; convert the network with int8"
    with pytest.raises(SpeedupError, match=message):
        network_image(graph, inputs)


def test_weights_that_something_computes() -> None:
    m = ModelBuilder()
    x, weights = (m.input(shape, scale=0.1, zero_point=0) for shape in ((1, 8), (4, 8)))
    y = m.tensor((1, 4), "int8", scale=0.3, zero_point=0)
    m.operator("FULLY_CONNECTED", [x, weights], [y], {}, options_type="FullyConnectedOptions")
    graph, inputs = read(m.build())
    with pytest.raises(UnsupportedOperatorError, match="its weights are not constant"):
        network_image(graph, inputs)


def test_mean_over_axes_apart() -> None:
    m = ModelBuilder()
    x = m.input((1, 3, 4, 5), scale=0.5, zero_point=0)
    m.mean(x, (1, 3), scale=0.5, zero_point=0)
    graph, inputs = read(m.build())
    with pytest.raises(UnsupportedOperatorError, match=r"axes \[1, 3\] .* are not adjacent"):
        network_image(graph, inputs)


def test_tensors_larger_than_the_ram() -> None:
    m = ModelBuilder()
    x = m.input((1, 3000, 3000, 1), scale=0.5, zero_point=0)
    unary(m, "RELU", x, scale=0.5, zero_point=0)
    graph, inputs = read(m.build())
    with pytest.raises(SpeedupError, match=rf"take 18000\d* bytes of RAM, .* has {ARENA_LIMIT}"):
        network_image(graph, inputs)


def test_another_rounding_than_the_firmware_has() -> None:
    graph, inputs = read(classifier())
    with pytest.raises(SpeedupError, match="the NPU's rounding is 'single'"):
        network_image(graph, inputs, CompiledNetwork(graph, SINGLE))


def test_no_results() -> None:
    with pytest.raises(SpeedupError, match="left no results"):
        read_results(np.zeros(RAM_BYTES, np.uint8))


def test_damaged_results() -> None:
    ram = np.zeros(RAM_BYTES, np.uint8)
    fields = dict.fromkeys(image_format.RESULTS, 0) | {
        "magic": image_format.RESULTS_MAGIC,
        "operator_count": 1,
        "operators": RAM_BASE + RAM_BYTES,
    }
    record = image_format.pack_record(image_format.RESULTS, fields)
    ram[: len(record)] = np.frombuffer(record, np.uint8)
    with pytest.raises(SpeedupError, match="results are damaged"):
        read_results(ram)


# the NPU


class FunctionalNpu:
    """Stands for the NPU of a native run: the functional simulator on the firmware's RAM."""

    def __init__(self, network: CompiledNetwork, image: bytes) -> None:
        self.programs = list(network.programs.values())
        self.image = image
        self.simulator = FunctionalSimulator(network.config)
        self.runs = 0

    def __call__(self, ram: NDArray[np.uint8], registers: Sequence[int]) -> tuple[int, int]:
        commands, command_bytes, constants, constant_bytes, arena, arena_bytes = registers
        program = self.programs[self.runs]
        assert self._image(commands, command_bytes) == program.commands.tobytes()
        assert self._image(constants, constant_bytes) == program.constants.tobytes()
        assert arena_bytes == program.arena_bytes
        region = ram[arena - RAM_BASE : arena - RAM_BASE + arena_bytes]
        inputs = {
            b.tensor_index: region[b.offset : b.offset + b.size].view(np.int8).reshape(b.shape)
            for b in program.inputs
        }
        result = self.simulator.run(program, inputs)
        for binding in program.outputs:
            value = result.outputs[binding.tensor_index]
            region[binding.offset : binding.offset + binding.size] = value.reshape(-1).view(
                np.uint8
            )
        self.runs += 1
        return int(Status.DONE), 1000 + self.runs

    def _image(self, address: int, size: int) -> bytes:
        return self.image[address - IMAGE_BASE : address - IMAGE_BASE + size]


def run_with_npu(model: bytes, seed: int, config: NpuConfig, folder: Path) -> list[Kind]:
    """Run on NPU and CPU, compare every output; returns the kinds of the image's operators."""
    graph, inputs = read(model, seed)
    network = CompiledNetwork(graph, config)
    image = network_image(graph, inputs, network)
    npu = FunctionalNpu(network, image)
    code, ram = run_native("optimized", image, folder, npu, config.config_id)
    assert code == ExitCode.OK
    expected = run_reference(graph, inputs)
    for index, value in read_outputs(graph, image, ram).items():
        np.testing.assert_array_equal(value, expected[index])
    counted = [op.npu_cycles for op in read_results(ram).operators if op.kind == Kind.NPU]
    assert counted == list(range(1001, 1001 + len(network.programs)))
    return [op.kind for op in read_results(ram).operators]


def test_a_network_on_the_npu_copies_nothing(tmp_path: Path) -> None:
    kinds = run_with_npu(classifier(), 3, SMALL, tmp_path)
    assert kinds == [Kind.NPU, Kind.SOFTMAX]


@pytest.mark.parametrize("seed", range(2))
def test_segments_between_operators_of_the_cpu(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 5, 6, 4))
    for channels in (6, 3):
        x = m.softmax(random_conv2d(m, rng, x, channels))
    kinds = run_with_npu(m.build(), seed, SMALL, tmp_path)
    assert kinds == [Kind.NPU, Kind.SOFTMAX, Kind.NPU, Kind.SOFTMAX]


def test_a_tensor_of_two_segments_is_copied_to_the_second(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 5, 6, 4))
    y = random_conv2d(m, rng, x, 4)
    # for the CPU: it ends the first segment, whose input the second needs again
    s = m.softmax(y)
    random_conv2d(m, rng, x, 4)
    random_conv2d(m, rng, s, 4)
    kinds = run_with_npu(m.build(), 4, SMALL, tmp_path)
    assert kinds == [Kind.NPU, Kind.SOFTMAX, Kind.COPY, Kind.NPU]


def test_an_error_of_the_npu_stops_the_run(tmp_path: Path) -> None:
    graph, inputs = read(classifier())
    image = network_image(graph, inputs, CompiledNetwork(graph, SMALL))
    code, ram = run_native(
        "optimized", image, tmp_path, lambda *_: (int(Status.ERROR), 5), SMALL.config_id
    )
    assert code == ExitCode.NPU_ERROR == read_results(ram).exit_code
    assert read_results(ram).failed_operator == 0
    assert [op.kind for op in read_results(ram).operators] == [Kind.NPU]
