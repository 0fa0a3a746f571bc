"""A comparison as a table and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from npu.model.graph import Graph
from npu.report.record import hardware_record, model_record, record_header
from npu.report.tables import NARROW_COLUMNS, print_line
from npu.speedup.clocks import clock_lines, own_clocks
from npu.speedup.measure import Entry
from npu.speedup.rungs import NPU_RUNG
from rtl.config import NpuConfig

# measured: the kws network of MLPERF Tiny, optimized kernels, code and arena moved and sources
# linked in another order
LAYOUT_NOISE = (
    "Where code and data lie changes a CPU's cycles too: by 1.5 % between 9 placements of one"
    " network, and 5 % has been seen."
)
PUBLISHED = "publications tend to quote, a statement about the baseline"


def npu_entry(entries: Sequence[Entry]) -> Entry:
    """The one with the NPU."""
    return next(entry for entry in entries if entry.rung.with_npu)


def speedup(entry: Entry, entries: Sequence[Entry]) -> float:
    """How many times fewer cycles the network takes with the NPU than on this rung."""
    return entry.measurement.cycles / npu_entry(entries).measurement.cycles


def speedup_record(
    entries: Sequence[Entry],
    graph: Graph,
    *,
    model: str,
    config: str,
    hardware: NpuConfig,
    wait_states: int,
) -> dict[str, Any]:
    """The record that `npu speedup --json` writes; `config` names `hardware`.

    `cycles` are of the whole network; `npu_cycles` those of the rung with the NPU, everything
    included, and `npu_busy_cycles` the part in which it worked. `speedup` is at equal clock,
    `speedup_at_own_clocks` None where `clocks` are not all measured.
    """
    with_npu = npu_entry(entries).measurement
    clocks = own_clocks(entries, hardware)
    rivals = [e for e in entries if not e.rung.with_npu]
    own = clocks.milliseconds(npu_entry(entries))
    return {
        **record_header("speedup"),
        **model_record(graph, model),
        **hardware_record(config, hardware),
        "wait_states": wait_states,
        "macs": graph.total_macs,
        "npu_cycles": with_npu.cycles,
        "npu_busy_cycles": with_npu.npu_cycles,
        "bit_exact": True,
        "speedup": {e.rung.name: speedup(e, entries) for e in rivals},
        "clocks": {
            "measured_on": clocks.npu.target if clocks.measured else None,
            "npu_mhz": clocks.npu.mhz,
            "system_mhz": clocks.system.mhz,
            "cores_mhz": clocks.cores,
        },
        "npu_milliseconds": own,
        "speedup_at_own_clocks": {e.rung.name: clocks.milliseconds(e) / own for e in rivals}
        if clocks.measured
        else None,
        "rungs": [_rung_record(entry, entries) for entry in entries],
    }


def _rung_record(entry: Entry, entries: Sequence[Entry]) -> dict[str, Any]:
    measurement = entry.measurement
    return {
        "name": entry.rung.name,
        "core": entry.rung.core.name,
        "core_version": measurement.core_version,
        "kernels": entry.rung.kernels,
        "npu": entry.rung.with_npu,
        "headline": entry.rung.headline and not entry.rung.with_npu,
        "cycles": measurement.cycles,
        "speedup": speedup(entry, entries),
        "cached": entry.cached,
        "compiler": measurement.compiler,
        "flags": measurement.flags,
        "code_bytes": measurement.code_bytes,
        "ram_bytes": measurement.ram_bytes,
        "image_bytes": measurement.image_bytes,
    }


def print_speedup(
    console: Console,
    entries: Sequence[Entry],
    *,
    config: str,
    hardware: NpuConfig,
    wait_states: int,
    macs: int,
) -> None:
    """The table, the headline, and what has to be said beside them; `config` names `hardware`."""
    console.print(_table(entries, macs, narrow=console.width < NARROW_COLUMNS))
    for line in _lines(entries, config, hardware, wait_states):
        print_line(console, line)


def _table(entries: Sequence[Entry], macs: int, *, narrow: bool) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    # on a narrow terminal names are folded, never figures cut
    table.add_column("", overflow="fold", min_width=14)
    names: tuple[str, ...] = ("cycles", "NPU\nspeedup", "measured")
    if not narrow:
        names = ("cycles", "cycles\nper MAC", "NPU\nspeedup", "code\nKiB", "RAM\nKiB", "measured")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        measurement = entry.measurement
        ratio = "" if entry.rung.with_npu else f"{speedup(entry, entries):,.1f}x"
        if not entry.rung.headline:
            ratio = f"({ratio})"
        cells = {
            "cycles": f"{measurement.cycles:,}",
            "cycles\nper MAC": f"{measurement.cycles / macs:.3f}" if macs else "",
            "NPU\nspeedup": ratio,
            "code\nKiB": _kib(measurement.code_bytes),
            "RAM\nKiB": _kib(measurement.ram_bytes),
            "measured": "cached" if entry.cached else "now",
        }
        table.add_row(entry.rung.name, *(cells[name] for name in names))
    return table


def _kib(count: int) -> str:
    return f"{count / 1024:,.1f}"


def _lines(
    entries: Sequence[Entry], config: str, hardware: NpuConfig, wait_states: int
) -> list[str]:
    with_npu = npu_entry(entries).measurement
    headline = [e for e in entries if e.rung.headline and not e.rung.with_npu]
    ratios = ", ".join(f"{speedup(e, entries):,.1f}x over {e.rung.name}" for e in headline)
    quoted = next(e for e in entries if not e.rung.headline)
    busy = with_npu.npu_cycles / with_npu.cycles
    own_kib = hardware.scratchpad_kib + hardware.weight_buffer_kib
    lines = [
        f"Whole network at equal clock, {config}: {ratios}.",
        *clock_lines(entries, hardware),
        f"In brackets {quoted.rung.name} ({speedup(quoted, entries):,.1f}x): what {PUBLISHED}.",
        f"{NPU_RUNG.name}: one simulation, driver and the operators on the CPU included; the NPU"
        f" works in {busy:.0%} of the cycles. Its own {own_kib} KiB are not in RAM.",
        "All rungs run in RTL simulation; their outputs are bit-exact with the reference kernels.",
        f"Memories of {wait_states} wait states for CPUs and NPU alike. {LAYOUT_NOISE}",
    ]
    if wait_states:
        lines.append(
            "VexRiscv's caches and the NPU's bursts spread wait states over many bytes; CV32E40P"
            " has no caches and pays at every fetch and access."
        )
    for core in dict.fromkeys(entry.rung.core for entry in entries):
        own = [entry for entry in entries if entry.rung.core is core]
        versions = sorted({f"{core.package} {e.measurement.core_version}" for e in own})
        lines.append(f"{core.title}: {', '.join(versions)}")
        for flags in dict.fromkeys((e.measurement.compiler, e.measurement.flags) for e in own):
            lines.append(f"  {': '.join(flags)}")
    cached = [entry.rung.name for entry in entries if entry.cached]
    if cached:
        lines.append(f"From the cache: {', '.join(cached)}. --rebuild measures again.")
    return lines
