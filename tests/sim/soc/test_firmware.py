"""The bench SoC's firmware, compiled natively, with each kernel set: bit-exact on every output."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.golden import run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.reference.network import run_reference
from npu.speedup.image import network_image, read_outputs, read_results
from npu.zoo import model_path
from sim.soc.firmware import image_format
from sim.soc.firmware.headers import KERNEL_SETS, headers, sources
from sim.soc.firmware.image_format import HEADER, OPERATOR, Kind, unpack_record
from sim.soc.memory_map import RESULTS_BYTES, ExitCode
from tests.npu.reference.test_executors import MOVEMENTS
from tests.npu.small_model import classifier
from tests.sim.soc.firmware_models import LAYERS, model
from tests.sim.soc.native import run_native
from tests.support.shared_models import MLPERF, shared_inputs, shared_model

kernel_sets = pytest.mark.parametrize("kernel_set", KERNEL_SETS)
SEEDS_PER_LAYER = 6
# what the firmware has no kernel for
BEYOND = ("mirror_pad", "symmetric", "gather", "resize", "bilinear", "nearest", "cast", "arg_")


def assert_exact(
    graph: Graph, golden: dict[int, NDArray[Any]], kernel_set: str, folder: Path
) -> None:
    image = network_image(graph, golden)
    code, ram = run_native(kernel_set, image, folder)
    assert code == ExitCode.OK
    found = read_outputs(graph, image, ram)
    assert found.keys() == set(graph.outputs)
    for index, value in found.items():
        np.testing.assert_array_equal(value, golden[index], err_msg=graph.tensors[index].name)


@kernel_sets
@pytest.mark.parametrize("name", MLPERF)
def test_networks_equal_tflm(name: str, kernel_set: str, tmp_path: Path) -> None:
    path = shared_model(name)
    graph = read_model(path)
    key = next(k for k in np.load(shared_inputs()).files if k.startswith(f"{name}/"))
    inputs = load_inputs([f"{shared_inputs()}:{key}"], graph)
    assert_exact(graph, run_golden(path.read_bytes(), graph, inputs), kernel_set, tmp_path)


@kernel_sets
def test_shipped_network_equals_tflm(kernel_set: str, tmp_path: Path) -> None:
    graph = read_model(model_path())
    golden = run_golden(model_path().read_bytes(), graph, load_inputs(["random:3"], graph))
    assert_exact(graph, golden, kernel_set, tmp_path)


@pytest.mark.parametrize("seed", range(SEEDS_PER_LAYER))
@pytest.mark.parametrize("layer", LAYERS)
def test_random_layers(layer: str, seed: int, tmp_path: Path) -> None:
    graph = read_model_bytes(model(layer, seed), layer)
    inputs = load_inputs([f"random:{seed}"], graph)
    golden = {**inputs, **run_reference(graph, inputs)}
    for kernel_set in KERNEL_SETS:
        assert_exact(graph, golden, kernel_set, tmp_path)


@pytest.mark.parametrize("name", [n for n in MOVEMENTS if not n.startswith(BEYOND)])
def test_movement_of_data(name: str, tmp_path: Path) -> None:
    graph = read_model_bytes(MOVEMENTS[name], name)
    inputs = load_inputs(["random:5"], graph)
    assert_exact(graph, {**inputs, **run_reference(graph, inputs)}, "reference", tmp_path)


@kernel_sets
def test_results_count_every_operator(kernel_set: str, tmp_path: Path) -> None:
    graph = read_model_bytes(classifier(), "m")
    _, ram = run_native(kernel_set, network_image(graph, load_inputs([], graph)), tmp_path)
    results = read_results(ram)
    kinds = [operator.kind.name for operator in results.operators]
    expected = [op.kind if op.kind != "RESHAPE" else "COPY" for op in graph.operators]
    assert kinds == expected
    assert [op.network_operator for op in results.operators] == [op.index for op in graph.operators]
    assert all(op.cycles > 0 and op.npu_cycles == 0 for op in results.operators)
    assert sum(op.cycles for op in results.operators) < results.cycles
    assert results.exit_code == ExitCode.OK


def corrupted(image: bytes, offset: int, value: int) -> bytes:
    return image[:offset] + value.to_bytes(4, "little") + image[offset + 4 :]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("magic", 0x12345678),
        ("version", image_format.IMAGE_VERSION + 1),
        ("arena_bytes", 1 << 24),
        ("operator_count", RESULTS_BYTES // 16),
    ],
)
def test_an_image_that_does_not_fit_is_refused(field: str, value: int, tmp_path: Path) -> None:
    graph = read_model_bytes(classifier(), "m")
    image = network_image(graph, load_inputs([], graph))
    code, ram = run_native("reference", corrupted(image, 4 * HEADER.index(field), value), tmp_path)
    assert code == ExitCode.BAD_IMAGE == read_results(ram).exit_code
    assert not read_results(ram).operators


def test_an_unknown_operator_stops_the_run(tmp_path: Path) -> None:
    graph = read_model_bytes(classifier(), "m")
    image = network_image(graph, load_inputs([], graph))
    table = unpack_record(HEADER, image)["operators"]
    third = table + 2 * image_format.record_bytes(OPERATOR)
    code, ram = run_native("reference", corrupted(image, third, 99), tmp_path)
    assert code == ExitCode.UNKNOWN_OPERATOR
    # its kind is what read_results cannot name either
    failed = unpack_record(image_format.RESULTS, ram.data)["failed_operator"]
    assert failed == 2


def test_generated_headers_name_every_kind_and_field() -> None:
    text = headers(with_npu=True)["image_format.h"]
    for kind, fields in image_format.PARAMETERS.items():
        assert f"#define OPERATOR_{kind.name} {int(kind):#x}u" in text
        for name in fields:
            assert f" {name.rstrip('012345')}" in text
    registers = headers(with_npu=True)["npu_registers.h"]
    assert "#define NPU_CONTROL_START 0x1u" in registers
    assert "#define NPU_REGION_BASE_ARENA 0x44u" in registers


def test_unknown_kernel_set() -> None:
    with pytest.raises(ValueError, match="kernel set is 'fast'; allowed are reference"):
        sources("fast", with_npu=False)


def test_every_kind_has_a_record() -> None:
    assert image_format.PARAMETERS.keys() == set(Kind)
    with pytest.raises(ValueError, match="fields height are missing or unknown"):
        image_format.pack_record(("width",), {"width": 1, "height": 2})
