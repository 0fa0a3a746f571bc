"""`import npu`: the public interface, as a user's script calls it."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import npu
from npu import zoo
from npu.errors import GoldenError, InputError, ModelError
from npu.model.graph import Graph
from npu.offload.backends import BackendName
from rtl.errors import ConfigError
from tests.npu.small_model import classifier

MODEL = zoo.model_path()


@pytest.fixture(name="network")
def network_fixture() -> npu.Network:
    return npu.load(classifier())


def test_the_docstring_lists_what_is_public() -> None:
    documented = inspect.getdoc(npu) or ""
    listed = [line.split("|")[1] for line in documented.splitlines() if line.startswith("| `")]
    names = {name.strip(" `") for cell in listed for name in cell.split(",")}
    assert names == set(npu.__all__)
    assert set(npu.__all__) <= set(dir(npu))
    for name in npu.__all__:
        assert getattr(npu, name) is not None


def test_other_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="module 'npu' has no attribute 'train'"):
        _ = npu.train  # type: ignore[attr-defined]


@pytest.mark.quick
def test_importing_imports_nothing_else() -> None:
    """What is slow is imported when it is used."""
    code = (
        "import sys, npu; print(sorted({'numpy', 'numba', 'amaranth', 'npu.api'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_load_takes_a_path_or_bytes() -> None:
    by_path, by_text, by_bytes = (npu.load(m) for m in (MODEL, str(MODEL), MODEL.read_bytes()))
    assert by_path.name == by_text.name == "fashion_resnet"
    assert by_path.graph.operators == by_bytes.graph.operators
    assert [tensor.shape for tensor in by_path.inputs] == [(1, 28, 28, 1)]
    assert [tensor.shape for tensor in by_path.outputs] == [(1, 10)]
    with pytest.raises(ModelError, match=r"cannot read model 'no.tflite'"):
        npu.load("no.tflite")
    with pytest.raises(npu.NpuError, match=r"is not a .tflite model"):
        npu.load(b"no")


@pytest.mark.quick
@pytest.mark.parametrize("backend", ["reference", "functional", "cycle"])
def test_backends_agree_and_are_checked(network: npu.Network, backend: BackendName) -> None:
    result = npu.run(network, "random:3", config="npu64", backend=backend, check=True)
    assert result.bit_exact
    assert result.comparison is not None
    assert result.comparison.outputs == len(result.outputs) == len(network.outputs)
    timed = backend == "cycle"
    assert (result.cycles is not None, result.utilization is not None) == (timed, timed)
    assert bool(result.counters) == timed
    other = npu.run(network, "random:3", backend="reference")
    assert other.bit_exact is None
    np.testing.assert_array_equal(result.outputs[0], other.outputs[0])


def test_inputs_are_arrays_files_or_seeds(network: npu.Network, tmp_path: Path) -> None:
    (tensor,) = network.inputs
    values = np.random.default_rng(5).integers(-128, 128, tensor.shape, np.int8)
    np.save(tmp_path / "x.npy", values)
    given = values, [values], tmp_path / "x.npy", str(tmp_path / "x.npy"), (values[0],)
    outputs = [npu.run(network, each, backend="reference").outputs[0] for each in given]
    for output in outputs[1:]:
        np.testing.assert_array_equal(output, outputs[0])
    with pytest.raises(InputError, match=r"'array' has shape \[3\], the network's input"):
        npu.run(network, np.zeros(3, np.int8))
    with pytest.raises(InputError, match="'array' is int64, allowed are int8"):
        npu.run(network, values.astype(np.int64))
    with pytest.raises(InputError, match="2 inputs given, the network has 1"):
        npu.run(network, [values, values])


def test_hardware_is_a_preset_a_file_or_a_configuration(
    network: npu.Network, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_text('preset = "npu64"\npixels = 4\n')
    own = dataclasses.replace(npu.PRESETS["npu64"], pixels=4)
    assert isinstance(own, npu.NpuConfig)
    by_file, by_value = (npu.run(network, config=config).cycles for config in (path, own))
    assert by_file == by_value != npu.run(network, config="npu64").cycles
    slow = npu.run(network, config=own, memory=npu.MemoryConfig(latency_cycles=300))
    assert slow.cycles is not None
    assert by_value is not None
    assert slow.cycles > by_value
    with pytest.raises(ConfigError, match="no preset or configuration file 'npu7'"):
        npu.run(network, config="npu7")


def test_columns_are_of_one_length_and_add_up() -> None:
    network = npu.load(MODEL)
    result = npu.run(network)
    columns = result.columns()
    assert {len(column) for column in columns.values()} == {len(network.graph.operators)}
    assert sum(cycles or 0 for cycles in columns["cycles"]) == result.cycles
    assert columns["placed"][-1] == "CPU"
    assert columns["operator"][-1] == "SOFTMAX"
    assert columns["bound"][1] == "MACs"
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(columns)
    assert table.num_rows == len(result.layers)


@pytest.mark.quick
def test_compile_says_what_runs_where() -> None:
    network = npu.load(MODEL)
    compiled = npu.compile(network, "npu128")
    assert compiled.config == npu.PRESETS["npu128"]
    assert compiled.reasons == {17: "SOFTMAX is not an NPU operator"}
    columns = compiled.columns()
    assert columns["placed"].count("NPU") == 17
    assert columns["reason"][17] == compiled.reasons[17]
    assert columns["macs"] == npu.run(network, config="npu128").columns()["macs"]
    (program,) = compiled.programs
    assert len(compiled.listing().splitlines()) == len(program.decode())


def test_a_network_built_by_hand_has_no_file_to_check_with() -> None:
    graph = npu.load(classifier()).graph
    bare: Graph = dataclasses.replace(graph, file=b"")
    with pytest.raises(GoldenError, match="network 'model' was not read from a file: TFLM cannot"):
        npu.run(npu.Network(bare), backend="reference", check=True)
