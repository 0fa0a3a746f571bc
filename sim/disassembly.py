"""Commands, and whole programs, as text."""

from enum import IntEnum

from rtl.isa import HEADER, Command, Destination, Function, Region
from sim.program import Program

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


def disassemble_program(program: Program) -> str:
    """One line per command: index, waits (load/compute/store), operator, opcode and fields.

    Raises
    ------
    ProgramError : the stream is malformed.
    """
    owners = {
        index: f"{layer.operator_index}:{layer.kind}"
        for layer in program.layers
        for index in layer.compute_commands
    }
    commands = program.decode()
    width = max((len(owner) for owner in owners.values()), default=0)
    number_width = len(str(max(len(commands) - 1, 0)))
    lines = []
    for index, command in enumerate(commands):
        waits = "/".join(str(command[f"wait_{name}"]) for name in ("load", "compute", "store"))
        body = Command(command.opcode, {k: v for k, v in command.fields.items() if k not in HEADER})
        owner = owners.get(index, "")
        text = f"{index:{number_width}}  {waits:>14}  {owner:{width}}  {disassemble(body)}"
        lines.append(text.rstrip())
    return "\n".join(lines)
