"""`npu verilog`: the hardware as one synthesizable file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption


def verilog(
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE.v", help="The file to write; - is standard output."
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    flat: Annotated[
        bool, typer.Option("--flat", help="One module beside those of the memories.")
    ] = False,
) -> None:
    """Write the NPU as synthesizable Verilog, one file."""
    from npu.report.record import STDOUT, check_output_path
    from npu.report.tables import make_console, print_line
    from rtl.config import load_config
    from rtl.verilog import verilog_text, write_verilog

    hardware = load_config(config)
    # generating takes seconds: refuse before
    check_output_path(output, "--output", stdout=True)
    if output == STDOUT:
        sys.stdout.write(verilog_text(hardware, flat=flat))
        return
    write_verilog(hardware, output, flat=flat)
    print_line(make_console(), f"{output}: {config}, {hardware.macs_per_cycle} MACs/cycle")
