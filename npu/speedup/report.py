"""A comparison as a table and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from npu.report import print_line
from npu.speedup.measure import Entry
from npu.speedup.rungs import NPU_RUNG

LAYOUT_NOISE = "Where the linker places code and data changes a CPU's cycles by about 5 %."
PUBLISHED = "publications tend to quote; it says more about the baseline than about the NPU"


def npu_entry(entries: Sequence[Entry]) -> Entry:
    """The one with the NPU."""
    return next(entry for entry in entries if entry.rung.with_npu)


def speedup(entry: Entry, entries: Sequence[Entry]) -> float:
    """How many times fewer cycles the network takes with the NPU than on this rung."""
    return entry.measurement.cycles / npu_entry(entries).measurement.cycles


def speedup_record(
    entries: Sequence[Entry], *, model: str, config: str, wait_states: int, macs: int
) -> dict[str, Any]:
    """The record that `npu speedup --json` writes.

    `cycles` are of the whole network; `npu_cycles` those of the rung with the NPU, everything
    included, and `npu_busy_cycles` the part in which it worked.
    """
    with_npu = npu_entry(entries).measurement
    return {
        "model": model,
        "config": config,
        "wait_states": wait_states,
        "macs": macs,
        "npu_cycles": with_npu.cycles,
        "npu_busy_cycles": with_npu.npu_cycles,
        "bit_exact": True,
        "speedup": {e.rung.name: speedup(e, entries) for e in entries if not e.rung.with_npu},
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
    console: Console, entries: Sequence[Entry], *, config: str, wait_states: int, macs: int
) -> None:
    """The table, the headline, and what has to be said beside them."""
    console.print(_table(entries, config, macs))
    for line in _lines(entries, config, wait_states):
        print_line(console, line)


def _table(entries: Sequence[Entry], config: str, macs: int) -> Table:
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in ("cycles", "cycles/MAC", "NPU speedup", "code", "RAM", "measured"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        measurement = entry.measurement
        ratio = "" if entry.rung.with_npu else f"{speedup(entry, entries):,.1f}x"
        if not entry.rung.headline:
            ratio = f"({ratio})"
        table.add_row(
            entry.rung.name.replace("NPU", config, 1) if entry.rung.with_npu else entry.rung.name,
            f"{measurement.cycles:,}",
            f"{measurement.cycles / macs:.3f}" if macs else "",
            ratio,
            _kib(measurement.code_bytes),
            _kib(measurement.ram_bytes),
            "cached" if entry.cached else "now",
        )
    return table


def _kib(count: int) -> str:
    return f"{count / 1024:.1f} KiB"


def _lines(entries: Sequence[Entry], config: str, wait_states: int) -> list[str]:
    with_npu = npu_entry(entries).measurement
    headline = [e for e in entries if e.rung.headline and not e.rung.with_npu]
    ratios = ", ".join(f"{speedup(e, entries):,.1f}x over {e.rung.name}" for e in headline)
    quoted = next(e for e in entries if not e.rung.headline)
    busy = with_npu.npu_cycles / with_npu.cycles
    lines = [
        f"Whole network at equal clock: {ratios}.",
        f"The NPU works in {busy:.0%} of the cycles of {NPU_RUNG.name}; driver and operators on the"
        " CPU are included.",
        f"In brackets, {quoted.rung.name} ({speedup(quoted, entries):,.1f}x): what {PUBLISHED}.",
        f"All rungs run in RTL simulation, their outputs are bit-exact with the reference kernels."
        f" Memories: {wait_states} wait states for CPUs and NPU alike. {LAYOUT_NOISE}",
    ]
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
