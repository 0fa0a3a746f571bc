"""`python -m tests.converter`: every network in every form, a table of what became of it.

`python -m tests.converter --write-samples` writes the small files that CI runs.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from npu.commands.check import verdict_table
from npu.survey import Verdict, judge
from tests.converter import samples
from tests.converter.conversion import BATCHES, MODES, converted
from tests.converter.networks import NETWORKS
from tests.converter.report import RESULTS, Key, document, grouped, reason_lines, totals_line

TOOLS = ("tensorflow", "keras", "tf-keras", "tflite-micro")


def main(
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Networks, by default all.")
    ] = None,
    mode: Annotated[
        list[str] | None, typer.Option(metavar="MODE", help=f"Of {', '.join(MODES)}.")
    ] = None,
    json_out: Annotated[
        Path, typer.Option("--json", metavar="OUT", help="Where the verdicts go.")
    ] = Path("build/converter.json"),
    write_samples: Annotated[
        bool, typer.Option("--write-samples", help="Only write the files that CI runs.")
    ] = False,
) -> None:
    """Convert, run in TFLM and on every backend, compare; exit 1 if anything differs.

    A run of all networks in all forms writes the document of results anew.
    """
    if write_samples:
        samples.write()
        return
    keys = [
        (name, batch, form)
        for name in (only or NETWORKS)
        for batch in BATCHES
        for form in (mode or MODES)
    ]
    console = Console()
    verdicts: dict[Key, Verdict] = {}
    refused: dict[Key, str] = {}
    for key in track(keys, "networks", console=Console(stderr=True)):
        model = converted(*key)
        if isinstance(model, str):
            refused[key] = f"converter: {model}"
        else:
            verdicts[key] = judge(model)
            if not verdicts[key].ran:
                refused[key] = f"TFLM: {verdicts[key].golden}"
        # an hour's work, of which an interruption takes one file
        _write(json_out, verdicts, refused)
    _print(console, verdicts, refused)
    if not only and not mode:
        tools = ", ".join(f"{name} {version(name)}" for name in TOOLS)
        RESULTS.write_text(document(verdicts, refused, tools), encoding="utf-8")
    if any(verdict.ran and verdict.failures for verdict in verdicts.values()):
        raise typer.Exit(1)


def _write(path: Path, verdicts: dict[Key, Verdict], refused: dict[Key, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "verdicts": {"/".join(key): verdict.record() for key, verdict in verdicts.items()},
        "refused": {"/".join(key): reason for key, reason in refused.items()},
    }
    path.write_text(json.dumps(record, indent=1))


def _print(console: Console, verdicts: dict[Key, Verdict], refused: dict[Key, str]) -> None:
    lines = [f"refused: {why} ({', '.join(names)})" for why, names in grouped(refused).items()]
    console.print(verdict_table({"/".join(k): v for k, v in verdicts.items() if v.ran}))
    for line in (*lines, *reason_lines(verdicts), totals_line(verdicts, refused)):
        console.print(line, markup=False)


if __name__ == "__main__":
    typer.run(main)
