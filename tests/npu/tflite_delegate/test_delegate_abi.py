"""Interpreters whose structures are others than those declared."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import npu
from npu.tflite_delegate import abi, graph_reader
from npu.tflite_delegate.abi_check import AbiError, MappedMemory, check_node, check_tensors
from npu.tflite_delegate.graph_reader import _scales
from npu.zoo import model_path
from tests.npu.tflite_delegate.support import interpreter

Spoil = Callable[[abi.TfLiteContext], None]


def table_elsewhere(context: abi.TfLiteContext) -> None:
    context.tensors = 0x10


def no_tensors(context: abi.TfLiteContext) -> None:
    context.tensors_size = 0


def shifted(context: abi.TfLiteContext) -> None:
    context.tensors += 8


def larger_tensors(context: abi.TfLiteContext) -> None:
    context.tensors_size *= 10_000


@pytest.mark.parametrize("spoil", [table_elsewhere, no_tensors, shifted, larger_tensors])
def test_an_unknown_interpreter_keeps_all_of_its_operators(
    spoil: Spoil, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = graph_reader.read_graph

    def spoilt(address: int) -> Any:
        copy = abi.TfLiteContext.from_buffer_copy(abi.TfLiteContext.from_address(address))
        spoil(copy)
        return read(ctypes.addressof(copy))

    monkeypatch.setattr("npu.tflite_delegate.delegate.read_graph", spoilt)
    delegate = npu.delegate(config="npu64", backend="reference")
    for _ in range(2):
        interpreter(model_path(), delegate).invoke()
    (warning,) = caplog.records
    assert "this interpreter is none that the delegate knows, it takes nothing" in warning.message
    assert not delegate.report().interpreters


def test_scales_in_both_forms() -> None:
    memory = MappedMemory()
    values = (ctypes.c_float * 3)(0.5, 0.25, 0.0)
    behind = (ctypes.c_char * 64)()
    ctypes.c_int.from_buffer(behind).value = 3
    ctypes.memmove(ctypes.addressof(behind) + 4, values, 12)
    apart = (ctypes.c_uint64 * 2)(ctypes.addressof(values), 3)
    for form in (behind, apart):
        assert _scales(ctypes.addressof(form), memory, {1, 3}) == (0.5, 0.25, 0.0)
        with pytest.raises(AbiError, match="not where they are expected"):
            _scales(ctypes.addressof(form), memory, {1, 7})
    assert _scales(None, memory, {1}) == ()


def test_mapped_memory(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text("1000-2000 r--p 0\n2000-3000 rw-p 0\n4000-5000 ---p 0\n")
    memory = MappedMemory(maps)
    assert memory.has(0x1000, 0x2000)
    assert not memory.has(0x1000, 0x2001)
    assert not memory.has(0x4000, 1)
    assert not memory.has(0xFFF, 1)
    assert not memory.has(None, 1)
    assert MappedMemory(tmp_path / "none").has(0x4000, 1)


@pytest.mark.parametrize(
    ("values", "text"), [((-1, 0), "a list has -1 elements"), ((9, 1), "a list has 9 elements")]
)
def test_lists_that_are_none(values: tuple[int, int], text: str) -> None:
    array = (ctypes.c_int * 2)(*values)
    with pytest.raises(AbiError, match=text):
        MappedMemory().integers(ctypes.addressof(array), 8, "a list")


def test_tensors_that_contradict_themselves() -> None:
    shape = abi.make_int_array((2, 3))
    data = (ctypes.c_int8 * 6)()
    tensor = abi.TfLiteTensor(
        type=9, data=ctypes.addressof(data), dims=ctypes.addressof(shape), bytes=6
    )
    context = abi.TfLiteContext(tensors_size=1, tensors=ctypes.addressof(tensor))
    memory = MappedMemory()
    check_tensors(context, memory)
    for field, value, text in (
        ("bytes", 7, r"tensor 0 of shape \[2, 3\] has 7 bytes"),
        ("type", 99, "tensor 0 has type 99"),
        ("allocation_type", 99, "tensor 0 has allocation type 99"),
    ):
        kept = getattr(tensor, field)
        setattr(tensor, field, value)
        with pytest.raises(AbiError, match=text):
            check_tensors(context, memory)
        setattr(tensor, field, kept)


def test_nodes_that_contradict_the_tensors() -> None:
    context = abi.TfLiteContext(tensors_size=2)
    inputs, outputs = abi.make_int_array((0, 2)), abi.make_int_array((1,))
    node = abi.TfLiteNode(inputs=ctypes.addressof(inputs), outputs=ctypes.addressof(outputs))
    kernel = abi.TfLiteRegistration(builtin_code=3)
    memory = MappedMemory()
    with pytest.raises(AbiError, match="a node's inputs hold tensor 2 of 2"):
        check_node(context, memory, node, kernel)
    inputs[2] = 1
    check_node(context, memory, node, kernel)
    kernel.builtin_code = -5
    with pytest.raises(AbiError, match="code -5"):
        check_node(context, memory, node, kernel)
