"""Speed of the simulators: RTL cycles per CPU-second, the time to build, functional run times."""

import os
import resource
import tempfile
import time
from typing import Any

from rich.console import Console

from npu.offload.network import CompiledNetwork
from npu.report.tables import print_line
from rtl.config import PRESETS
from sim.cache import CACHE_VARIABLE
from sim.functional.simulator import FunctionalSimulator
from sim.rtl_runner.build import simulator_library
from tests.bench.measure import Machine
from tests.bench.networks import Network, networks
from tests.bench.tables import NONE_SIGN, new_table
from tests.bench.timing import repeat

CONFIGS = ("npu64", "npu128", "npu256")
BUILD_CONFIG = "npu256"
ASKED_CYCLES_PER_SECOND = {"npu256": 1_000_000}


def run(console: Console, *, quick: bool) -> dict[str, Any]:
    """Measure; returns `rtl` and `functional` (lists of records) and `build` (None if quick)."""
    chosen = networks(quick=True)
    return {
        "rtl": _rtl(console, chosen, ("npu256",) if quick else CONFIGS, runs=3 if quick else 15),
        "functional": _functional(console, chosen, runs=3 if quick else 10),
        "build": None if quick else _build(console),
    }


def _rtl(
    console: Console, chosen: list[Network], configs: tuple[str, ...], runs: int
) -> list[dict[str, Any]]:
    table = new_table(
        "RTL simulation: million cycles per CPU-second, whole runs with all set-up",
        *("network", "config", "1000 cycles", "best", "median", "asked", "best ms", "runs"),
    )
    records = []
    for config in configs:
        machine = Machine(config)
        for network in chosen:
            work = programs_with_inputs(network, config)
            cycles = sum(machine.rtl.run(p, x).cycles or 0 for p, x in work)
            (timing,) = repeat(
                lambda work=work, machine=machine: [machine.rtl.run(p, x) for p, x in work],  # type: ignore[misc]
                runs=runs,
            )
            best, median = (1000 * cycles / ms for ms in (timing.best_ms, timing.median_ms))
            asked = ASKED_CYCLES_PER_SECOND.get(config)
            table.add_row(
                *(network.name, config, f"{cycles / 1000:,.1f}"),
                *(f"{best / 1e6:.2f}", f"{median / 1e6:.2f}"),
                NONE_SIGN if asked is None else f"{asked / 1e6:.2f}",
                *(f"{timing.best_ms:,.1f}", str(timing.runs)),
            )
            records.append(
                {
                    "network": network.name,
                    "config": config,
                    "cycles": cycles,
                    "best_cycles_per_cpu_second": best,
                    "median_cycles_per_cpu_second": median,
                    "asked": asked,
                    **timing.record(),
                }
            )
    console.print(table)
    return records


def _functional(console: Console, chosen: list[Network], runs: int) -> list[dict[str, Any]]:
    table = new_table("Functional simulator: CPU ms per inference", "network", "best", "median")
    records = []
    simulator = FunctionalSimulator(PRESETS["npu256"])
    for network in chosen:
        work = programs_with_inputs(network, "npu256")
        (timing,) = repeat(
            lambda work=work: [simulator.run(p, x) for p, x in work],  # type: ignore[misc]
            runs=runs,
        )
        table.add_row(network.name, f"{timing.best_ms:.2f}", f"{timing.median_ms:.2f}")
        records.append({"network": network.name, "config": "npu256", **timing.record()})
    console.print(table)
    return records


def _build(console: Console) -> dict[str, Any]:
    """Build one simulator with nothing cached: Verilog, Verilator's runtime and all."""
    saved = os.environ.get(CACHE_VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE] = folder
        try:
            before, begin = _cpu_seconds(), time.monotonic()
            simulator_library(PRESETS[BUILD_CONFIG])
            wall, cpu = time.monotonic() - begin, _cpu_seconds() - before
        finally:
            if saved is None:
                del os.environ[CACHE_VARIABLE]
            else:
                os.environ[CACHE_VARIABLE] = saved
    print_line(
        console,
        f"cold build of {BUILD_CONFIG}'s simulator: {wall:.0f} s, {cpu:.0f} CPU-seconds",
    )
    return {"config": BUILD_CONFIG, "wall_seconds": wall, "cpu_seconds": cpu}


def programs_with_inputs(network: Network, config: str) -> list[tuple[Any, Any]]:
    """The segments' programs, each with the inputs that it gets in an inference."""
    work: list[tuple[Any, Any]] = []
    simulator = FunctionalSimulator(PRESETS[config])

    def record(program: Any, inputs: Any, progress: Any) -> Any:
        work.append((program, inputs))
        return simulator.run(program, inputs)

    CompiledNetwork(network.graph, PRESETS[config]).run(network.inputs, record)
    return work


def _cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
