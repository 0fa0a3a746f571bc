"""`npu check`: files and folders of them on every backend, beside TFLM."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from npu.commands.progress import progress_bar, step_log
from npu.offload.backends import BackendName
from rtl.config import DEFAULT_PRESET, PRESETS

if TYPE_CHECKING:
    from rich.table import Table

    from npu.survey import Verdict
    from rtl.config import NpuConfig

EXIT_NOT_BIT_EXACT = 1
SUFFIX = ".tflite"
SHOWN_REASONS = 12


def check(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL|FOLDER...", help="Files, and folders whose .tflite files are taken."
        ),
    ],
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            metavar="PRESET|FILE.toml",
            help=f"Hardware, may be given several times; by default {DEFAULT_PRESET}, of "
            f"{', '.join(PRESETS)}. A file NAME.toml beside NAME.tflite stands in for it.",
            show_default=False,
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            metavar="|".join(get_args(BackendName)),
            help="May be given several times; by default reference, functional and cycle.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the verdicts as JSON; - is standard output."),
    ] = None,
) -> None:
    """Compare every backend with TFLM on many files.

    Every tensor is compared, on every configuration that is named.

    One line a file: MACs, their share on the NPU, cycles, and whether all is bit-exact; below it
    what TFLM refuses, and why MACs are left to the CPU. Exit code 1 if TFLM runs a file that fails
    or differs here.
    """
    from npu.report.record import STDOUT, check_output_path, write_json
    from npu.report.tables import make_console, print_line
    from npu.survey import BACKENDS, judge
    from rtl.config import load_config

    check_output_path(json, "--json", stdout=True)
    backends = _backends(backend) if backend else BACKENDS
    configs = {name: load_config(name) for name in config or [DEFAULT_PRESET]}
    files = find_models(models)
    verdicts: dict[str, Verdict] = {}
    with progress_bar("checking", quiet=json == STDOUT) as progress:
        for done, path in enumerate(files):
            progress(done, len(files))
            verdicts[str(path)] = judge(
                path.read_bytes(),
                _own_config(path) or configs,
                backends,
                log=step_log("building the simulator"),
            )
    if json is not None:
        write_json({path: verdict.record() for path, verdict in verdicts.items()}, json)
    console = make_console(stderr=json == STDOUT)
    console.print(verdict_table(verdicts))
    for line in summary_lines(verdicts):
        print_line(console, line)
    if any(verdict.ran and verdict.failures for verdict in verdicts.values()):
        raise typer.Exit(EXIT_NOT_BIT_EXACT)


def _backends(names: list[str]) -> list[BackendName]:
    allowed: dict[str, BackendName] = {name: name for name in get_args(BackendName)}
    for name in names:
        if name not in allowed:
            raise typer.BadParameter(
                f"'{name}' is not one of {', '.join(allowed)}", param_hint="--backend"
            )
    return [allowed[name] for name in names]


def find_models(paths: list[Path]) -> list[Path]:
    """The files that are named, and those in folders and folders within them, each once.

    Raises `ModelError` for what does not exist, and for a folder without any.
    """
    from npu.errors import ModelError

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.rglob(f"*{SUFFIX}"))
            if not inside:
                raise ModelError(f"folder '{path}' holds no {SUFFIX} file")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            fault = "is not a regular file" if path.exists() else "no such file or folder"
            raise ModelError(f"cannot read model '{path}': {fault}")
    return list(dict.fromkeys(found))


def _own_config(path: Path) -> "dict[str, NpuConfig] | None":
    from rtl.config import load_config

    own = path.with_suffix(".toml")
    return {own.name: load_config(str(own))} if own.is_file() else None


def verdict_table(verdicts: "dict[str, Verdict]") -> "Table":
    """One line a file; cycles are those of the last configuration."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("file", overflow="fold")
    for heading in ("MMAC", "% on\nNPU", "cycles"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bit-exact with TFLM", overflow="fold")
    for path, verdict in verdicts.items():
        numbers = ["-"] * 3
        if verdict.ran and "reading" not in verdict.failures:
            cycles = list(verdict.cycles.values())
            numbers = [
                f"{verdict.macs / 1e6:.2f}",
                f"{100 * verdict.npu_share:.1f}",
                f"{cycles[-1]:,}" if cycles else "-",
            ]
        table.add_row(path, *numbers, _said(verdict))
    return table


def _said(verdict: "Verdict") -> str:
    if not verdict.ran:
        return f"TFLM does not run it: {verdict.golden}"
    if verdict.failures:
        name, reason = next(iter(verdict.failures.items()))
        more = f" (and {len(verdict.failures) - 1} more)" if len(verdict.failures) > 1 else ""
        return f"NO: {name}: {reason}{more}"
    unchecked = verdict.not_checked
    return f"yes, but {unchecked} operators that TFLM executed" if unchecked else "yes"


def summary_lines(verdicts: "dict[str, Verdict]") -> list[str]:
    """How many are bit-exact, and the reasons why MACs are left to the CPU, by their part."""
    ran = [verdict for verdict in verdicts.values() if verdict.ran]
    exact = sum(not verdict.failures for verdict in ran)
    macs = sum(verdict.macs for verdict in ran)
    reasons: Counter[str] = Counter()
    for verdict in ran:
        reasons.update(verdict.cpu_macs)
    lines = [
        f"on the CPU: {count / macs:.2%} of all MACs: {reason}"
        for reason, count in reasons.most_common(SHOWN_REASONS)
    ]
    return [
        *lines,
        f"{exact} of {len(ran)} files that TFLM runs are bit-exact on every backend; TFLM refuses "
        f"{len(verdicts) - len(ran)}",
    ]
