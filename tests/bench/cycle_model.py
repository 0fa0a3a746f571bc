"""The cycle model beside the RTL: the same cycles and counters, how much faster."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from rich.console import Console

from rtl.errors import NpuError
from sim.cycle import simulate
from sim.memory import MemoryConfig
from sim.program import Program
from tests.bench.measure import Machine
from tests.bench.networks import networks
from tests.bench.simulators import programs_with_inputs
from tests.bench.tables import factor, new_table
from tests.bench.timing import repeat

CONFIGS = ("npu64", "npu256")
ASKED_FACTOR = 20
ASKED_MS = {"mlperf_ic_resnet8": 2.0, "tflm_mobilenet_v2_224": 60.0}
"""On npu256."""


def run(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Measure; returns one record per network and configuration."""
    records = []
    memory = MemoryConfig()
    for config in ("npu256",) if quick else CONFIGS:
        machine = Machine(config, memory)
        table = new_table(
            f"{config}: cycle model and RTL simulation in one run, CPU ms per inference;"
            " new: with decoding and checking a program that was not seen before",
            *("network", "1000 cycles", "equal", "RTL", "model", "factor", "new", "factor"),
            *("asked", "ms asked"),
        )
        for network in networks(quick=quick):
            try:
                work = programs_with_inputs(network, config)
            except NpuError:
                continue
            programs = [program for program, _ in work]
            results = [machine.rtl.run(program, inputs) for program, inputs in work]
            counters = [simulate(program, memory).counters for program in programs]
            equal = counters == [result.counters for result in results]
            rtl, model, fresh = repeat(
                lambda work=work, machine=machine: [  # type: ignore[misc]
                    machine.rtl.run(program, inputs) for program, inputs in work
                ],
                _times(programs, memory),
                _times(programs, memory, copy=True),
                runs=3 if quick else 15,
                seconds=12.0,
            )
            cycles = sum(result.cycles or 0 for result in results)
            asked = ASKED_MS.get(network.name) if config == "npu256" else None
            table.add_row(
                *(network.name, f"{cycles / 1000:,.1f}", "yes" if equal else "NO"),
                *(f"{rtl.best_ms:,.1f}", f"{model.best_ms:.2f}"),
                *(factor(rtl.best_ms / model.best_ms), f"{fresh.best_ms:.2f}"),
                *(factor(rtl.best_ms / fresh.best_ms), factor(ASKED_FACTOR)),
                "" if asked is None else f"{asked:.0f}",
            )
            records.append(
                {
                    "network": network.name,
                    "config": config,
                    "cycles": cycles,
                    "equal": equal,
                    "rtl": rtl.record(),
                    "model": model.record(),
                    "new": fresh.record(),
                    "asked_factor": ASKED_FACTOR,
                    "asked_ms": asked,
                }
            )
        console.print(table)
    return records


def _times(
    programs: list[Program], memory: MemoryConfig, copy: bool = False
) -> Callable[[], object]:
    """Time all programs; as copies, nothing that is known of them helps."""
    return lambda: [simulate(replace(p) if copy else p, memory) for p in programs]
