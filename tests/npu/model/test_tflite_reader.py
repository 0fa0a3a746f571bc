"""Reading `.tflite`: what the graph holds, and one clear line for everything that is refused."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from npu.errors import ModelError
from npu.model.options import Activation, Conv2DOptions, Padding, PoolOptions, SoftmaxOptions
from npu.model.tflite_reader import read_model, read_model_bytes
from tests.npu.model.edited import edited, refusal
from tests.npu.small_model import classifier
from tests.support.shared_models import NETWORKS, shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile


def test_tensors_and_quantization() -> None:
    m = ModelBuilder()
    x = m.input((1, 4, 4, 2), scale=0.5, zero_point=-3, name="picture")
    weights = np.arange(3 * 2 * 2, dtype=np.int8).reshape(3, 1, 2, 2)
    bias = np.array([5, -6, 7], np.int32)
    y = m.conv2d(
        x,
        weights,
        bias,
        weight_scales=[0.1, 0.2, 0.3],
        scale=0.25,
        zero_point=9,
        stride=(2, 1),
        padding="VALID",
        activation="RELU6",
    )
    graph = read_model_bytes(m.build(), "net")
    assert graph.name == "net"
    assert graph.inputs == (x.index,)
    assert graph.outputs == (y.index,)
    picture = graph.tensors[x.index]
    assert picture.name == "picture"
    assert picture.shape == (1, 4, 4, 2)
    assert picture.dtype == np.int8
    assert picture.data is None
    assert picture.quantization is not None
    assert (picture.quantization.scale, picture.quantization.zero_point) == (0.5, -3)
    (op,) = graph.operators
    assert op.kind == "CONV_2D"
    assert op.options == Conv2DOptions(
        padding=Padding.VALID, stride_h=2, stride_w=1, activation=Activation.RELU6
    )
    w, b = graph.input_tensor(op, 1), graph.input_tensor(op, 2)
    assert w is not None
    assert b is not None
    assert w.data is not None
    assert b.data is not None
    np.testing.assert_array_equal(w.data, weights)
    np.testing.assert_array_equal(b.data, bias)
    assert not w.data.flags.writeable
    assert w.quantization is not None
    assert w.quantization.axis == 0
    np.testing.assert_array_equal(w.quantization.scales, np.array([0.1, 0.2, 0.3], np.float32))
    with pytest.raises(ValueError, match="size 1"):
        _ = w.quantization.scale


def test_options_of_other_operators() -> None:
    m = ModelBuilder()
    x = m.input((1, 8, 6, 4), scale=0.5)
    p = m.max_pool2d(x, window=(3, 2), stride=(2, 1), padding="SAME", activation="RELU")
    m.softmax(p, beta=0.5)
    pool, softmax = read_model_bytes(m.build(), "m").operators
    assert pool.options == PoolOptions(
        padding=Padding.SAME,
        stride_h=2,
        stride_w=1,
        filter_h=3,
        filter_w=2,
        activation=Activation.RELU,
    )
    assert softmax.options_as(SoftmaxOptions).beta == 0.5
    with pytest.raises(TypeError, match="PoolOptions expected"):
        softmax.options_as(PoolOptions)


def test_unknown_builtin_and_custom_operators_are_read() -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=0.5)
    y, z = m.tensor((1, 4), scale=0.5), m.tensor((1, 4), scale=0.5)
    m.operator("ELU", [x], [y])
    m.operator("CUSTOM", [y], [z])

    def name_it(model: Any) -> None:
        model.operatorCodes[1].customCode = "magic"

    kinds = [op.kind for op in read_model_bytes(edited(m.build(), name_it), "m").operators]
    assert kinds == ["ELU", "CUSTOM:magic"]


@pytest.mark.parametrize("name", NETWORKS)
def test_reads_real_networks(name: str) -> None:
    graph = read_model(shared_model(name))
    assert graph.name == name
    assert all(op.options is not None for op in graph.operators)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x7fELF" + bytes(100), bytes(1000)])
def test_not_a_flatbuffer(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"m\.tflite' is not a \.tflite model: identifier 'TFL3'"):
        read_model(path)


def test_every_truncation_is_refused() -> None:
    data = classifier()
    for length in range(0, len(data), 7):
        assert refusal(data[:length])
    for cut in range(4, 64):
        assert refusal(data[:-cut]), f"{cut} bytes cut off"


@pytest.mark.parametrize("name", ["mlperf_kws_dscnn", "tflm_hello_world_int8"])
def test_truncated_real_networks_are_refused(name: str) -> None:
    data = shared_model(name).read_bytes()
    for length in [*range(0, len(data), len(data) // 150), *range(len(data) - 40, len(data) - 3)]:
        assert refusal(data[:length]), f"{length} of {len(data)} bytes"


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_never_crash(seed: int) -> None:
    """Corruption is refused or harmless: nothing but `ModelError` ever escapes."""
    rng = random.Random(seed)
    data = classifier()
    messages = []
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            read_model_bytes(bytes(broken), "m")
        except ModelError as error:
            messages.append(str(error))
    assert len(messages) > 30, f"seed {seed}: the corruption did not reach the tables"
    assert not [m for m in messages if "\n" in m], f"seed {seed}"


def test_batch_of_unknown_size_runs_as_stored() -> None:
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5, shape_signature=(-1, 4))
    m.relu(x, scale=0.5, zero_point=0)
    assert read_model_bytes(m.build(), "m").tensors[0].shape == (1, 4)


def test_dynamic_shape() -> None:
    """What is stored counts, as in TFLM, and must be static."""
    m = ModelBuilder()
    x = m.input((1, 2, 4, 3), scale=0.5, shape_signature=(-1, -1, -1, 3), name="any")
    m.relu(x, scale=0.5, zero_point=0)
    assert read_model_bytes(m.build(), "m").tensors[0].shape == (1, 2, 4, 3)

    def forget(model: Any) -> None:
        model.subgraphs[0].tensors[0].shape = [1, -1, 4, 3]

    message = refusal(edited(m.build(), forget))
    assert "tensor 'any' has the dynamic shape [1, -1, 4, 3], static shapes expected" in message


@pytest.mark.parametrize("has_rank", [False, True])
def test_a_tensor_without_a_shape_is_a_scalar(has_rank: bool) -> None:
    m = ModelBuilder()
    x = m.input((), scale=0.5)
    m.relu(x, scale=0.5, zero_point=0)

    def forget(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            tensor.shape, tensor.hasRank = None, has_rank

    assert [t.shape for t in read_model_bytes(edited(m.build(), forget), "m").tensors] == [(), ()]


def test_operator_codes_of_either_field() -> None:
    """Files may have the deprecated code, the new one or both; TFLM takes the greater one."""

    def codes(builtin: int, deprecated: int) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            model.operatorCodes[0].builtinCode = builtin
            model.operatorCodes[0].deprecatedBuiltinCode = deprecated

        return change

    conv = schema.BuiltinOperator.CONV_2D
    for given in (codes(conv, 0), codes(0, conv), codes(conv, conv)):
        assert read_model_bytes(edited(classifier(), given), "m").operators[0].kind == "CONV_2D"


def test_unused_tensors_are_not_looked_at() -> None:
    def add_one(model: Any) -> None:
        tensor = schema.TensorT()
        tensor.name, tensor.type, tensor.shape = "unused", schema.TensorType.STRING, [-1, 0]
        tensor.buffer = 12345
        model.subgraphs[0].tensors.append(tensor)

    assert read_model_bytes(edited(classifier(), add_one), "m").tensors[-1].name == "unused"


def test_the_first_scale_counts_but_for_weights() -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=0.5)
    y = m.tensor((1, 4), scale=[1, 2, 3, 4])
    m.operator("RELU", [x], [y])
    found = read_model_bytes(m.build(), "m").tensors[y.index].quantization
    assert found is not None
    assert found.scale == 1


def test_empty_and_huge_shapes() -> None:
    def shape(*values: int) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            model.subgraphs[0].tensors[0].shape = list(values)

        return change

    assert "is empty" in refusal(edited(classifier(), shape(1, 0, 8, 3)))
    assert "over 2 GiB" in refusal(edited(classifier(), shape(1, 1 << 20, 1 << 12, 3)))


def test_buffer_of_another_size() -> None:
    def shorten(model: Any) -> None:
        model.buffers[1].data = model.buffers[1].data[:-1]

    message = refusal(edited(classifier(), shorten))
    assert "and type int8 needs 162 bytes, its buffer has 161" in message


def test_references_out_of_range() -> None:
    def buffer(model: Any) -> None:
        model.subgraphs[0].tensors[0].buffer = 99

    def code(model: Any) -> None:
        model.subgraphs[0].operators[2].opcodeIndex = 77

    def tensor(model: Any) -> None:
        model.subgraphs[0].operators[0].inputs = [1234, 1, 2]

    def output(model: Any) -> None:
        model.subgraphs[0].outputs = [-1]

    assert "tensor 'image' uses buffer 99 of" in refusal(edited(classifier(), buffer))
    assert "operator 2 uses operator code 77 of" in refusal(edited(classifier(), code))
    assert "operator 0 (CONV_2D): tensor 1234 is not one" in refusal(edited(classifier(), tensor))
    assert "the network's outputs: tensor -1" in refusal(edited(classifier(), output))


def test_nothing_to_run() -> None:
    def no_operators(model: Any) -> None:
        model.subgraphs[0].operators = []

    def no_subgraph(model: Any) -> None:
        model.subgraphs = []

    assert "the model has 0 operators, 1 inputs" in refusal(edited(classifier(), no_operators))
    assert "the model holds no subgraph" in refusal(edited(classifier(), no_subgraph))


def test_schema_version() -> None:
    def change(model: Any) -> None:
        model.version = 2

    assert "schema version 2, 3 expected" in refusal(edited(classifier(), change))


def test_order_of_operators() -> None:
    def reverse(model: Any) -> None:
        model.subgraphs[0].operators.reverse()

    def write_twice(model: Any) -> None:
        first, second = model.subgraphs[0].operators[:2]
        second.outputs = first.outputs

    assert "operator 0 (SOFTMAX) reads tensor" in refusal(edited(classifier(), reverse))
    assert "which already has a value" in refusal(edited(classifier(), write_twice))


def test_other_subgraphs_are_read_when_they_are_called() -> None:
    def add_subgraph(model: Any) -> None:
        model.subgraphs.append(model.subgraphs[0])

    graph = read_model_bytes(edited(classifier(), add_subgraph), "m")
    assert not graph.subgraphs
    assert graph.with_subgraphs() == (graph,)


def test_options_of_another_kind_and_illegal_values() -> None:
    def other_kind(model: Any) -> None:
        op = model.subgraphs[0].operators[0]
        op.builtinOptionsType = schema.BuiltinOptions.AddOptions
        op.builtinOptions = schema.AddOptionsT()

    def set_option(name: str, value: int) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            setattr(model.subgraphs[0].operators[0].builtinOptions, name, value)

        return change

    data = classifier()
    message = refusal(edited(data, other_kind))
    assert "operator 0 (CONV_2D) carries options of type 11, Conv2DOptions expected" in message
    message = refusal(edited(data, set_option("strideH", 0)))
    assert "operator 0 (CONV_2D): stride_h is 0, at least 1 expected" in message
    message = refusal(edited(data, set_option("padding", 7)))
    assert "padding is 7, allowed are 0 = SAME, 1 = VALID" in message
    message = refusal(edited(data, set_option("fusedActivationFunction", 99)))
    assert "activation is 99, allowed are 0 = NONE" in message


@pytest.mark.parametrize(
    ("first", "which"), [(0, "'serve' runs"), (1, "its first subgraph, which")]
)
def test_which_of_several_signatures_runs_is_said(
    first: int, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    def add_signatures(model: Any) -> None:
        model.subgraphs += model.subgraphs * 2
        model.signatureDefs = []
        for index, key in ((first, "serve"), (2, "train")):
            signature = schema.SignatureDefT()
            signature.signatureKey, signature.subgraphIndex = key, index
            signature.inputs = signature.outputs = []
            model.signatureDefs.append(signature)

    read_model_bytes(edited(classifier(), add_signatures), "m")
    (record,) = caplog.records
    assert record.getMessage().startswith("the model has 2 signatures, 'serve', 'train': " + which)


def test_a_scale_without_a_zero_point_is_none() -> None:
    """As TFLM has it, which otherwise computes with scale 0."""

    def forget(model: Any) -> None:
        model.subgraphs[0].tensors[0].quantization.zeroPoint = None

    message = refusal(edited(classifier(), forget))
    assert "operator 0 (CONV_2D): tensor 'image' is int8 without a scale" in message


def test_a_variable_has_no_stored_value() -> None:
    """TFLM fills it with zeros before the first inference, so no weights can be one."""

    def mark(model: Any) -> None:
        model.subgraphs[0].tensors[model.subgraphs[0].operators[0].inputs[1]].isVariable = True

    message = refusal(edited(classifier(), mark))
    assert "operator 0 (CONV_2D) reads tensor" in message
    assert message.endswith("before anything writes it")


@pytest.mark.parametrize(("code", "shape", "made"), [("SHAPE", (3,), [2]), ("RANK", (1,), [])])
def test_what_says_a_shape_has_one_itself(code: str, shape: tuple[int, ...], made: Any) -> None:
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5)
    m.operator(code, [x], [m.tensor(shape, np.int32)])
    message = refusal(m.build())
    assert f"({code}): the output has shape {list(shape)}, its inputs make {made}" in message


def test_an_input_that_shares_its_stored_value_is_refused() -> None:
    """What is given would overwrite a constant, in TFLM."""

    def share(model: Any) -> None:
        graph = model.subgraphs[0]
        weights = graph.tensors[graph.operators[0].inputs[1]]
        graph.tensors[graph.inputs[0]].buffer = weights.buffer

    message = refusal(edited(classifier(), share))
    assert "tensor 'image' is overwritten, but shares its buffer" in message


def test_an_output_with_a_stored_value_is_refused() -> None:
    def store(model: Any) -> None:
        graph = model.subgraphs[0]
        made = graph.tensors[graph.operators[0].outputs[0]]
        buffer = schema.BufferT()
        buffer.data = np.zeros(int(np.prod(made.shape)), np.uint8)
        model.buffers.append(buffer)
        made.buffer = len(model.buffers) - 1

    assert "which already has a value" in refusal(edited(classifier(), store))


def test_empty_weights_are_refused() -> None:
    m = ModelFile()
    x, y = m.input((1, 4), scale=0.5), m.tensor((1, 2), scale=0.5)
    weights = m.constant(np.zeros((2, 0), np.int8), scale=0.5)
    m.operator("FULLY_CONNECTED", [x, weights], [y])
    assert "(FULLY_CONNECTED): input 't2' of [2, 0] is empty" in refusal(m.build())
