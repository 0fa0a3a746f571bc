"""`npu disasm`: the command streams that a network compiles to."""

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, ModelArgument


def disasm(model: ModelArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the commands that a network compiles to.

    A line holds the command's index, its waits for other engines (load/compute/store), the
    operator that it computes, its opcode and its fields.
    """
    from npu.model.tflite_reader import read_model
    from npu.offload.network import CompiledNetwork
    from npu.report.tables import make_console, print_line
    from rtl.config import load_config
    from sim.disassembly import disassemble_program

    network = CompiledNetwork(read_model(model), load_config(config))
    console = make_console()
    for op in network.graph.operators:
        reason = network.partition.reasons.get(op.index)
        if reason is not None:
            print_line(console, f"operator {op.index}:{op.kind} on the CPU: {reason}")
    for number, (segment, program) in enumerate(network.programs.items(), 1):
        print_line(
            console,
            f"segment {number} of {len(network.programs)} for {config}: operators "
            f"{segment.operators[0]} to {segment.operators[-1]}, "
            f"{program.commands.nbytes:,} bytes of commands, "
            f"{program.constants.size:,} of constants, {program.arena_bytes:,} of arena",
        )
        for line in disassemble_program(program).splitlines():
            print_line(console, line)
