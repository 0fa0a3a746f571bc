"""`npu verilog`: the hardware as one synthesizable file, or a folder with all that goes with it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ClockOption, ConfigOption


def verilog(
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE.v", help="The file to write; - is standard output."
        ),
    ] = None,
    package: Annotated[
        Path | None,
        typer.Option(
            "--package",
            metavar="DIR",
            help="Write a folder instead: Verilog, FuseSoC core, SystemRDL, constraints, C driver.",
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    flat: Annotated[
        bool, typer.Option("--flat", help="One module beside those of the memories.")
    ] = False,
    block: Annotated[
        str | None,
        typer.Option(
            "--block", metavar="NAME", help="Only this block, to be changed for `npu verify`."
        ),
    ] = None,
    clock_mhz: ClockOption = None,
) -> None:
    """Write the NPU as Verilog, or a package around it."""
    from npu.errors import OutputError
    from npu.report.record import STDOUT, check_output_path, write_text
    from npu.report.tables import make_console, print_line
    from npu.synth.clocks import chosen_clock
    from npu.version import tool_version
    from rtl.config import load_config
    from rtl.package import write_package
    from rtl.verilog import verilog_text, write_verilog

    hardware = load_config(config)
    if (output is None) == (package is None):
        raise typer.BadParameter("give either -o FILE.v or --package DIR")
    if block is not None and (package is not None or flat):
        raise OutputError("--block is for -o FILE.v, without --flat and --package")
    if package is not None:
        if flat:
            raise OutputError("--flat is for -o FILE.v; a package keeps the hierarchy")
        clock = chosen_clock(clock_mhz, hardware).mhz
        files = write_package(hardware, package, tool_version(), clock)
        print_line(make_console(), f"{package}: {config}, {len(files)} files, {clock:g} MHz")
    elif block is not None and output is not None:
        from npu.verify.block import block_module, own_block

        check_output_path(output, "--output", stdout=True)
        write_text(own_block(block, hardware), output)
        if output != STDOUT:
            print_line(make_console(), f"{output}: module {block_module(block)} of {config}")
    elif output == STDOUT:
        sys.stdout.write(verilog_text(hardware, flat=flat))
    elif output is not None:
        # generating takes seconds: refuse before
        check_output_path(output, "--output", stdout=True)
        write_verilog(hardware, output, flat=flat)
        print_line(make_console(), f"{output}: {config}, {hardware.macs_per_cycle} MACs/cycle")
