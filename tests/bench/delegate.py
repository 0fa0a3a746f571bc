"""What a delegate adds to an invoke: the time of one whose backend does nothing."""

import time
from typing import Any
from unittest.mock import patch

from ai_edge_litert.interpreter import Interpreter
from rich.console import Console

import npu
from npu.tflite_delegate.execution import Arrays, Execution
from tests.bench.networks import networks
from tests.bench.tables import new_table

CALLS = 1000
REPEATS = 7
LIMIT_US = 20.0
"""The time that was asked for."""


class NoBackend:
    """A backend without any work."""

    macs = 0
    on_cpu: tuple[int, ...] = ()

    def run(self, inputs: Arrays, outputs: Arrays) -> int | None:
        return None


def overhead_us(model: bytes) -> tuple[float, int]:
    """Best microseconds of an invoke without backend, and how many segments it calls.

    The operators that the interpreter keeps are in it.
    """

    def nothing(*_: Any) -> Execution:
        return NoBackend()

    delegate = npu.delegate(backend="reference")
    with patch("npu.tflite_delegate.delegate.execution", nothing):
        interpreter = Interpreter(model_content=model, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    interpreter.invoke()
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(CALLS):
            interpreter.invoke()
        best = min(best, (time.perf_counter() - start) / CALLS)
    return 1e6 * best, len(delegate.report().segments)


def run(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Measure every network; returns one record for each."""
    table = new_table(
        f"An invoke of LiteRT with a delegate that does nothing; at most {LIMIT_US:.0f} us asked",
        *("network", "us", "segments"),
    )
    records: list[dict[str, Any]] = []
    for network in networks(quick=quick):
        best, segments = overhead_us(network.graph.file)
        table.add_row(network.name, f"{best:.1f}", str(segments))
        records.append({"network": network.name, "us": best, "segments": segments})
    console.print(table)
    return records
