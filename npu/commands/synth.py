"""`npu synth`: what the hardware costs, in area and in clock."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, QuietOption
from npu.commands.progress import tool_steps

if TYPE_CHECKING:
    from npu.synth.flow import Request
    from npu.synth.result import Cost

EXIT_TOOL_FAILED = 1
EXIT_DOES_NOT_FIT = 3
DEFAULT_SEEDS = 3


def synth(
    config: ConfigOption = DEFAULT_CONFIG,
    core: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A CPU of the bench SoC instead of an NPU: vexriscv or cv32e40p.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="ecp5-25k, ecp5-45k, ecp5-85k, xc7 (no part, counts only) or generic (gates). "
            "Default: ecp5-85k; with --all-presets all that there are.",
            show_default=False,
        ),
    ] = None,
    pnr: Annotated[
        bool,
        typer.Option(
            "--pnr", help="Place and route too, for Fmax and the critical path: many minutes."
        ),
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help=f"How many times to place and route; the median counts. Default: {DEFAULT_SEEDS}.",
            show_default=False,
        ),
    ] = None,
    by_block: Annotated[
        bool,
        typer.Option("--by-block", help="With --pnr: each block alone too, an upper bound."),
    ] = False,
    liberty: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="With generic: map to the cells of this file, count in NAND2."
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the result as JSON; - is standard output."),
    ] = None,
    treemap: Annotated[
        Path | None,
        typer.Option(metavar="OUT.html", help="Write a picture of the area by block."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Tools at a time; default: one per processor."),
    ] = None,
    all_presets: Annotated[
        bool,
        typer.Option("--all-presets", help="Every preset on its targets; with --pnr also CPUs."),
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="With --all-presets: replace the table that ships with the project."
        ),
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Synthesize the hardware: area, and with --pnr the clock.

    Results are kept by content. Exit code 3: the design does not fit the part; 1: a tool failed.
    """
    from npu.report.record import check_output_path
    from npu.synth.errors import DoesNotFitError, RoutingError, SynthesisError
    from npu.synth.process import interruptible
    from npu.synth.targets import find_target

    if target is not None:
        find_target(target)
    if seeds is not None and not pnr:
        raise SynthesisError("--seeds needs --pnr")
    if update and not all_presets:
        raise SynthesisError("--update needs --all-presets")
    if all_presets:
        _refuse_single(core=core, seeds=seeds, treemap=treemap, by_block=by_block or None)
    check_output_path(json, "--json", stdout=True)
    check_output_path(treemap, "--treemap")
    runs = 0 if not pnr else DEFAULT_SEEDS if seeds is None else seeds
    tools = jobs or os.cpu_count() or 1
    try:
        with interruptible():
            if all_presets:
                _all_presets(target, pnr, liberty, json, tools, update=update, quiet=quiet)
                return
            request = _request(target, runs if pnr else None, liberty, by_block)
            cost = _one(config, core, request, tools, quiet=quiet)
    except (DoesNotFitError, RoutingError) as error:
        sys.stderr.write(f"npu: error: {error}\n")
        failed = isinstance(error, RoutingError)
        raise typer.Exit(EXIT_TOOL_FAILED if failed else EXIT_DOES_NOT_FIT) from None
    _show(cost, json, treemap, quiet=quiet)


def _refuse_single(**options: object) -> None:
    """Options that mean nothing for all presets; None where one was not given."""
    from npu.synth.errors import SynthesisError

    for name, given in options.items():
        if given is not None:
            option = name.replace("_", "-")
            raise SynthesisError(f"--{option} is for one design, not for --all-presets")


def _request(
    target: str | None, runs: int | None, liberty: Path | None, by_block: bool
) -> "Request":
    """What the options ask of a design; `runs` of the router, None for synthesis only."""
    from npu.synth.errors import SynthesisError
    from npu.synth.flow import MAX_SEEDS, Request
    from npu.synth.liberty import read_liberty
    from npu.synth.targets import DEFAULT_TARGET, find_target

    if runs is not None and not 1 <= runs <= MAX_SEEDS:
        raise SynthesisError(f"--seeds must be between 1 and {MAX_SEEDS}, got {runs}")
    return Request(
        find_target(target or DEFAULT_TARGET),
        liberty=None if liberty is None else read_liberty(liberty),
        seeds=tuple(range(1, (runs or 0) + 1)),
        by_block=by_block,
    )


def _one(
    config: str,
    core: str | None,
    request: "Request",
    jobs: int,
    *,
    quiet: bool,
) -> "Cost":
    """The cost of one design."""
    from npu.synth.cores import core_design, find_core
    from npu.synth.design import npu_design
    from npu.synth.flow import check_tools, run_flow
    from npu.synth.process import Tools
    from npu.synth.synthesis import Listener
    from rtl.config import load_config

    hardware = load_config(config) if core is None else None
    # what is missing is found before anything takes minutes
    check_tools(request)
    name = Path(config).stem if core is None else core
    with tool_steps("synth", silent=quiet) as (log, phase), Tools(jobs) as tools:
        if hardware is None:
            design, parameters = core_design(find_core(name)), None
        else:
            log(f"{name}: Verilog")
            design = npu_design(hardware, name, request.target.family)
            parameters = hardware.to_dict()
        return run_flow(design, request, tools, Listener(log, phase), parameters)


def _show(cost: "Cost", json: Path | None, treemap: Path | None, *, quiet: bool) -> None:
    """Print and write what was found; exits with `EXIT_DOES_NOT_FIT` when that is so."""
    from npu.report.record import STDOUT, write_json
    from npu.report.tables import make_console, print_line
    from npu.synth.report import block_table, lines, resource_table
    from npu.synth.treemap import write_treemap

    console = make_console(stderr=json == STDOUT, quiet=quiet)
    console.print(resource_table(cost))
    console.print(block_table(cost))
    for line in lines(cost):
        print_line(console, line)
    if json is not None:
        write_json(cost.to_dict(), json)
    if treemap is not None:
        write_treemap(cost, treemap)
    if cost.overflow:
        raise typer.Exit(EXIT_DOES_NOT_FIT)


def _all_presets(
    target: str | None,
    pnr: bool,
    liberty: Path | None,
    json: Path | None,
    jobs: int,
    *,
    update: bool,
    quiet: bool,
) -> None:
    """The table of all presets, printed, and kept where `update` says so."""
    from npu.report.record import STDOUT, write_json
    from npu.report.tables import make_console, print_line
    from npu.synth.liberty import read_liberty
    from npu.synth.report import presets_tables
    from npu.synth.shipped import load_shipped, save_shipped, table_record
    from npu.synth.synthesis import Listener
    from npu.synth.update import ALL_TARGETS, Scope, make_table

    scope = Scope(
        targets=ALL_TARGETS if target is None else (target,),
        pnr=pnr,
        liberty=None if liberty is None else read_liberty(liberty),
    )
    with tool_steps("synth", silent=quiet) as (log, phase):
        table = make_table(scope, load_shipped(), jobs, Listener(log, phase))
    console = make_console(stderr=json == STDOUT, quiet=quiet)
    for family_table in presets_tables(table):
        console.print(family_table)
    if json is not None:
        write_json(table_record(table), json)
    if update:
        print_line(console, f"wrote {save_shipped(table)}")
