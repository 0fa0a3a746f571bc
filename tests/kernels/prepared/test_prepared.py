"""Prepared kernels on every instruction set of this machine, and programs made of them."""

from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import pytest
from llvmlite import binding  # type: ignore[import-untyped]
from numba import config
from numpy.typing import NDArray

from kernels.elementwise import add, sub
from kernels.lookup import apply_table
from kernels.pooling import average_pool2d, max_pool2d
from kernels.prepared import instruction_sets as isas
from kernels.prepared.conv import prepare_conv2d
from kernels.prepared.depthwise import prepare_depthwise_conv2d
from kernels.prepared.elementwise import prepare_softmax, prepare_sum, prepare_table
from kernels.prepared.fully_connected import prepare_fully_connected
from kernels.prepared.image import BAND_BYTES
from kernels.prepared.instruction_sets import InstructionSet, available, named
from kernels.prepared.sequence import Call, KernelSequence, PreparedKernel
from kernels.prepared.windows import prepare_mean, prepare_pad, prepare_pool2d
from kernels.quantization import add_parameters, softmax_parameters
from kernels.reduce import mean
from kernels.requantize import Rounding
from kernels.shape import pad
from kernels.softmax import MAX_ROW, softmax
from tests.kernels import test_conv, test_depthwise, test_fully_connected, twins
from tests.kernels.layers import INTERPRETED, REQUANTIZATIONS, bias_conv2d, seeds, single
from tests.kernels.reference import conv_arguments, fully_connected_arguments
from tests.support.random_layers import random_conv2d, random_depthwise_conv2d, random_int8
from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflm import run_tflm

every_isa = pytest.mark.parametrize("isa", available(), ids=lambda isa: isa.name)
every_mode = pytest.mark.parametrize("rounding", Rounding, ids=lambda mode: mode.name.lower())
compiled_only = pytest.mark.skipif(INTERPRETED, reason="too slow without Numba")


def conv(model: bytes, shape: tuple[int, ...], isa: InstructionSet) -> PreparedKernel:
    operands, arguments = conv_arguments(model)
    return prepare_conv2d(shape, *operands, **arguments, isa=isa)


def depthwise(model: bytes, shape: tuple[int, ...], isa: InstructionSet) -> PreparedKernel:
    operands, arguments = conv_arguments(model)
    return prepare_depthwise_conv2d(shape, *operands, **arguments, isa=isa)


def dense(model: bytes, shape: tuple[int, ...], isa: InstructionSet) -> PreparedKernel:
    operands, arguments = fully_connected_arguments(model)
    return prepare_fully_connected(shape, *operands, **arguments, isa=isa)


def needed(prepared: PreparedKernel | None) -> PreparedKernel:
    """A kernel where there is a fast one."""
    assert prepared is not None
    return prepared


def check_against_tflm(model: bytes, ifm: NDArray[Any], prepared: PreparedKernel) -> None:
    """Twice, with another IFM in between: nothing of a run is left for the next one."""
    expected = run_tflm(model, [ifm])[0]
    np.testing.assert_array_equal(prepared.run(ifm), expected)
    prepared.run(~ifm)
    np.testing.assert_array_equal(prepared.run(ifm), expected)


@every_isa
@pytest.mark.parametrize("seed", seeds(30), ids="seed{}".format)
def test_random_convolutions_match_tflm(seed: int, isa: InstructionSet) -> None:
    model, ifm = test_conv.random_layer(2000 + seed, 40)
    check_against_tflm(model, ifm, conv(model, ifm.shape, isa))


@every_isa
@pytest.mark.parametrize("outputs", [1, 3, 9, 24, 40, 70, 130])
def test_tiles_of_every_form_match_tflm(outputs: int, isa: InstructionSet) -> None:
    rng = np.random.default_rng(outputs)
    m, x, ifm = single(rng, (2, 3, 5, 7))
    random_conv2d(m, rng, x, outputs, (2, 3))
    model = m.build()
    check_against_tflm(model, ifm, conv(model, ifm.shape, isa))


