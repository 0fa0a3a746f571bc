"""Commands as text."""

from enum import IntEnum

from rtl.isa import Command, Destination, Function, Region

_NAMES: dict[str, type[IntEnum]] = {
    "destination": Destination,
    "function": Function,
    "region": Region,
}


def disassemble(command: Command) -> str:
    """One command on one line: opcode and every field that is not zero.

    Offsets and addresses are decimal; memories and regions are named where they have names.
    """
    parts = [command.opcode.name]
    for name, value in command.fields.items():
        if name in _NAMES:
            known = _NAMES[name]
            parts.append(f"{name}={known(value).name if value in set(known) else value}")
        elif value:
            parts.append(f"{name}={value:#x}" if name == "config_id" else f"{name}={value}")
    return " ".join(parts)
