"""Writes the README's tables: results measured now, speedups as far as measured, operators."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from npu.commands.ops import markdown_table
from npu.inputs import load_inputs
from npu.report.coverage import grouped_coverage
from npu.report.tables import milliseconds, print_line
from npu.speedup.measure import Entry, Setting, measure_all
from npu.speedup.report import speedup
from npu.speedup.store import SHIPPED
from npu.synth.clocks import npu_clock
from rtl.config import PRESETS
from rtl.errors import NpuError
from tests.bench import compression
from tests.bench.depths import depths_table
from tests.bench.measure import Machine, Measurement
from tests.bench.networks import networks
from tests.docs import MarkerError, replace_section

README = Path(__file__).resolve().parents[2] / "README.md"
SECTIONS = RESULTS, SPEEDUP, DEPTHS, COMPRESSION, OPERATORS = (
    *("results", "speedup", "depths"),
    *("compression", "operators"),
)
CONFIGS = ("npu64", "npu128", "npu256")
SHOWN = "npu256"


def run(console: Console, *, path: Path = README) -> None:
    """Measure every network and replace what stands between the markers of `path`.

    Raises `MarkerError`, before anything is measured, when markers are missing.
    """
    for name in SECTIONS:
        replace_section(_read(path), name, "")
    rows = []
    machines = [Machine(config) for config in CONFIGS]
    for network in networks():
        print_line(console, network.name)
        try:
            rows.append([machine.measure(network) for machine in machines])
        except NpuError as error:
            print_line(console, f"{network.name} is left out: {error}", style="bold red")
    text = _read(path)
    text = replace_section(text, RESULTS, table(rows))
    text = replace_section(text, SPEEDUP, speedup_table(_speedups(console)))
    text = replace_section(text, DEPTHS, depths_table(networks()[0]))
    text = replace_section(
        text, COMPRESSION, compression.markdown(compression.measure(quick=False))
    )
    text = replace_section(text, OPERATORS, markdown_table(grouped_coverage()))
    path.write_text(text, encoding="utf-8")
    print_line(console, f"{path}: {len(rows)} networks")


def table(rows: list[list[Measurement]]) -> str:
    """The table in Markdown, a row for each network, and what is missing from its cycles."""
    heading = [
        "network",
        "MMAC",
        *(f"cycles, {config}" for config in CONFIGS),
        f"utilization, {SHOWN}",
        *(f"ms, {config} ({npu_clock(PRESETS[config])})" for config in _timed()),
        "bit-exact",
    ]
    lines = [
        f"| {' | '.join(heading)} |",
        f"|---|{'---:|' * (len(heading) - 2)}---|",
        *(table_row(row) for row in rows),
        "",
        _note(rows),
    ]
    return "\n".join(lines) + "\n"


def _timed() -> list[str]:
    """Whose cycles are also shown as time: those whose clock was measured, and `SHOWN`."""
    return [c for c in CONFIGS if c == SHOWN or npu_clock(PRESETS[c]).measured]


def _speedups(console: Console) -> dict[str, list[Entry]]:
    """All rungs of the networks whose measurements ship, from there or measured now."""
    setting = Setting(config=PRESETS[SHOWN])
    found = {}
    for network in networks():
        if (SHIPPED / f"{network.name}.json").is_file():
            print_line(console, f"speedup of {network.name}")
            graph = network.graph
            found[network.name] = measure_all(graph, load_inputs([], graph), setting)
    return found


def speedup_table(entries: Mapping[str, Sequence[Entry]]) -> str:
    """Million cycles of each network on each rung, and what the NPU gains over it, in Markdown."""
    names = [entry.rung.name for entry in next(iter(entries.values()), [])]
    lines = [f"| million cycles (NPU speedup) | {' | '.join(names)} |"]
    lines.append(f"|---|{'---:|' * len(names)}")
    for network, rungs in entries.items():
        cells = []
        for entry in rungs:
            cycles = f"{entry.measurement.cycles / 1e6:.3f}"
            ratio = "" if entry.rung.with_npu else f" ({speedup(entry, rungs):,.0f}x)"
            cells.append(cycles + ratio)
        lines.append(f"| {network} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _note(rows: list[list[Measurement]]) -> str:
    on_cpu: dict[str, list[str]] = {}
    for row in rows:
        kinds = {layer.kind for m in row for layer in m.layers if layer.placed != "NPU"}
        for kind in sorted(kinds):
            on_cpu.setdefault(kind, []).append(row[0].network)
    if not on_cpu:
        return "Nothing runs on the CPU."
    parts = [f"{kind} ({', '.join(names)})" for kind, names in on_cpu.items()]
    return f"On the CPU, not in the cycles: {'; '.join(parts)}."


def table_row(measurements: list[Measurement]) -> str:
    """One network on all of `CONFIGS`."""
    by_config = {m.config: m for m in measurements}
    shown = by_config[SHOWN]
    cells = [
        shown.network,
        f"{shown.macs / 1e6:.2f}",
        *(f"{by_config[config].cycles:,}" for config in CONFIGS),
        f"{100 * shown.utilization:.1f} %",
        *(
            f"{milliseconds(by_config[config].cycles, npu_clock(PRESETS[config]).mhz):.3f}"
            for config in _timed()
        ),
        "yes" if all(m.bit_exact for m in measurements) else "**no**",
    ]
    return f"| {' | '.join(cells)} |"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise MarkerError(f"cannot read {path}: {error.strerror}") from None
