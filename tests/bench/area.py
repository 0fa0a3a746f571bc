"""Resources on a Lattice ECP5, as yosys synthesizes the Verilog of `npu verilog`.

The counts are of synthesis, before place and route. They take minutes, so `area.json` keeps the
last ones: `python -m tests.bench area` makes them again, with pyosys in `.venv-bench`
(`make .venv-bench/yosys.stamp`).
"""

import hashlib
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from npu.report.tables import print_line
from rtl.config import PRESETS
from rtl.verilog import verilog_text
from tests.bench.tables import new_table

CONFIGS = ("npu32", "npu64", "npu256")
RESULTS = Path(__file__).with_name("area.json")
PYTHON = Path(__file__).resolve().parents[2] / ".venv-bench" / "bin" / "python"
TIMEOUT_SECONDS = 3600

_SCRIPT = """
import sys
from pyosys import libyosys
source, statistics = sys.argv[1:]
design = libyosys.Design()
for command in (
    f"read_verilog {source}",
    "synth_ecp5 -top npu",
    f"tee -q -o {statistics} stat -json",
):
    libyosys.run_pass(command, design)
"""

# yosys's names of ECP5 cells, by what they are counted as
_RESOURCES = {
    "LUT4": "LUT4",
    "carry (CCU2C)": "CCU2C",
    "LUT RAM (DPR16X4)": "TRELLIS_DPR16X4",
    "FF": "TRELLIS_FF",
    "MULT18X18D": "MULT18X18D",
    "block RAM (DP16KD)": "DP16KD",
}


class AreaError(Exception):
    """Synthesis is not available or failed; the message says why."""


def load() -> dict[str, Any]:
    """The results that were kept last."""
    document: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return document


def run(console: Console) -> dict[str, Any]:
    """Synthesize every configuration of `CONFIGS`, keep the counts, and print them.

    Raises `AreaError` when pyosys is not installed or fails.
    """
    results: dict[str, Any] = {"command": "python -m tests.bench area"}
    for name in CONFIGS:
        print_line(console, f"synthesizing {name} for ECP5")
        results[name] = synthesize(name)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    table = new_table("Synthesis for ECP5, before place and route", "configuration", *_RESOURCES)
    for name in CONFIGS:
        table.add_row(name, *(f"{count:,}" for count in results[name]["resources"].values()))
    console.print(table)
    return results


def synthesize(name: str) -> dict[str, Any]:
    """Resources of one preset: a record with `resources`, of which Verilog, and how.

    Raises `AreaError` as `run` does.
    """
    if not PYTHON.is_file():
        raise AreaError("pyosys is not installed: `make .venv-bench/yosys.stamp` installs it")
    with tempfile.TemporaryDirectory() as folder:
        source, statistics = Path(folder) / "npu.v", Path(folder) / "stat.json"
        verilog = verilog_text(PRESETS[name])
        source.write_text(verilog, encoding="utf-8")
        begin = time.monotonic()
        result = subprocess.run(
            [str(PYTHON), "-c", _SCRIPT, str(source), str(statistics)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if result.returncode:
            last = "".join((result.stderr or result.stdout).strip().splitlines()[-1:])
            raise AreaError(f"synthesis of {name} failed: {last}")
        document = json.loads(statistics.read_text(encoding="utf-8"))
    cells = document["design"]["num_cells_by_type"]
    return {
        "macs_per_cycle": PRESETS[name].macs_per_cycle,
        "resources": {label: cells.get(cell, 0) for label, cell in _RESOURCES.items()},
        "verilog_sha256": hashlib.sha256(verilog.encode()).hexdigest(),
        "tool": document["creator"],
        "seconds": round(time.monotonic() - begin),
    }
