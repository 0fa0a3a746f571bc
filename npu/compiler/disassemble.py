"""A compiled program as a readable listing."""

from rtl.isa import HEADER, Command
from sim.disassembly import disassemble as disassemble_command
from sim.program import Program


def disassemble(program: Program) -> str:
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
        text = f"{index:{number_width}}  {waits:>14}  {owner:{width}}  {disassemble_command(body)}"
        lines.append(text.rstrip())
    return "\n".join(lines)
