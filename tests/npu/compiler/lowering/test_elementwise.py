"""Functions of two maps, and of one by table, against TFLM."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from npu.compiler.rules.partition import partition
from npu.inference import compare_with_golden, infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS
from rtl.isa import Destination, Function, Opcode
from sim.program import Program
from tests.npu.compiler.random_networks import FUNCTIONS, random_constant, random_function
from tests.npu.compiler.support import CONFIGS, check_model, compile_model
from tests.support.operators import elementwise, unary
from tests.support.random_layers import (
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

CONFIG = PRESETS["npu256"]
SHAPE = (1, 6, 9, 21)
PIXEL = (1, 1, 1, 21)


Shape = tuple[int, ...]
Operand = tuple[Callable[[ModelBuilder, np.random.Generator, Shape], Tensor], Shape]
Operands = tuple[Operand, Operand]


def make(code: str, first: Operand, second: Operand, *, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    a, b = first[0](m, rng, first[1]), second[0](m, rng, second[1])
    random_function(m, rng, code, a, b)
    return m.build()


def functions(program: Program) -> set[int]:
    return {c["function"] for c in program.decode() if c.opcode == Opcode.ELEMENTWISE}


OPERANDS = {
    "two maps": ((random_input, SHAPE), (random_input, SHAPE)),
    "pixel": ((random_input, SHAPE), (random_input, PIXEL)),
    "row": ((random_input, SHAPE), (random_input, (1, 1, 9, 21))),
    "column": ((random_input, SHAPE), (random_input, (1, 6, 1, 21))),
    "pixel of a column": ((random_input, (1, 8, 1, 21)), (random_input, PIXEL)),
    "matrix": ((random_input, (3, 5, 7)), (random_input, (5, 7))),
    "rows of rank 3": ((random_input, (3, 5, 7)), (random_input, (3, 1, 7))),
    "constant": ((random_input, SHAPE), (random_constant, (1,))),
    "constant first": ((random_constant, (1, 1, 1, 1)), (random_input, SHAPE)),
    "constant per channel": ((random_input, SHAPE), (random_constant, (21,))),
    "constant per channel first": ((random_constant, PIXEL), (random_input, SHAPE)),
    "constant map": ((random_input, SHAPE), (random_constant, SHAPE)),
    "constant map first": ((random_constant, SHAPE), (random_input, SHAPE)),
    "constant row": ((random_input, SHAPE), (random_constant, (9, 1))),
    "constant column": ((random_constant, (1, 6, 1, 21)), (random_input, SHAPE)),
    "pixel and constant map": ((random_constant, SHAPE), (random_input, PIXEL)),
    "vectors": ((random_input, (21,)), (random_input, (21,))),
    "rank 3": ((random_input, (3, 5, 7)), (random_input, (1, 1, 7))),
    "rank 5": ((random_input, (2, 1, 3, 5, 7)), (random_constant, (3, 1, 1))),
}


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
@pytest.mark.parametrize("operands", OPERANDS.values(), ids=OPERANDS.keys())
@pytest.mark.parametrize("code", FUNCTIONS)
def test_function_of_two_operands_equals_tflm(code: str, operands: Operands, config: str) -> None:
    model = make(code, *operands, seed=21)
    assert not check_model(model, CONFIGS[config], seed=21).reasons


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("code", FUNCTIONS)
def test_random_quantizations_equal_tflm(code: str, seed: int) -> None:
    shape = tuple(int(n) for n in np.random.default_rng(seed).integers(1, 30, 4))
    shape = (1, *shape[1:])
    model = make(code, (random_input, shape), (random_input, shape), seed=seed)
    assert not check_model(model, CONFIGS["wide"], seed).reasons


@pytest.mark.parametrize("code", ["ADD", "MUL", "MAXIMUM", "MINIMUM"])
def test_first_operand_may_be_broadcast_where_order_does_not_matter(code: str) -> None:
    model = make(code, (random_input, PIXEL), (random_input, SHAPE), seed=3)
    assert not check_model(model, CONFIG, 3).reasons


def test_one_value_and_one_map_make_a_table() -> None:
    for operands in (OPERANDS["constant"], OPERANDS["constant first"]):
        (program,) = compile_model(make("MUL", *operands, seed=1), CONFIG)[2]
        assert functions(program) == {Function.TABLE}


def test_map_with_itself_is_a_table() -> None:
    rng = np.random.default_rng(8)
    m = ModelBuilder()
    x = random_input(m, rng, SHAPE)
    random_function(m, rng, "MUL", x, x)
    (program,) = compile_model(m.build(), CONFIG)[2]
    assert functions(program) == {Function.TABLE}
    check_model(m.build(), CONFIG, 8)


def test_pixel_is_loaded_once_and_takes_a_command_for_each_plane() -> None:
    (program,) = compile_model(make("ADD", *OPERANDS["pixel"], seed=1), CONFIG)[2]
    commands = [c for c in program.decode() if c.opcode == Opcode.ELEMENTWISE]
    assert {c["ifm2_repeat"] for c in commands} == {1}
    assert len({c["ifm2_base"] for c in commands}) == 3
    loads = [c for c in program.decode() if c.opcode == Opcode.LOAD]
    assert sum(c["row_bytes"] for c in loads) == 6 * 9 * 21 + 21


UNARY: dict[str, dict[str, Any]] = {
    "ABS": {},
    "ELU": {},
    "HARD_SWISH": {},
    "LEAKY_RELU": {"alpha": 0.3},
    "LOGISTIC": {"scale": 1 / 256, "zero_point": -128},
    "QUANTIZE": {},
    "RELU": {},
    "RELU6": {},
    "TANH": {"scale": 1 / 128, "zero_point": 0},
}


def random_unary(m: ModelBuilder, rng: np.random.Generator, code: str, x: Tensor) -> Tensor:
    scale = float(np.float32(x.scale * rng.uniform(0.5, 2)))
    quantization = {"scale": scale, "zero_point": random_zero_point(rng)}
    return unary(m, code, x, **(quantization | UNARY[code]))


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("code", UNARY)
def test_function_by_table_equals_tflm(code: str, seed: int, config: str) -> None:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    random_unary(m, rng, code, random_input(m, rng, SHAPE))
    assert not check_model(m.build(), CONFIGS[config], seed).reasons


@pytest.mark.parametrize("ends", [("uint8", "int8"), ("int8", "uint8")], ids="-".join)
@pytest.mark.parametrize("scale", [0.5, 0.3], ids=["shifted by 128", "rescaled"])
@pytest.mark.parametrize("config", CONFIGS)
def test_bytes_with_and_without_sign_equal_tflm(
    ends: tuple[str, str], scale: float, config: str
) -> None:
    m = ModelBuilder()
    points = [128 if end == "uint8" else 0 for end in ends]
    x = m.input(SHAPE, dtype=ends[0], scale=0.5, zero_point=points[0])
    m.operator("QUANTIZE", [x], [m.tensor(SHAPE, ends[1], scale=scale, zero_point=points[1])])
    assert not check_model(m.build(), CONFIGS[config]).reasons


def roots(zero_point: int) -> bytes:
    m = ModelBuilder()
    x = m.input(SHAPE, scale=0.02, zero_point=zero_point)
    m.operator("RSQRT", [x], [m.tensor(SHAPE, scale=0.03, zero_point=-128)])
    return m.build()


@pytest.mark.parametrize("config", ["npu256", "tiny"])
def test_inverse_roots_equal_tflm(config: str) -> None:
    assert not check_model(roots(-128), CONFIGS[config]).reasons


def test_roots_of_negative_numbers_are_refused() -> None:
    (reason,) = partition(read_model_bytes(roots(-127), "m"), CONFIG).reasons.values()
    assert reason == "the zero point of the input must be -128: negative numbers have no roots"


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1)], ids=str)
def test_prelu_of_one_slope_equals_tflm(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    m = ModelBuilder()
    x = random_input(m, rng, SHAPE)
    alpha = random_constant(m, rng, shape)
    elementwise(m, "PRELU", x, alpha, scale=x.scale, zero_point=5)
    assert not check_model(m.build(), CONFIG, 4).reasons


def tables_in_stripes(seed: int = 12) -> bytes:
    """Two tables in turn between layers whose maps do not fit the smallest scratchpads."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 14, 12, 3)), 40)
    x = random_unary(m, rng, "HARD_SWISH", x)
    x = random_depthwise_conv2d(m, rng, x)
    x = random_unary(m, rng, "LEAKY_RELU", x)
    x = random_unary(m, rng, "LEAKY_RELU", random_conv2d(m, rng, x, 12))
    return m.build()