@every_isa
@pytest.mark.parametrize("seed", seeds(30), ids="seed{}".format)
def test_random_depthwise_convolutions_match_tflm(seed: int, isa: InstructionSet) -> None:
    model, ifm = test_depthwise.random_layer(2000 + seed, 70)
    check_against_tflm(model, ifm, depthwise(model, ifm.shape, isa))


@every_isa
@pytest.mark.parametrize("seed", seeds(15), ids="seed{}".format)
def test_random_products_match_tflm(seed: int, isa: InstructionSet) -> None:
    model, ifm = test_fully_connected.random_layer(2000 + seed, 30 if INTERPRETED else 200)
    check_against_tflm(model, ifm, dense(model, ifm.shape, isa))


@every_isa
@pytest.mark.parametrize("seed", seeds(5), ids="seed{}".format)
@pytest.mark.parametrize("case", REQUANTIZATIONS)
def test_adversarial_requantization_matches_tflm(case: str, seed: int, isa: InstructionSet) -> None:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = m.input((1, 2, 3, 2), scale=1.0, zero_point=int(rng.integers(-128, 128)))
    bias_conv2d(m, rng, x, REQUANTIZATIONS[case](rng, 250))
    model, ifm = m.build(), random_int8(rng, x.shape)
    check_against_tflm(model, ifm, conv(model, ifm.shape, isa))


@compiled_only
@every_isa
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)], ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_several_bands_match_tflm(kernel: Pair, stride: Pair, isa: InstructionSet) -> None:
    """Images of which no cache holds all, also where the IFM itself is the image."""
    rng = np.random.default_rng(0)
    shape = 2, 45, 64, 64
    assert np.prod(shape[1:]) > BAND_BYTES
    m, x, ifm = single(rng, shape)
    random_conv2d(m, rng, x, 9, kernel, stride=(stride, stride))
    model = m.build()
    check_against_tflm(model, ifm, conv(model, shape, isa))
    m, x, ifm = single(rng, shape)
    random_depthwise_conv2d(m, rng, x, kernel, stride=(stride, stride), padding="VALID")
    model = m.build()
    check_against_tflm(model, ifm, depthwise(model, shape, isa))


@every_mode
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1, 5, 16, 37, 200])
def test_sums(size: int, sign: int, rounding: Rounding) -> None:
    rng = np.random.default_rng(size)
    a, b = random_int8(rng, (size,)), random_int8(rng, (size,))
    scales = rng.uniform(0.01, 0.2, 3)
    arguments: dict[str, Any] = {
        "a_zero_point": int(rng.integers(-128, 128)),
        "b_zero_point": int(rng.integers(-128, 128)),
        "ofm_zero_point": int(rng.integers(-128, 128)),
        "parameters": add_parameters(*scales),
        "activation_min": -100,
        "activation_max": 110,
        "rounding": rounding,
    }
    prepared = prepare_sum((size,), sign=sign, **arguments)
    one_by_one = (add if sign == 1 else sub)(a, b, **arguments)
    np.testing.assert_array_equal(prepared.run(a, b), one_by_one)
    if rounding is Rounding.DOUBLE and sign == 1:
        arguments.pop("rounding")
        np.testing.assert_array_equal(prepared.run(a, b), twins.add(a, b, **arguments))


def test_sums_of_every_pair_of_values() -> None:
    pairs = np.indices((256, 256)).reshape(2, -1) - 128
    a, b = pairs.astype(np.int8)
    arguments: dict[str, Any] = {
        "a_zero_point": -128,
        "b_zero_point": 127,
        "ofm_zero_point": 3,
        "parameters": add_parameters(0.5, 0.25, 0.75),
        "activation_min": -128,
        "activation_max": 127,
    }
    prepared = prepare_sum(a.shape, sign=1, **arguments)
    np.testing.assert_array_equal(prepared.run(a, b), add(a, b, **arguments))


