"""Reads what is needed from a 32-bit little-endian RISC-V ELF file."""

import struct
from dataclasses import dataclass

from sim.errors import BuildError
from sim.soc.memory_map import CODE_BASE, CODE_BYTES, RAM_BASE, VARIABLES_BASE, VARIABLES_BYTES

_LOAD = 1
_RISCV = 243
_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SEGMENT = struct.Struct("<8I")


@dataclass(frozen=True)
class LoadedCode:
    """A firmware's memory.

    Attributes
    ----------
    code : contents of the code memory from its base on: instructions, constants, initial data.
    static_bytes : RAM that it occupies before `main`, bytes: data and zeroed data.
    """

    code: bytes
    static_bytes: int


def load_elf(content: bytes) -> LoadedCode:
    """Lay out an ELF file's segments as the start-up code expects them.

    Raises
    ------
    BuildError : not such a file, or it does not fit the SoC's memories.
    """
    if len(content) < _HEADER.size or content[:7] != b"\x7fELF\x01\x01\x01":
        raise BuildError("the firmware is not a 32-bit little-endian ELF file")
    header = _HEADER.unpack_from(content)
    machine, table, count = header[2], header[5], header[10]
    if machine != _RISCV:
        raise BuildError(f"the firmware is for ELF machine {machine}, RISC-V is {_RISCV}")
    code = bytearray()
    static_bytes = 0
    for index in range(count):
        kind, offset, virtual, physical, stored, size, *_ = _SEGMENT.unpack_from(
            content, table + index * _SEGMENT.size
        )
        if kind != _LOAD or not size:
            continue
        if stored:
            start, end = physical - CODE_BASE, physical - CODE_BASE + stored
            if start < 0 or end > CODE_BYTES:
                raise BuildError(
                    f"the firmware has {stored} bytes for {physical:#x},"
                    f" the code memory is {CODE_BYTES} bytes at {CODE_BASE:#x}"
                )
            code.extend(bytes(max(end - len(code), 0)))
            code[start:end] = content[offset : offset + stored]
        if virtual >= RAM_BASE:
            static_bytes = max(static_bytes, virtual + size - VARIABLES_BASE)
    if static_bytes > VARIABLES_BYTES:
        raise BuildError(
            f"the firmware has {static_bytes} bytes of variables, there is room for"
            f" {VARIABLES_BYTES}"
        )
    return LoadedCode(bytes(code), static_bytes)
