"""`python -m tests.converter`: every network in every form, a table of what became of it.

`python -m tests.converter --write-samples` writes the small files that CI runs.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from npu.survey import Verdict, judge
from tests.converter import samples
from tests.converter.conversion import BATCHES, MODES, converted
from tests.converter.networks import NETWORKS

OFFLOAD_ASKED = 0.95
REASON_SHARE_ASKED = 0.05
Key = tuple[str, str, str]


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
    """Convert, run in TFLM and on every backend, compare; exit 1 if anything differs."""
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
                refused[key] = verdicts[key].golden
        # an hour's work, of which an interruption takes one file
        _write(json_out, verdicts, refused)
    _print(console, verdicts, refused)
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
    ran = {key: verdict for key, verdict in verdicts.items() if verdict.ran}
    exact = [key for key, verdict in ran.items() if not verdict.failures]
    table = Table("network", "batch", "ends", "MMAC", "on NPU", "cycles", "bit-exact")
    for key, verdict in ran.items():
        share = verdict.npu_macs / verdict.macs if verdict.macs else 1.0
        cycles = "-" if verdict.cycles is None else f"{verdict.cycles:,}"
        done = "yes" if not verdict.failures else "NO: " + next(iter(verdict.failures.values()))
        table.add_row(*key, f"{verdict.macs / 1e6:.2f}", f"{share:.1%}", cycles, done)
    console.print(table)
    for reason, keys in _grouped(refused).items():
        console.print(f"refused: {reason} ({', '.join(keys)})", markup=False)
    macs = sum(verdict.macs for verdict in ran.values())
    reasons: Counter[str] = Counter()
    for verdict in ran.values():
        reasons.update(verdict.cpu_macs)
    for reason, count in reasons.most_common():
        sign = "" if count / macs <= REASON_SHARE_ASKED else "  <- more than 5 %"
        console.print(f"on the CPU: {count / macs:7.3%}  {reason}{sign}", markup=False)
    below = [
        "/".join(key)
        for key, verdict in ran.items()
        if verdict.macs and verdict.npu_macs / verdict.macs < OFFLOAD_ASKED
    ]
    console.print(f"below {OFFLOAD_ASKED:.0%} on the NPU: {', '.join(below) or 'none'}")
    console.print(
        f"{len(exact)} of {len(ran)} that TFLM runs are bit-exact on every backend; "
        f"{len(refused)} refused by the converter or TFLM"
    )


def _grouped(refused: dict[Key, str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for key, reason in refused.items():
        grouped.setdefault(reason, []).append("/".join(key))
    return grouped


if __name__ == "__main__":
    typer.run(main)
