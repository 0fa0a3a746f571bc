"""SCALE-Sim 3 on the convolutions of a network: a run of it in an environment of its own."""

import csv
import resource
import subprocess
import tempfile
from pathlib import Path

from npu.model.graph import Graph
from npu.model.options import Conv2DOptions

PYTHON = Path(__file__).resolve().parents[2] / ".venv-bench-scalesim" / "bin" / "python"
TIMEOUT_SECONDS = 600
ARRAY = 16
_LAYOUT_COLUMNS = 20

_CONFIG = f"""[general]
run_name = bench
[architecture_presets]
ArrayHeight: {ARRAY}
ArrayWidth: {ARRAY}
IfmapSramSzkB: 256
FilterSramSzkB: 256
OfmapSramSzkB: 256
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 10
Dataflow: os
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32
[layout]
IfmapCustomLayout: False
FilterCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2
[sparsity]
SparsitySupport: false
[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""

_PROGRAM = """
import sys
from scalesim.scale_sim import scalesim
config, topology, layout, out = sys.argv[1:]
run = scalesim(
    save_disk_space=True, verbose=False, config=config, topology=topology, layout=layout
)
run.run_scale(top_path=out)
"""


class ScaleSimError(Exception):
    """SCALE-Sim is absent or failed; the message says which and how to get it."""


def simulate_layers(graph: Graph) -> tuple[float, int]:
    """CPU seconds and cycles of all CONV_2D of a network on a 16 x 16 array, output-stationary.

    Raises
    ------
    ScaleSimError : it is not installed, or failed.
    """
    if not PYTHON.is_file():
        raise ScaleSimError(
            f"SCALE-Sim is not installed: no {PYTHON.parents[1].name}; `make bench-explore`"
            " installs it"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench.cfg").write_text(_CONFIG)
        (folder / "layers.csv").write_text(_topology(graph))
        # asked for and not used
        (folder / "layout.csv").write_text(_layout(graph))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = subprocess.run(
            [PYTHON, "-c", _PROGRAM, "bench.cfg", "layers.csv", "layout.csv", "out"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        reports = list(folder.glob("out/**/COMPUTE_REPORT.csv"))
        if found.returncode or not reports:
            last = (found.stderr or found.stdout).strip().splitlines()[-1:]
            raise ScaleSimError(f"SCALE-Sim failed: {''.join(last)}")
        cycles = sum(_cycles(report) for report in reports)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cycles


def _topology(graph: Graph) -> str:
    """A line for each convolution, in the form that SCALE-Sim reads."""
    names = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels,"
    lines = [f"{names} Num Filter, Strides,"]
    for op in graph.operators:
        if op.kind != "CONV_2D":
            continue
        options = op.options_as(Conv2DOptions)
        _, height, width, channels = graph.tensors[op.inputs[0]].shape
        filters, kernel_h, kernel_w, _ = graph.tensors[op.inputs[1]].shape
        # padding is part of the map there
        height, width = height + kernel_h - 1, width + kernel_w - 1
        lines.append(
            f"conv{op.index}, {height}, {width}, {kernel_h}, {kernel_w}, {channels}, {filters},"
            f" {options.stride_h},"
        )
    return "\n".join(lines) + "\n"


def _layout(graph: Graph) -> str:
    """A line of as many factors as it wants for each convolution."""
    ones = ", ".join(["1"] * _LAYOUT_COLUMNS)
    rows = [f"conv{op.index}, {ones}," for op in graph.operators if op.kind == "CONV_2D"]
    return "\n".join(["Layer name,", *rows]) + "\n"


def _cycles(report: Path) -> int:
    with report.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    (column,) = [name for name in rows[0] if name and name.strip() == "Total Cycles"]
    return sum(round(float(row[column])) for row in rows)