@pytest.mark.parametrize("config", ["npu256", "tiny"])
def test_tables_replace_each_other(config: str) -> None:
    assert not check_model(tables_in_stripes(), CONFIGS[config], 12).reasons


def test_table_is_loaded_once_for_all_its_commands() -> None:
    (program,) = compile_model(tables_in_stripes(), CONFIG)[2]
    loads = [c for c in program.decode() if c.opcode == Opcode.LOAD]
    assert [c["destination"] for c in loads].count(Destination.TABLE) == 3


def squeeze_and_excite(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 12, 11, 3)), 36, activation="RELU")
    squeezed = m.mean(x, (1, 2), scale=x.scale / 4, zero_point=-100)
    y = random_conv2d(m, rng, squeezed, 9, (1, 1), activation="RELU")
    y = random_unary(m, rng, "LOGISTIC", random_conv2d(m, rng, y, 36, (1, 1)))
    x = random_conv2d(m, rng, random_function(m, rng, "MUL", x, y), 10, (1, 1))
    random_fully_connected(m, rng, m.mean(x, (1, 2), scale=x.scale / 4, zero_point=9), 7)
    return m.build()


@pytest.mark.parametrize("config", CONFIGS)
def test_squeeze_and_excite_equals_tflm(config: str) -> None:
    assert not check_model(squeeze_and_excite(17), CONFIGS[config], 17).reasons