def test_pooling() -> None:
    ifm = random_int8(np.random.default_rng(0), (2, 7, 6, 5))
    arguments: dict[str, Any] = {
        "window": (3, 2),
        "stride": (2, 1),
        "padding": (1, 0),
        "ofm_hw": (4, 5),
        "activation_min": -90,
        "activation_max": 90,
    }
    average = prepare_pool2d(ifm.shape, average=True, **arguments)
    np.testing.assert_array_equal(average.run(ifm), average_pool2d(ifm, **arguments))
    maximum = prepare_pool2d(ifm.shape, average=False, **arguments)
    np.testing.assert_array_equal(maximum.run(ifm), max_pool2d(ifm, **arguments))


@pytest.mark.quick
@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize("axes", [(1, 2), (-1,), (0, 1, 2, 3), ()], ids=str)
def test_mean(axes: tuple[int, ...], keep_dims: bool) -> None:
    ifm = random_int8(np.random.default_rng(0), (2, 3, 4, 5))
    arguments: dict[str, Any] = {
        "keep_dims": keep_dims,
        "ifm_zero_point": 4,
        "ofm_zero_point": -7,
        "multiplier": 1518500250,
        "shift": -3,
    }
    prepared = needed(prepare_mean(ifm.shape, axes, **arguments))
    np.testing.assert_array_equal(prepared.run(ifm), mean(ifm, axes, **arguments))
    assert prepare_mean(ifm.shape, (0, 2), **arguments) is None


@pytest.mark.parametrize(
    ("shape", "paddings"),
    [
        ((3,), [(1, 2)]),
        ((2, 3), [(0, 1), (2, 0)]),
        ((2, 3, 4, 5), [(0, 0), (1, 2), (3, 4), (0, 0)]),
        ((2, 3, 4, 5), [(1, 1), (0, 2), (1, 0), (2, 3)]),
    ],
    ids=str,
)
def test_pad(shape: tuple[int, ...], paddings: list[tuple[int, int]]) -> None:
    ifm = random_int8(np.random.default_rng(0), shape)
    prepared = needed(prepare_pad(shape, paddings, value=-9))
    np.testing.assert_array_equal(prepared.run(ifm), pad(ifm, paddings, value=-9))
    assert prepare_pad((1,) * 5, [(0, 1)] * 5, value=0) is None
    with pytest.raises(ValueError, match="paddings are 1 pairs; allowed is one per dimension"):
        prepare_pad((2, 2), [(0, 0)], value=0)


def test_softmax_and_tables() -> None:
    rng = np.random.default_rng(0)
    ifm = random_int8(rng, (3, 2, 12))
    parameters = softmax_parameters(1.0, 0.1)
    prepared = prepare_softmax(ifm.shape, parameters=parameters)
    np.testing.assert_array_equal(prepared.run(ifm), softmax(ifm, parameters=parameters))
    with pytest.raises(ValueError, match="ifm has rows of 8192 values"):
        prepare_softmax((1, MAX_ROW + 1), parameters=parameters)
    table = random_int8(rng, (256,))
    looked_up = prepare_table(ifm.shape, table).run(ifm)
    np.testing.assert_array_equal(looked_up, apply_table(ifm, table))
    with pytest.raises(ValueError, match="table has 255 entries; allowed is 256"):
        prepare_table(ifm.shape, table[1:])


def test_another_operand_than_prepared_for_is_refused() -> None:
    prepared = needed(prepare_pad((2, 3), [(0, 0), (0, 1)], value=0))
    refused: tuple[Any, ...] = np.zeros((3, 2), np.int8), np.zeros((2, 3), np.int16)
    for ifm in refused:
        with pytest.raises(ValueError, match=r"allowed is int8 of shape \(2, 3\)"):
            prepared.run(ifm)


def test_operands_need_not_be_contiguous_or_writeable() -> None:
    rng = np.random.default_rng(0)
    ifm = random_int8(rng, (3, 2)).T
    prepared = needed(prepare_pad((2, 3), [(1, 0), (0, 1)], value=5))
    expected = pad(ifm, [(1, 0), (0, 1)], value=5)
    np.testing.assert_array_equal(prepared.run(ifm), expected)
    constant = np.ascontiguousarray(ifm)
    constant.flags.writeable = False
    np.testing.assert_array_equal(prepared.run(constant), expected)


