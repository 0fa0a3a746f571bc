"""The bytes of a compiled segment."""

import struct
from dataclasses import replace

import numpy as np
import pytest

import npu
from npu.embedded.payload import Operand, decode_segment, encode_segment
from npu.errors import CompiledModelError
from rtl.config import PRESETS
from rtl.segment_header import ALIGNMENT, HEADER, segment_header
from sim.program import Program
from tests.npu.small_model import classifier

CONFIG = PRESETS["npu64"]


def program() -> Program:
    (made,) = npu.compile(npu.load(classifier()), CONFIG).programs
    return made


def operands(made: Program) -> tuple[list[Operand], list[Operand]]:
    inputs, outputs = (
        [Operand(b.tensor_index, b.name, b.shape, b.dtype) for b in bindings]
        for bindings in (made.inputs, made.outputs)
    )
    return inputs, outputs


def decode(data: bytes) -> Program:
    return decode_segment(data, CONFIG, *operands(program()))


def edited(name: str, value: int) -> bytes:
    data = bytearray(encode_segment(program()))
    struct.pack_into("<I", data, 4 * HEADER.index(name), value)
    return bytes(data)


def test_what_is_written_is_read() -> None:
    made = program()
    data = encode_segment(made)
    assert len(data) % ALIGNMENT == 0
    again = decode(data)
    assert np.array_equal(again.commands, made.commands)
    assert np.array_equal(again.constants, made.constants)
    assert (again.inputs, again.outputs) == (made.inputs, made.outputs)
    assert (again.arena_bytes, again.macs) == (made.arena_bytes, made.macs)


def test_another_configuration() -> None:
    other = replace(CONFIG, scratchpad_kib=CONFIG.scratchpad_kib * 2)
    with pytest.raises(CompiledModelError, match=f"id {CONFIG.config_id:#010x}, this NPU has"):
        decode_segment(encode_segment(program()), other, *operands(program()))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("magic", 0, "no compiled segment"),
        ("version", 99, "format 99, this tool reads 1"),
        ("bytes", 64, "are not what its header says"),
        ("command_offset", 4, "are not what its header says"),
        ("command_bytes", 1 << 31, "are not what its header says"),
        ("constant_bytes", 1 << 31, "are not what its header says"),
        ("input_count", 1 << 30, "are not what its header says"),
        ("input_count", 2, "2 inputs, its operator 1; the file was edited"),
        ("output_count", 0, "0 outputs, its operator 1; the file was edited"),
        ("arena_bytes", 8, "the segment is damaged: tensor"),
    ],
)
def test_damaged_headers(name: str, value: int, text: str) -> None:
    with pytest.raises(CompiledModelError, match=text):
        decode(edited(name, value))


def test_other_tensors() -> None:
    inputs, outputs = operands(program())
    larger = replace(inputs[0], shape=(2, *inputs[0].shape[1:]))
    with pytest.raises(CompiledModelError, match="was compiled as 216 bytes; the file was edited"):
        decode_segment(encode_segment(program()), CONFIG, [larger], outputs)


@pytest.mark.parametrize("size", [0, 3, 4 * len(HEADER) - 1])
def test_too_short(size: int) -> None:
    with pytest.raises(CompiledModelError, match="no compiled segment"):
        decode(encode_segment(program())[:size])


def test_the_header_of_c_has_the_same_words() -> None:
    text = segment_header()
    members = [line.split()[1].rstrip(";") for line in text.splitlines() if "    uint32_t" in line]
    assert members == [*HEADER, "offset", "bytes"]
