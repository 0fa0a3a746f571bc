"""Arm's Ethos-U55 on the same networks, as its own compiler estimates it: a run of Vela.

Vela is a peer to compare with, installed by `make bench` in an environment of its own, never a
dependency. Figures are Vela's estimates, everything in SRAM (8 bytes a cycle).
"""

import csv
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

VELA = Path(__file__).resolve().parents[2] / ".venv-bench" / "bin" / "vela"
TIMEOUT_SECONDS = 600
_OPTIONS = (
    *("--config", "Arm/vela.ini", "--system-config", "Ethos_U55_High_End_Embedded"),
    *("--memory-mode", "Sram_Only"),
)


@dataclass(frozen=True)
class Estimate:
    """Vela's estimate of one inference.

    Attributes
    ----------
    cycles : of the NPU, `cycles_total` of Vela's summary.
    cpu_operators : how many operators Vela leaves to the CPU; their time is not in `cycles`.
    """

    cycles: int
    cpu_operators: str


class VelaError(Exception):
    """Vela is absent or failed; the message says which and how to get it."""


def version() -> str:
    """Vela's version. Raises `VelaError` when it is not installed."""
    return _run(["--version"]).strip()


def estimate(model: Path, macs_per_cycle: int) -> Estimate:
    """Compile `model` for an Ethos-U55 of so many MACs per cycle (32, 64, 128 or 256).

    Raises `VelaError` when Vela is absent or refuses the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        accelerator = f"ethos-u55-{macs_per_cycle}"
        text = _run(
            [str(model), "--accelerator-config", accelerator, *_OPTIONS, "--output-dir", folder]
        )
        summaries = list(Path(folder).glob("*_summary_*.csv"))
        if len(summaries) != 1:
            raise VelaError(f"Vela wrote {len(summaries)} summaries for {model.name}")
        with summaries[0].open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
    on_cpu = [line.split("=")[1] for line in text.splitlines() if line.startswith("CPU operators")]
    return Estimate(round(float(row["cycles_total"])), on_cpu[0].split()[0] if on_cpu else "?")


def _run(arguments: list[str]) -> str:
    if not VELA.is_file():
        raise VelaError(
            f"Vela is not installed: no {VELA.parents[1].name}/bin/vela; `make bench` installs it"
        )
    try:
        result = subprocess.run(
            [str(VELA), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VelaError(f"Vela did not run: {error}") from None
    if result.returncode:
        last = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise VelaError(f"Vela failed with exit code {result.returncode}: {''.join(last)}")
    return result.stdout
