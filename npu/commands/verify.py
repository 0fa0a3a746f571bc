"""`npu verify`: the hardware, or a user's own Verilog, against the reference."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption, QuietOption
from npu.commands.progress import progress_bar, step_log

if TYPE_CHECKING:
    from rich.table import Table

    from npu.verify import Outcome, Suite
    from rtl.config import NpuConfig

EXIT_WRONG = 1
SHOWN_MISSED = 6


def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    rtl: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.v",
            help="Your Verilog with the module npu, or with --block that block's; may be given "
            "several times. Default: the project's own hardware.",
            show_default=False,
        ),
    ] = None,
    block: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The files are this block, the rest is ours; `npu verilog --block NAME` writes "
            "ours to begin with.",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full/--quick", help="Ten times the programs.", show_default="quick")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the random programs.")] = 15,
    bits_only: Annotated[
        bool, typer.Option("--bits-only", help="Cycles and counters may be others than ours.")
    ] = False,
    waves: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where waves of what is wrong go.", show_default=False),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the result as JSON; - is standard output."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Check hardware against the reference.

    Programs aimed at each block run on the RTL; outputs, errors, cycles and counters are compared.

    Of each kind of program the first that is wrong is told: the command, the tensor's element, the
    cycles, a file of waves, and the block that differed first where its modules are ours. Exit
    code 1 if anything is wrong.
    """
    from npu.errors import VerifyError
    from npu.report.record import (
        STDOUT,
        check_output_path,
        hardware_record,
        make_folder,
        record_header,
        write_json,
    )
    from npu.report.tables import make_console, print_line
    from npu.verify import Suite
    from npu.verify.block import block_aims
    from npu.verify.guarded import run_guarded
    from npu.verify.record import suite_record
    from rtl.config import load_config

    check_output_path(json, "--json", stdout=True)
    hardware = load_config(config)
    files = rtl or []
    if block is not None and not files:
        raise VerifyError("--block NAME needs --rtl FILE.v with that block")
    log = None if quiet else step_log("building the simulator")
    design = _design(block, hardware, files, log) if files else None
    aims = None if block is None else block_aims(block)
    cycles = not bits_only
    suite = Suite(hardware, design, aims, full=full, seed=seed, cycles=cycles, log=log)
    if waves is not None:
        suite.folder = make_folder(waves, "--waves")
    with progress_bar("verifying", quiet=json == STDOUT, silent=quiet) as progress:
        outcomes = run_guarded(suite, progress) if files else suite.run(progress)
    if json is not None:
        record = {**record_header("verify"), **hardware_record(config, hardware)}
        record |= {"rtl": [str(path) for path in files], "block": block}
        write_json({**record, **suite_record(suite, outcomes)}, json)
    console = make_console(stderr=json == STDOUT, quiet=quiet)
    console.print(outcome_table(outcomes))
    for outcome in outcomes:
        for line in fault_lines(outcome):
            print_line(console, line)
    wrong = sum(outcome.wrong + outcome.slow for outcome in outcomes)
    for line in summary_lines(suite, outcomes):
        print_line(console, line)
    if wrong:
        raise typer.Exit(EXIT_WRONG)


def _design(
    block: str | None,
    hardware: "NpuConfig",
    files: list[Path],
    log: Callable[[str], None] | None,
) -> str:
    """The Verilog under test, whose ports are ours."""
    from npu.verify.block import design_with_block
    from npu.verify.design import own_ports_checked

    if block is not None:
        return design_with_block(block, hardware, files, log)
    return own_ports_checked(hardware, files)


def outcome_table(outcomes: "list[Outcome]") -> "Table":
    """One line for each kind of program."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("programs for")
    for heading in ("run", "bits\ncompared", "wrong", "other\ncycles"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("blocks", overflow="fold")
    for outcome in outcomes:
        numbers = outcome.programs, outcome.bits, outcome.wrong, outcome.slow
        table.add_row(
            outcome.aim.name, *(f"{number:,}" for number in numbers), ", ".join(outcome.aim.blocks)
        )
    return table


def fault_lines(outcome: "Outcome") -> list[str]:
    """What a person reads about the first program of a kind that is wrong."""
    fault = outcome.fault
    if fault is None:
        return []
    lines = [f"{outcome.aim.name}, program {fault.seed}: {fault.said[0]}"]
    lines += [f"  {line}" for line in fault.said[1:]]
    if fault.location is not None:
        lines.append(f"  {fault.location}")
    return lines


def summary_lines(suite: "Suite", outcomes: "list[Outcome]") -> list[str]:
    """Coverage, and how many programs are wrong."""
    features, missed = len(suite.coverage.counts), suite.coverage.missed
    covered = f"coverage: {features - len(missed)} of {features} features of commands"
    if missed:
        covered += f"; not {', '.join(missed[:SHOWN_MISSED])}"
        covered += f" and {len(missed) - SHOWN_MISSED} more" * (len(missed) > SHOWN_MISSED)
    wrong = sum(outcome.wrong + outcome.slow for outcome in outcomes)
    programs = sum(outcome.programs for outcome in outcomes)
    verdict = f"{wrong} of {programs} programs are wrong" if wrong else f"all {programs} are right"
    return [covered, f"programs, seed {suite.seed}: {verdict}"]
