"""`npu disasm`: the command streams that a network compiles to."""

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, ModelArgument


def disasm(model: ModelArgument, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """List the commands that a network compiles to, one per line."""
    from npu.delegate import compile_programs
    from npu.program_listing import list_program
    from npu.report import make_console, print_line
    from npu.tflite_reader import read_model
    from rtl.config import load_config

    hardware = load_config(config)
    programs = compile_programs(read_model(model), hardware)
    console = make_console()
    if not programs:
        print_line(console, f"no operator of {model} runs on the NPU")
    for number, program in enumerate(programs, 1):
        print_line(console, f"segment {number} of {len(programs)} for {config}")
        for line in list_program(program):
            print_line(console, line)
