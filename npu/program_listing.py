"""A compiled program as readable text."""

from collections.abc import Iterator

from rtl.isa import COMMANDS
from sim.disassembly import disassemble
from sim.program import Program, TensorBinding


def list_program(program: Program) -> Iterator[str]:
    """The lines of a listing: sizes, inputs and outputs, then one line for every command.

    A command's line gives its index in the stream, the engine that executes it, its opcode with
    every field that is not zero, and after a semicolon the operator that it computes.

    Raises `ProgramError` for a malformed command stream.
    """
    commands = program.decode()
    yield (
        f"{len(commands)} commands in {program.commands.nbytes:,} bytes, constants "
        f"{program.constants.size:,} bytes, arena {program.arena_bytes:,} bytes"
    )
    yield from (_binding_line("input ", b) for b in program.inputs)
    yield from (_binding_line("output", b) for b in program.outputs)
    computes = {
        command: f"  ; operator {layer.operator_index} {layer.kind}"
        for layer in program.layers
        for command in layer.compute_commands
    }
    digits = len(str(len(commands)))
    for index, command in enumerate(commands):
        engine = COMMANDS[command.opcode].engine.name.lower()
        text = disassemble(command)
        yield f"{index:>{digits}}  {engine:<7}  {text}{computes.get(index, '')}"


def _binding_line(role: str, binding: TensorBinding) -> str:
    shape = " x ".join(map(str, binding.shape))
    return f"{role} tensor {binding.tensor_index} at arena+{binding.offset}: {shape}"
