"""`python -m npu.speedup.regenerate MODEL...`: measure networks anew and put the figures into the
set that ships (`measured/NAME.json`), for each hardware configuration that is named."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model
from npu.speedup.measure import Setting, measure_all
from npu.speedup.store import Measurement, ship
from rtl.config import DEFAULT_PRESET, load_config
from rtl.errors import NpuError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m npu.speedup.regenerate", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    parser.add_argument(
        "--config", action="append", metavar="PRESET|FILE.toml", help=f"default: {DEFAULT_PRESET}"
    )
    parser.add_argument(
        "--keep", action="store_true", help="take what the user's cache has instead of measuring"
    )
    options = parser.parse_args(argv)
    try:
        for model in options.models:
            _regenerate(model, options.config or [DEFAULT_PRESET], rebuild=not options.keep)
    except NpuError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    return 0


def _regenerate(model: Path, configs: Sequence[str], rebuild: bool) -> None:
    graph = read_model(model)
    inputs = load_inputs([], graph)
    entries: dict[str, Measurement] = {}
    for name in configs:
        # CPUs alone are the same with every NPU: measured once
        setting = Setting(config=load_config(name), rebuild=rebuild and not entries)
        for entry in measure_all(graph, inputs, setting, log=_log):
            entries[entry.key] = entry.measurement
            _log(f"{model.stem}, {name}, {entry.rung.name}: {entry.measurement.cycles:,} cycles")
    _log(f"wrote {ship(model.stem, entries)}")


def _log(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
