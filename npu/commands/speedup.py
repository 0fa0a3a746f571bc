"""`npu speedup`: how much faster a network is with the NPU than on a CPU, measured."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, ModelArgument, QuietOption
from npu.commands.progress import progress_bar, step_log


class CompilerChoice(StrEnum):
    """The C cross-compiler of the firmware."""

    AUTO = "auto"
    ZIG = "zig"
    GCC = "gcc"


def speedup(
    model: ModelArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SPEC",
            help="As for `npu run`; the cycles of a network hardly depend on it. "
            "Default: random:0.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the result as JSON; - is standard output."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="OUT.html", help="Write a page with figures, which opens offline."),
    ] = None,
    wait_states: Annotated[
        int,
        typer.Option(
            metavar="N", help="Wait states of every memory, for CPUs and NPU alike: 0 to 255."
        ),
    ] = 0,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", "--no-cache", help="Measure again, whatever has been measured before."
        ),
    ] = False,
    compiler: Annotated[
        CompilerChoice,
        typer.Option(
            help="zig (clang from the package ziglang), gcc (riscv64-unknown-elf-gcc), or auto: "
            "what is measured already, else the first of them that is installed."
        ),
    ] = CompilerChoice.AUTO,
    quiet: QuietOption = False,
) -> None:
    """Compare a network on CPUs without and with the NPU.

    Everything runs in RTL simulation and is checked. Figures that were measured before, by you or
    for the networks that ship with this project, come from a cache and are marked.
    """
    from npu.inputs import load_inputs
    from npu.model.tflite_reader import read_model
    from npu.report.page.write import write_page
    from npu.report.record import STDOUT, check_output_path, write_json
    from npu.report.tables import make_console
    from npu.speedup.measure import Setting, measure_all
    from npu.speedup.report import print_speedup, speedup_record
    from rtl.config import load_config

    check_output_path(json, "--json", stdout=True)
    check_output_path(html, "--html")
    setting = Setting(
        config=load_config(config),
        wait_states=wait_states,
        compiler=None if compiler is CompilerChoice.AUTO else compiler.value,
        rebuild=rebuild,
    )
    graph = read_model(model)
    inputs = load_inputs(input or [], graph)
    with progress_bar("operators", silent=quiet) as bar:
        entries = measure_all(
            graph,
            inputs,
            setting,
            log=step_log(model.stem, silent=quiet),
            progress=lambda rung, done, total: bar(done, total),
        )
    # standard output belongs to the JSON when that is where it goes
    console = make_console(stderr=json == STDOUT, quiet=quiet)
    print_speedup(
        console,
        entries,
        config=config,
        hardware=setting.config,
        wait_states=wait_states,
        macs=graph.total_macs,
    )
    if json or html:
        record = speedup_record(
            entries,
            graph,
            model=str(model),
            config=config,
            hardware=setting.config,
            wait_states=wait_states,
        )
        if json is not None:
            write_json(record, json)
        if html is not None:
            write_page(record, html)