def refused(operands: Operands, code: str = "ADD") -> str:
    model = make(code, *operands, seed=1)
    (reason,) = partition(read_model_bytes(model, "test"), CONFIG).reasons.values()
    return reason


CHANNELS = {
    "one channel": ((random_input, SHAPE), (random_input, (1, 6, 9, 1))),
    "one channel of a row": ((random_input, SHAPE), (random_input, (1, 1, 9, 1))),
    "one channel of a column": ((random_input, SHAPE), (random_input, (1, 6, 1, 1))),
    "one value": ((random_input, SHAPE), (random_input, (1, 1, 1, 1))),
    "a scalar": ((random_input, (1, 12)), (random_input, ())),
    "one channel and one pixel": ((random_input, (1, 6, 9, 1)), (random_input, PIXEL)),
    "a layer": ((random_input, (1, 10, 16)), (random_input, (1, 10, 1))),
    "groups": ((random_input, (1, 6, 5, 3, 4)), (random_input, (1, 1, 1, 3, 1))),
    "all of rank 5": ((random_input, (2, 6, 5, 3, 4)), (random_input, (3, 4))),
    "maps of a batch": ((random_input, (2, 3, 4, 5)), (random_input, (3, 4, 5))),
    "pixels of a batch": ((random_input, (3, 5, 4, 7)), (random_input, (3, 1, 1, 7))),
}


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow", "wide"])
@pytest.mark.parametrize("operands", CHANNELS.values(), ids=CHANNELS.keys())
@pytest.mark.parametrize("code", FUNCTIONS)
def test_channels_and_batches_repeated_equal_tflm(
    code: str, operands: Operands, config: str
) -> None:
    model = make(code, *operands, seed=22)
    assert not check_model(model, CONFIGS[config], seed=22).reasons


