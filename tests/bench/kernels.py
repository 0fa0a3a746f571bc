"""The reference kernels beside TFLM's, both on whole networks, alternating in one process."""

from typing import Any

import numpy as np
from rich.console import Console
from tflite_micro import runtime

from npu.reference import run_reference
from npu.report import print_line
from rtl.errors import NpuError
from tests.bench.networks import networks
from tests.bench.tables import factor, new_table
from tests.bench.timing import repeat

_MIN_ARENA_BYTES = 4 << 20


def run(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Measure every network; returns one record for each."""
    table = new_table(
        "Reference backend and TFLM wheel: CPU ms per inference, one thread",
        *("network", "ours, best", "median", "TFLM, best", "median", "TFLM / ours", "runs"),
    )
    records: list[dict[str, Any]] = []
    for network in networks(quick=quick):
        try:
            graph, inputs = network.graph, network.inputs
            content = network.path.read_bytes()
            interpreter = runtime.Interpreter.from_bytes(
                content, arena_size=max(_MIN_ARENA_BYTES, 10 * len(content))
            )

            def tflm(interpreter: Any = interpreter, graph: Any = graph, x: Any = inputs) -> None:
                for position, index in enumerate(graph.inputs):
                    interpreter.set_input(np.ascontiguousarray(x[index]), position)
                interpreter.invoke()

            ours, theirs = repeat(
                lambda graph=graph, x=inputs: run_reference(graph, x),  # type: ignore[misc]
                tflm,
                runs=3 if quick else 50,
                seconds=6.0,
            )
        except NpuError as error:
            print_line(console, f"{network.name}: {error}", style="bold red")
            records.append({"network": network.name, "error": str(error)})
            continue
        ratio = theirs.best_ms / ours.best_ms
        table.add_row(
            network.name,
            *(f"{ms:.2f}" for t in (ours, theirs) for ms in (t.best_ms, t.median_ms)),
            factor(ratio),
            str(ours.runs),
        )
        records.append(
            {
                "network": network.name,
                "reference": ours.record(),
                "tflm": theirs.record(),
                "tflm_over_reference": ratio,
            }
        )
    console.print(table)
    return records