@pytest.mark.quick
@every_isa
def test_program(isa: InstructionSet) -> None:
    """A convolution, a depthwise one and their sum with padding, in one arena with gaps."""
    rng = np.random.default_rng(0)
    shape = 1, 5, 6, 8
    models, operands = [], random_int8(rng, shape)
    for build in (lambda m, x: random_conv2d(m, rng, x, 8, (3, 3)), None):
        m, x, _ = single(rng, shape)
        build(m, x) if build else random_depthwise_conv2d(m, rng, x, (3, 3))
        models.append(m.build())
    first, second = conv(models[0], shape, isa), depthwise(models[1], shape, isa)
    arguments: dict[str, Any] = {
        "a_zero_point": 1,
        "b_zero_point": 2,
        "ofm_zero_point": 3,
        "parameters": add_parameters(0.1, 0.2, 0.3),
        "activation_min": -128,
        "activation_max": 127,
    }
    total = prepare_sum(shape, sign=1, **arguments)
    padded = needed(prepare_pad(shape, [(0, 0), (1, 1), (1, 1), (0, 0)], value=3))
    size = operands.size
    places = [7 + i * (size + 11) for i in range(5)]
    arena = np.full(places[4] + padded.run(operands).size + 9, 77, np.int8)
    arena[places[0] : places[0] + size] = operands.reshape(-1)
    program = KernelSequence(
        isa,
        [
            Call(first, places[0], places[1]),
            Call(second, places[1], places[2]),
            Call(total, places[1], places[3], places[2]),
            Call(padded, places[3], places[4]),
        ],
    )
    program.run(arena)
    a = first.run(operands)
    b = second.run(a)
    expected = np.full_like(arena, 77)
    for place, value in zip(places, (operands, a, b, total.run(a, b)), strict=False):
        expected[place : place + size] = value.reshape(-1)
    last = padded.run(total.run(a, b)).reshape(-1)
    expected[places[4] : places[4] + last.size] = last
    np.testing.assert_array_equal(arena, expected)


def test_kernels_of_another_instruction_set_are_refused() -> None:
    isa = available()[-1]
    model, ifm = test_conv.random_layer(0, 4)
    prepared = conv(model, ifm.shape, replace(isa, name="other"))
    with pytest.raises(ValueError, match="a kernel is prepared for other; allowed is "):
        KernelSequence(isa, [Call(prepared, 0, 8)])


def test_choice_of_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isas, "default", isas.default.__wrapped__)
    monkeypatch.delenv(isas.VARIABLE, raising=False)
    assert isas.default() == available()[0]
    monkeypatch.setenv(isas.VARIABLE, "portable")
    assert isas.default() == named("portable") == available()[-1]
    monkeypatch.setenv(isas.VARIABLE, "mmx")
    with pytest.raises(ValueError, match=r"instruction set is 'mmx'; allowed .* portable$"):
        isas.default()


def test_only_what_numba_compiles_for_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    find = isas.available.__wrapped__
    monkeypatch.setattr(config, "CPU_FEATURES", "+sse2,+avx,+avx2,-avxvnni")
    assert [isa.name for isa in find()] == ["avx2", "portable"]
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    monkeypatch.setattr(config, "CPU_NAME", None)
    monkeypatch.setattr(config, "ENABLE_AVX", 0)
    assert [isa.name for isa in find()] == ["portable"]
    monkeypatch.setattr(config, "ENABLE_AVX", 1)

    def unknown() -> NoReturn:
        raise RuntimeError("no features")

    monkeypatch.setattr(binding, "get_host_cpu_features", unknown)
    assert [isa.name for isa in find()] == ["portable"]


def test_each_instruction_set_has_packed_weights_of_its_own() -> None:
    tags = [isa.tag for isa in isas.INSTRUCTION_SETS.values()]
    assert len(set(tags)) == len(tags)
    for isa in isas.INSTRUCTION_SETS.values():
        assert isas.tagged(isa.tag) is isa
        assert isa.tag.itemsize == isa.element.itemsize
