"""How long a network takes to compile, and what comes out."""

from typing import Any

from rich.console import Console

from npu.offload.network import CompiledNetwork
from npu.report.tables import print_line
from rtl.config import PRESETS
from rtl.errors import NpuError
from sim.command_table import decode_table
from tests.bench.networks import networks
from tests.bench.tables import new_table
from tests.bench.timing import repeat

CONFIG = "npu256"


def run(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Compile every network; returns one record for each."""
    table = new_table(
        f"Compile time for {CONFIG}: CPU ms, and the programs in bytes",
        *("network", "best", "median", "segments", "commands", "command B", "constants B"),
        "arena B",
    )
    records: list[dict[str, Any]] = []
    for network in networks(quick=quick):
        try:
            graph = network.graph
            (timing,) = repeat(
                lambda graph=graph: CompiledNetwork(graph, PRESETS[CONFIG]).programs,  # type: ignore[misc]
                runs=3,
            )
            programs = list(CompiledNetwork(graph, PRESETS[CONFIG]).programs.values())
        except NpuError as error:
            print_line(console, f"{network.name}: {error}", style="bold red")
            records.append({"network": network.name, "error": str(error)})
            continue
        sizes = {
            "segments": len(programs),
            "commands": sum(len(decode_table(p.commands)) for p in programs),
            "command_bytes": sum(p.commands.nbytes for p in programs),
            "constant_bytes": sum(p.constants.nbytes for p in programs),
            "arena_bytes": sum(p.arena_bytes for p in programs),
        }
        table.add_row(
            network.name,
            f"{timing.best_ms:,.0f}",
            f"{timing.median_ms:,.0f}",
            *(f"{size:,}" for size in sizes.values()),
        )
        records.append({"network": network.name, "config": CONFIG, **timing.record(), **sizes})
    console.print(table)
    return records
