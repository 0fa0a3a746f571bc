"""Compiled files, in LiteRT with the delegate and in the unmodified wheel of TFLM."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tflite_micro import runtime

import npu
from npu.embedded.compiled_model import CONFIG_METADATA, compile_model
from npu.embedded.file_editor import pack, unpack
from npu.embedded.payload import encode_segment
from npu.embedded.summary import summarize
from npu.embedded.tflm_host import TflmNpu
from npu.errors import CompiledModelError, UnsupportedOperatorError
from npu.model.graph import Graph
from npu.model.schema import schema
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.zoo import model_path
from rtl.config import PRESETS
from sim.errors import SimulationError
from tests.npu.model.edited import edited
from tests.npu.small_model import classifier
from tests.npu.tflite_delegate.support import Tflm, interpreter, random_inputs, run
from tests.support.shared_models import NETWORKS, shared_model
from tests.support.tflite_builder import ModelBuilder

SEED = 5
CONFIG = PRESETS["npu64"]
Arrays = list[NDArray[Any]]


def graph_of(model: bytes | Path) -> Graph:
    return read_model(model) if isinstance(model, Path) else read_model_bytes(model, "m")


def everywhere(graph: Graph, invokes: int = 2) -> bytes:
    """Compile, and compare with TFLM on the original: with the delegate, and in the wheel."""
    compiled = compile_model(graph, CONFIG)
    delegate = npu.delegate(config=CONFIG, backend="functional")
    with_delegate, golden = interpreter(compiled.file, delegate), Tflm(graph.file)
    hardware = TflmNpu(CONFIG)
    in_tflm, rng = hardware.interpreter(compiled.file), np.random.default_rng(SEED)
    for number in range(invokes):
        inputs = random_inputs(with_delegate, rng)
        made = run(with_delegate, inputs)
        expected = golden.run(inputs, len(made))
        also = hardware.run(in_tflm, inputs, len(made))
        for a, b, c in zip(made, also, expected, strict=True):
            assert np.array_equal(a, c), f"seed {SEED}, invoke {number}, delegate"
            assert np.array_equal(b, c), f"seed {SEED}, invoke {number}, TFLM"
    segments = [s for s in delegate.report().segments if s.kinds == ("CUSTOM:NPU",)]
    assert len(segments) == len(compiled.programs)
    assert sum(s.macs for s in segments) == sum(p.macs for p in compiled.programs)
    return compiled.file


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "tflm_mobilenet_v2_224"])
def test_public_networks(name: str) -> None:
    everywhere(graph_of(shared_model(name)))


def test_a_streaming_network() -> None:
    found = importlib.util.find_spec("pymicro_wakeword")
    assert found is not None
    assert found.origin is not None
    everywhere(graph_of(Path(found.origin).parent / "models" / "okay_nabu.tflite"), 20)


def test_the_shipped_network_keeps_what_it_had() -> None:
    graph = read_model(model_path())
    file = everywhere(graph)
    before, after = (
        schema.ModelT.InitFromObj(schema.Model.GetRootAs(f, 0)) for f in (graph.file, file)
    )
    # signatures name the same tensors
    names = [
        {
            (entry.name, model.subgraphs[0].tensors[entry.tensorIndex].name)
            for signature in model.signatureDefs
            for entry in (*signature.inputs, *signature.outputs)
        }
        for model in (before, after)
    ]
    assert names[0] == names[1] != set()
    # the operator that stays is the one it was
    (first, second) = after.subgraphs[0].operators
    last = before.subgraphs[0].operators[-1]
    assert after.operatorCodes[first.opcodeIndex].customCode == b"NPU"
    assert second.builtinOptions.beta == last.builtinOptions.beta
    # weights are in the file once
    assert len(file) < len(graph.file)
    weights = [t.data for t in graph.tensors if t.data is not None and t.data.size > 4000]
    assert weights
    assert not any(w.tobytes() in file for w in weights)
    assert any(entry.name == CONFIG_METADATA.encode() for entry in after.metadata)


def test_buffers_are_aligned() -> None:
    file = compile_model(read_model(model_path()), CONFIG).file
    model = schema.Model.GetRootAs(file, 0)
    filled = 0
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            start = buffer._tab.Vector(buffer._tab.Offset(4))
            assert start % 16 == 0
            filled += 1
    assert filled > 1


def test_what_the_reader_evaluates_becomes_a_constant() -> None:
    rng = np.random.default_rng(SEED)
    m = ModelBuilder()
    x = m.input((1, 4, 4, 3), scale=0.1, zero_point=3, name="x")
    y = m.add(x, x, scale=0.2, zero_point=0)
    model = m.build([y, m.softmax(y)])
    assert rng is not None
    everywhere(graph_of(model))


def changed_weight(file: bytes, graph: Graph) -> bytes:
    """The file with one byte of its weights changed."""
    (program,) = compile_model(graph, CONFIG).programs
    data = encode_segment(program)
    place = file.find(data) + data.find(program.constants.tobytes())
    # of the first layer, which every output depends on
    weights = program.constants
    inside = next(i for i in range(len(weights) // 2, len(weights)) if weights[i] not in (0, 255))
    return (
        file[: place + inside] + bytes([file[place + inside] ^ 0x40]) + file[place + inside + 1 :]
    )


def test_what_runs_is_what_the_file_carries() -> None:
    graph = graph_of(classifier())
    file = compile_model(graph, CONFIG).file
    other = changed_weight(file, graph)
    assert sum(a != b for a, b in zip(file, other, strict=True)) == 1
    rng, hardware = np.random.default_rng(SEED), TflmNpu(CONFIG)
    delegates = [npu.delegate(config=CONFIG, backend="functional") for _ in range(2)]
    both = [interpreter(f, d) for f, d in zip((file, other), delegates, strict=True)]
    in_tflm = [hardware.interpreter(f) for f in (file, other)]
    differ = 0
    for _ in range(10):
        inputs = random_inputs(both[0], rng)
        first, second = (run(one, inputs)[0] for one in both)
        assert np.array_equal(first, hardware.run(in_tflm[0], inputs, 1)[0])
        assert np.array_equal(second, hardware.run(in_tflm[1], inputs, 1)[0])
        differ += not np.array_equal(first, second)
    assert differ, f"seed {SEED}"


def test_another_configuration_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    file = compile_model(graph_of(classifier()), CONFIG).file
    text = f"compiled for configuration id {CONFIG.config_id:#010x}, this NPU has"
    with pytest.raises(RuntimeError, match=text):
        interpreter(file, npu.delegate(config="npu128", backend="functional"))
    with pytest.raises(RuntimeError):
        TflmNpu(PRESETS["npu128"]).interpreter(file)
    assert (
        f"NPU: the file was compiled for configuration id {CONFIG.config_id:x}, this NPU has"
        in (capfd.readouterr().err)
    )


def test_without_the_operator(capfd: pytest.CaptureFixture[str]) -> None:
    file = compile_model(graph_of(classifier()), CONFIG).file
    with pytest.raises(RuntimeError, match="unresolved custom op: NPU"):
        interpreter(file)
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(file)
    assert "Failed to get registration from op code CUSTOM" in capfd.readouterr().err
    with pytest.raises(UnsupportedOperatorError, match="operator 0 is compiled for an NPU: run"):
        npu.run(npu.load(file), config=CONFIG)


def test_the_kernels_alone_cannot_run_it() -> None:
    file = compile_model(graph_of(classifier()), CONFIG).file
    with pytest.raises(RuntimeError, match="NPU: a compiled file needs hardware"):
        interpreter(file, npu.delegate(config=CONFIG, backend="reference"))


def test_a_resized_input_is_refused() -> None:
    file = compile_model(graph_of(classifier()), CONFIG).file
    ours = interpreter(file, npu.delegate(config=CONFIG, backend="functional"))
    (index,) = (d["index"] for d in ours.get_input_details())
    ours.resize_tensor_input(index, [2, 9, 8, 3])
    with pytest.raises(RuntimeError, match=r"a compiled segment takes \[1, 9, 8, 3\], given was"):
        ours.allocate_tensors()


def first_operator(model: Any) -> Any:
    return model.subgraphs[0].operators[0]


def no_segment(model: Any) -> None:
    model.buffers[model.subgraphs[0].tensors[first_operator(model).inputs[-1]].buffer].data = None


def other_shape(model: Any) -> None:
    model.subgraphs[0].tensors[first_operator(model).inputs[0]].shape = [1, 9, 8, 4]


def no_arena(model: Any) -> None:
    first_operator(model).outputs = first_operator(model).outputs[:1]


def small_arena(model: Any) -> None:
    model.subgraphs[0].tensors[first_operator(model).outputs[-1]].shape = [16]


def other_type(model: Any) -> None:
    tensor = model.subgraphs[0].tensors[first_operator(model).inputs[0]]
    tensor.type = schema.TensorType.FLOAT32


@pytest.mark.parametrize(
    ("edit", "delegate_says", "tflm_says"),
    [
        (no_segment, "is no uint8 constant; the file was edited", "segment"),
        (other_shape, "the file was edited", "other size than was compiled; the file was edited"),
        (no_arena, "at least 2 of each expected; the file was edited", "lacks inputs or outputs"),
        (small_arena, None, "the arena is smaller than the segment needs"),
        (other_type, "is computed float32, computed int8 or uint8 expected", None),
    ],
)
def test_edited_files(
    edit: Callable[[Any], None],
    delegate_says: str | None,
    tflm_says: str | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = edited(compile_model(graph_of(classifier()), CONFIG).file, edit)
    file = pack(unpack(file), file, {})
    if delegate_says:
        with pytest.raises(RuntimeError, match=delegate_says):
            interpreter(file, npu.delegate(config=CONFIG, backend="functional"))
    if tflm_says:
        with pytest.raises(RuntimeError):
            TflmNpu(CONFIG).interpreter(file)
        assert tflm_says in capfd.readouterr().err


def test_an_error_of_the_hardware(capfd: pytest.CaptureFixture[str]) -> None:
    graph = graph_of(classifier())
    compiled = compile_model(graph, CONFIG)
    (program,) = compiled.programs
    # the first byte of the last command, END
    place = compiled.file.find(program.commands.tobytes()) + program.commands.nbytes - 8
    broken = compiled.file[:place] + b"\xfe" + compiled.file[place + 1 :]
    hardware = TflmNpu(CONFIG)
    ours = hardware.interpreter(broken)
    inputs = random_inputs(interpreter(classifier()), np.random.default_rng(SEED))
    with pytest.raises(RuntimeError):
        hardware.run(ours, inputs, 1)
    assert re.search(r"NPU: command \d+: unknown command", capfd.readouterr().err)
    ours = interpreter(broken, npu.delegate(config=CONFIG, backend="functional"))
    with pytest.raises(RuntimeError, match="NPU: ILLEGAL_OPCODE at command"):
        run(ours, inputs)


def test_what_a_simulator_raises_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = TflmNpu(CONFIG)
    ours = hardware.interpreter(compile_model(graph_of(classifier()), CONFIG).file)

    def fail(*_: Any) -> None:
        raise SimulationError("it hangs")

    monkeypatch.setattr(hardware.hardware, "_simulate", fail)
    inputs = random_inputs(interpreter(classifier()), np.random.default_rng(SEED))
    with pytest.raises(SimulationError, match="it hangs"):
        hardware.run(ours, inputs, 1)


def test_what_cannot_be_compiled() -> None:
    m = ModelBuilder()
    nothing = m.build([m.softmax(m.input((1, 8), scale=0.1, zero_point=3, name="x"))])
    with pytest.raises(CompiledModelError, match="no operator of the network runs on the NPU"):
        compile_model(graph_of(nothing), CONFIG)
    file = compile_model(graph_of(classifier()), CONFIG).file
    with pytest.raises(CompiledModelError, match="it is compiled already"):
        compile_model(graph_of(file), CONFIG)


def test_the_summary() -> None:
    graph = read_model(model_path())
    summary = summarize(compile_model(graph, CONFIG))
    (segment,) = summary.segments
    assert segment.cycles == npu.run(npu.load(model_path()), config=CONFIG).cycles
    assert segment.macs == graph.total_macs
    assert 0 < segment.scratchpad_bytes <= summary.scratchpad_bytes
    assert summary.tflm_arena_bytes is not None
    assert summary.original_arena_bytes is not None
    assert segment.arena_bytes < summary.tflm_arena_bytes < summary.original_arena_bytes
    assert list(summary.cpu_operators) == [17]
    assert summary.to_dict()["segments"][0]["cycles"] == segment.cycles
