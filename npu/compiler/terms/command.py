"""A command before the stream gives it its waits."""

from dataclasses import dataclass

from npu.compiler.terms.memory import Access
from rtl.isa import ADDRESS_BITS, Opcode

ADDRESS_MASK = (1 << ADDRESS_BITS) - 1


@dataclass(frozen=True)
class CommandDraft:
    """A command without its waits."""

    opcode: Opcode
    fields: dict[str, int]
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    cycles: int
