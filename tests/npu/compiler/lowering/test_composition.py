"""Operators on float32 and bool between int8 tensors, as one table, against TFLM."""

import numpy as np
import pytest

from npu.compiler.rules.partition import partition
from npu.inference import compare_with_golden, infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from rtl.isa import Function, Opcode
from tests.npu.compiler.support import CONFIGS, compile_model
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

SHAPE = (1, 6, 5, 9)


def island(m: ModelBuilder, x: Tensor, *kinds: str) -> Tensor:
    y = m.dequantize(x)
    for kind in kinds:
        given, y = y, m.tensor(x.shape, np.float32)
        m.operator(kind, [given], [y])
    return m.quantize(y, scale=0.1, zero_point=4)


def selected(m: ModelBuilder, x: Tensor) -> Tensor:
    """RELU with a threshold, as the converter writes it."""
    threshold = m.constant(np.array(9, np.int8), scale=x.scale, zero_point=x.zero_point)
    truth = m.tensor(x.shape, np.bool_)
    m.operator("GREATER", [x, threshold], [truth])
    y = m.tensor(x.shape, scale=x.scale, zero_point=x.zero_point)
    zero = m.constant(np.array(x.zero_point, np.int8), scale=x.scale, zero_point=x.zero_point)
    m.operator("SELECT_V2", [truth, x, zero], [y])
    return y


def network(*kinds: str, read_twice: bool = False) -> bytes:
    """An island of `kinds`, or a selection without any, between two convolutions."""
    rng = np.random.default_rng(len(kinds))
    m = ModelBuilder()
    x = random_conv2d(m, rng, m.input(SHAPE, scale=0.05, zero_point=-3), 9, (1, 1), scale=0.06)
    y = island(m, x, *kinds) if kinds else selected(m, x)
    z = random_conv2d(m, rng, y, 4)
    return m.build([z, m.dequantize(y)] if read_twice else [z])


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
@pytest.mark.parametrize("kinds", [("NEG",), ("SQUARE", "NEG"), ("SIN",), ("LOG",), ()], ids=str)
def test_what_is_a_function_of_a_byte_is_a_table(kinds: tuple[str, ...], config: str) -> None:
    model = network(*kinds)
    graph, parts, (program,) = compile_model(model, CONFIGS[config])
    assert not parts.reasons
    functions = {c["function"] for c in program.decode() if c.opcode == Opcode.ELEMENTWISE}
    assert functions == {Function.TABLE}
    inputs = load_inputs(["random:3"], graph)
    hardware = CONFIGS[config]
    result = infer(graph, inputs, config=hardware, backend="functional", keep_intermediates=True)
    found = compare_with_golden(graph, inputs, result, config=hardware, backend="functional")
    assert found.bit_exact


def test_what_others_read_is_no_table() -> None:
    m = ModelBuilder()
    x = random_conv2d(m, np.random.default_rng(1), m.input(SHAPE, scale=0.05, zero_point=1), 9)
    y = m.dequantize(x)
    z = m.tensor(y.shape, np.float32)
    m.operator("NEG", [y], [z])
    graph = read_model_bytes(m.build([m.quantize(z, scale=0.1, zero_point=0), y]), "m")
    assert sorted(partition(graph, CONFIGS["npu256"]).reasons) == [1, 2, 3]


def test_two_bytes_are_no_table() -> None:
    m = ModelBuilder()
    xs = [m.input(SHAPE, scale=0.05, zero_point=1) for _ in range(2)]
    y = m.tensor(SHAPE, np.float32)
    m.operator("MUL", [m.dequantize(x) for x in xs], [y], {}, options_type="MulOptions")
    graph = read_model_bytes(m.build([m.quantize(y, scale=0.1, zero_point=0)]), "m")
    assert len(partition(graph, CONFIGS["npu256"]).reasons) == len(graph.operators)


def test_members_that_a_cut_parts_stay_on_the_cpu() -> None:
    graph = read_model_bytes(network("NEG"), "m")
    kinds = [op.kind for op in graph.operators]
    middle = kinds.index("NEG")
    parts = partition(graph, CONFIGS["npu256"], cuts=frozenset({middle}))
    assert {kinds[i] for i in parts.reasons} == {"DEQUANTIZE", "NEG", "QUANTIZE"}
