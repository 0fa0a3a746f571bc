"""The kernels beside TFLM, LiteRT's reference kernels and XNNPACK, on whole networks.

All on one thread, alternating in one run, each set up once and then given its inputs and run.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from kernels.prepared.instruction_sets import default
from npu.reference.network import PreparedNetwork
from npu.report.tables import print_line
from rtl.errors import NpuError
from tests.bench.litert import LitertError, LitertProcess
from tests.bench.networks import Network, networks, tflm_inference
from tests.bench.tables import NONE_SIGN, factor, new_table
from tests.bench.timing import Timing, alternate, cpu_ms

PEERS = {"tflm": "TFLM", "litert_reference": "LiteRT ref", "xnnpack": "XNNPACK"}


def run(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Measure every network; returns one record for each."""
    table = new_table(
        f"Kernels ({default().name}) and peers: CPU ms per inference, best of runs, one thread",
        *("network", "ours", *PEERS.values(), *(f"{name} / ours" for name in PEERS.values())),
        "runs",
    )
    records: list[dict[str, Any]] = []
    missing: list[str] = []
    for network in networks(quick=quick):
        try:
            timings = _measure(network, missing, runs=3 if quick else 50)
        except NpuError as error:
            print_line(console, f"{network.name}: {error}", style="bold red")
            records.append({"network": network.name, "error": str(error)})
            continue
        ours = timings["reference"]
        ratios = {name: timings[name].best_ms / ours.best_ms for name in PEERS if name in timings}
        table.add_row(
            network.name,
            *(_best(timings.get(name)) for name in ("reference", *PEERS)),
            *(factor(ratios.get(name)) for name in PEERS),
            str(ours.runs),
        )
        records.append(
            {
                "network": network.name,
                "isa": default().name,
                **{name: timing.record() for name, timing in timings.items()},
                **{f"{name}_over_reference": ratio for name, ratio in ratios.items()},
            }
        )
    console.print(table)
    for message in dict.fromkeys(missing):
        print_line(console, message)
    return records


def _best(timing: Timing | None) -> str:
    return NONE_SIGN if timing is None else f"{timing.best_ms:.3f}"


def _measure(network: Network, missing: list[str], *, runs: int) -> dict[str, Timing]:
    """Timings by name; what is not there for a peer is added to `missing`."""
    graph, inputs = network.graph, network.inputs
    values = [np.ascontiguousarray(inputs[index]) for index in graph.inputs]
    prepared = PreparedNetwork(graph)
    samplers: dict[str, Callable[[], float]] = {
        "reference": partial(cpu_ms, lambda: prepared.run(inputs)),
        "tflm": partial(cpu_ms, tflm_inference(network)),
    }
    with ExitStack() as stack:
        try:
            litert = stack.enter_context(LitertProcess(network.path, values))
            litert.milliseconds("xnnpack")
            samplers["litert_reference"] = partial(litert.milliseconds, "reference")
            samplers["xnnpack"] = partial(litert.milliseconds, "xnnpack")
        except LitertError as error:
            missing.append(str(error))
        timings = alternate(*samplers.values(), runs=runs, seconds=12.0)
    return dict(zip(samplers, timings, strict=True))
