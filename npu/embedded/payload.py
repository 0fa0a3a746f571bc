"""A compiled segment as bytes: what the custom operator `NPU` of a compiled file carries.

`rtl/segment_header.py` has its records.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from npu.errors import CompiledModelError
from npu.model.schema import COMPILED_OPERATOR
from rtl.config import NpuConfig
from rtl.segment_header import ALIGNMENT, BINDING, HEADER, MAGIC, VERSION
from sim.errors import ProgramError
from sim.program import Program, ProgramLayer, TensorBinding

KIND = f"CUSTOM:{COMPILED_OPERATOR}"
"""The operator, as graphs name it."""


@dataclass(frozen=True)
class Operand:
    """A tensor that a compiled segment reads or writes, as its graph has it."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str = "int8"


def encode_segment(program: Program, alignment: int = ALIGNMENT) -> bytes:
    """The bytes of a program; inputs and outputs in its order.

    `alignment`: bytes to which commands, constants and the whole are aligned, a multiple of
    `ALIGNMENT`.
    """
    bindings = [*program.inputs, *program.outputs]
    commands, constants = program.commands.tobytes(), program.constants.tobytes()
    start = _aligned(4 * (len(HEADER) + len(BINDING) * len(bindings)), alignment)
    constant_offset = _aligned(start + len(commands), alignment)
    values = {
        "magic": MAGIC,
        "version": VERSION,
        "config_id": program.config.config_id,
        "bytes": _aligned(constant_offset + len(constants), alignment),
        "command_offset": start,
        "command_bytes": len(commands),
        "constant_offset": constant_offset,
        "constant_bytes": len(constants),
        "arena_bytes": program.arena_bytes,
        "input_count": len(program.inputs),
        "output_count": len(program.outputs),
        "macs_low": program.macs & 0xFFFF_FFFF,
        "macs_high": program.macs >> 32,
    }
    words = [values[name] for name in HEADER]
    words += [word for b in bindings for word in (b.offset, b.size)]
    data = bytearray(values["bytes"])
    data[: 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
    data[start : start + len(commands)] = commands
    data[constant_offset : constant_offset + len(constants)] = constants
    return bytes(data)


def decode_segment(
    data: bytes,
    config: NpuConfig,
    inputs: Sequence[Operand],
    outputs: Sequence[Operand],
    operator: int = 0,
) -> Program:
    """The program in `data`, for hardware of this configuration.

    Parameters
    ----------
    inputs, outputs : the operator's tensors, in its order; of bytes.
    operator : the operator's index in its graph.

    Raises
    ------
    CompiledModelError : the data are none of a segment, belong to other tensors, or were compiled
        for another configuration.
    """
    header = read_header(data)
    if header["config_id"] != config.config_id:
        raise CompiledModelError(
            f"the file was compiled for configuration id {header['config_id']:#010x}, this NPU has "
            f"{config.config_id:#010x}; compile the network for this configuration"
        )
    places = _bindings(data, header)
    for what, operands, count in (
        ("inputs", inputs, header["input_count"]),
        ("outputs", outputs, header["output_count"]),
    ):
        if len(operands) != count:
            raise CompiledModelError(
                f"the segment has {count} {what}, its operator {len(operands)}; the file was edited"
            )
    found = []
    for operand, (offset, size) in zip((*inputs, *outputs), places, strict=True):
        if prod(operand.shape) != size:
            raise CompiledModelError(
                f"tensor {operand.name!r} of shape {list(operand.shape)} was compiled as {size} "
                "bytes; the file was edited"
            )
        found.append(
            TensorBinding(operand.name, operand.index, offset, operand.shape, operand.dtype)
        )
    macs = header["macs_low"] | header["macs_high"] << 32
    start, end = header["command_offset"], header["command_offset"] + header["command_bytes"]
    constants = data[header["constant_offset"] :][: header["constant_bytes"]]
    try:
        return Program(
            config=config,
            commands=np.frombuffer(data[start:end], np.uint64),
            constants=np.frombuffer(constants, np.uint8),
            arena_bytes=header["arena_bytes"],
            inputs=tuple(found[: len(inputs)]),
            outputs=tuple(found[len(inputs) :]),
            layers=(ProgramLayer(operator, COMPILED_OPERATOR, macs),),
        )
    except ProgramError as error:
        raise CompiledModelError(f"the segment is damaged: {error}") from None


def read_header(data: bytes) -> dict[str, int]:
    """The header's words by name; raises `CompiledModelError` unless it is one and holds."""
    size = 4 * len(HEADER)
    if len(data) < size or int.from_bytes(data[:4], "little") != MAGIC:
        raise CompiledModelError("what the operator carries is no compiled segment")
    header = dict(zip(HEADER, struct.unpack_from(f"<{len(HEADER)}I", data), strict=True))
    if header["version"] != VERSION:
        raise CompiledModelError(
            f"the segment has format {header['version']}, this tool reads {VERSION}; compile the "
            "network again"
        )
    ends = [
        size + 4 * len(BINDING) * (header["input_count"] + header["output_count"]),
        header["command_offset"] + header["command_bytes"],
        header["constant_offset"] + header["constant_bytes"],
    ]
    offsets = (header["command_offset"], header["constant_offset"])
    aligned = not any(offset % ALIGNMENT for offset in offsets) and header["command_bytes"] % 8 == 0
    if header["bytes"] != len(data) or max(ends) > len(data) or not aligned:
        raise CompiledModelError(
            f"the segment is damaged: its {len(data)} bytes are not what its header says"
        )
    return header


def _bindings(data: bytes, header: dict[str, int]) -> list[tuple[int, int]]:
    count = header["input_count"] + header["output_count"]
    words: NDArray[np.uint32] = np.frombuffer(data, "<u4", 2 * count, 4 * len(HEADER))
    return [(int(offset), int(size)) for offset, size in words.reshape(-1, 2)]


def _aligned(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