def attention(seed: int) -> bytes:
    """A map of one channel, computed, that weighs all channels of a map: spatial attention."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 12, 11, 3)), 36, activation="RELU")
    y = random_unary(m, rng, "LOGISTIC", random_conv2d(m, rng, x, 1, (1, 1)))
    x = random_function(m, rng, "MUL", y, x)
    random_conv2d(m, rng, random_function(m, rng, "SUB", x, y), 10, (1, 1))
    return m.build()


@pytest.mark.parametrize("config", CONFIGS)
def test_attention_equals_tflm(config: str) -> None:
    assert not check_model(attention(18), CONFIGS[config], 18).reasons


def test_rows_and_maps_of_a_batch_are_not_repeated() -> None:
    reason = "computed operands are broadcast along rows, columns and channels of a map only"
    operands = (random_input, (2, 3, 4, 5, 6)), (random_input, (2, 1, 4, 1, 6))
    assert refused(operands) == reason


def test_only_one_operand_is_broadcast() -> None:
    operands = (random_input, (1, 6, 1, 21)), (random_input, (1, 1, 9, 21))
    assert refused(operands) == (
        "only one of two computed operands may be broadcast along rows and columns"
    )


def test_constants_of_other_types_are_refused() -> None:
    graph = read_model_bytes(make("ADD", *OPERANDS["constant"], seed=1), "test")
    tensors = list(graph.tensors)
    position = next(i for i, t in enumerate(tensors) if t.is_constant)
    tensors[position] = replace(tensors[position], dtype=np.dtype(np.int16))
    parts = partition(replace(graph, tensors=tuple(tensors)), CONFIG)
    assert parts.reasons == {0: "constant operands must be int8"}


MINUENDS = {
    "pixel": ((random_input, PIXEL), (random_input, SHAPE)),
    "row": ((random_input, (1, 1, 9, 21)), (random_input, SHAPE)),
    "column": ((random_input, (1, 6, 1, 21)), (random_input, SHAPE)),
    "one channel of a column": ((random_input, (1, 6, 1, 1)), (random_input, SHAPE)),
    "less a constant map": ((random_input, PIXEL), (random_constant, SHAPE)),
    "pixels of a batch": ((random_input, (3, 1, 1, 7)), (random_input, (3, 5, 4, 7))),
}


@pytest.mark.parametrize("rounding", ["double", "half_up", "single"])
@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
@pytest.mark.parametrize("operands", MINUENDS.values(), ids=MINUENDS.keys())
def test_repeated_minuends_equal_kernels(operands: Operands, config: str, rounding: str) -> None:
    graph = read_model_bytes(make("SUB", *operands, seed=8), "test")
    hardware = replace(CONFIGS[config], rounding=rounding)
    inputs = load_inputs(["random:8"], graph)
    result = infer(graph, inputs, config=hardware, backend="functional")
    assert all(layer.placed == "NPU" for layer in result.layers)
    found = compare_with_golden(graph, inputs, result, config=hardware, backend="functional")
    assert found.bit_exact


@pytest.mark.parametrize("rounding", ["double", "half_up"])
@pytest.mark.parametrize("slopes", [PIXEL, (21,), (1, 6, 1, 1), (6, 9, 21)], ids=str)
@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
def test_prelu_of_several_slopes_equals_kernels(slopes: Shape, config: str, rounding: str) -> None:
    for seed in range(3):
        graph = read_model_bytes(several_slopes(slopes, seed), "test")
        hardware = replace(CONFIGS[config], rounding=rounding)
        inputs = load_inputs([f"random:{seed}"], graph)
        result = infer(graph, inputs, config=hardware, backend="functional")
        assert all(layer.placed == "NPU" for layer in result.layers)
        comparison = compare_with_golden(
            graph, inputs, result, config=hardware, backend="functional"
        )
        assert comparison.bit_exact


def several_slopes(slopes: Shape, seed: int) -> bytes:
    """Two PRELUs, one of them between convolutions."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, SHAPE)
    for _ in range(2):
        alpha = random_constant(m, rng, slopes)
        # some negative values saturate, most do not
        scale = float(np.float32(x.scale * rng.uniform(0.5, 2)))
        x = elementwise(m, "PRELU", x, alpha, scale=scale, zero_point=random_zero_point(rng))
        x = random_conv2d(m, rng, x, 21)
    return m.build()


def test_computed_slopes_are_refused() -> None:
    operands = (random_input, SHAPE), (random_input, PIXEL)
    assert refused(operands, "PRELU") == "slopes must be constant int8"
