"""What becomes of one file: what TFLM says, what every backend says, and where its MACs ran."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from npu.errors import GoldenError
from npu.golden import compare, run_golden
from npu.inference import infer
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.backends import BackendName
from npu.offload.result import RunResult
from rtl.config import PRESETS
from rtl.errors import NpuError

ARENA_BYTES = 64 << 20
TRACEBACK = "Traceback (most recent call last):"
CONFIGURATIONS = ("npu32", "npu64", "npu256")
SIMULATED: tuple[BackendName, ...] = ("functional", "cycle")


@dataclass(frozen=True)
class Verdict:
    """One network in one form.

    Attributes
    ----------
    golden : what TFLM refuses it with; empty when it runs.
    failures : what went wrong here, by backend and configuration; empty when all are bit-exact.
    macs, npu_macs : useful MACs, and those on the last of `CONFIGURATIONS`.
    cycles : there, None without any operator on the NPU.
    cpu_macs : MACs on its CPU by the reason for it.
    """

    golden: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)
    macs: int = 0
    npu_macs: int = 0
    cycles: int | None = None
    cpu_macs: Mapping[str, int] = field(default_factory=dict)

    @property
    def ran(self) -> bool:
        """Whether TFLM runs it, so that it has to run here."""
        return not self.golden

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def judge(model: bytes) -> Verdict:
    """Run `model` in TFLM and, where TFLM runs it, on every backend and configuration."""
    try:
        graph = read_model_bytes(model, "converted")
        inputs = load_inputs([], graph)
    except NpuError as error:
        return Verdict(golden=_refusal(model), failures={"reading": str(error)})
    try:
        expected = run_golden(graph.file, graph, inputs)
    except GoldenError as error:
        return Verdict(golden=str(error))
    failures: dict[str, str] = {}
    runs: dict[str, RunResult] = {}

    def attempt(name: str, run: Callable[[], RunResult]) -> None:
        try:
            runs[name] = result = run()
            found = compare(graph, expected, {**result.values, **result.outputs})
            if not found.bit_exact:
                failures[name] = str(found.mismatches[0]) if found.mismatches else found.summary
        except NpuError as error:
            failures[name] = str(error)

    attempt("reference", partial(_run, graph, inputs, "reference", CONFIGURATIONS[0]))
    for name in CONFIGURATIONS:
        for backend in SIMULATED:
            attempt(f"{backend} {name}", partial(_run, graph, inputs, backend, name))
    return _verdict(failures, runs.get(f"cycle {CONFIGURATIONS[-1]}"))


def _run(
    graph: Graph, inputs: Mapping[int, Any], backend: BackendName, configuration: str
) -> RunResult:
    return infer(
        graph,
        inputs,
        config=PRESETS[configuration],
        backend=backend,
        keep_intermediates=backend == "functional",
    )


def _verdict(failures: Mapping[str, str], run: RunResult | None) -> Verdict:
    if run is None:
        return Verdict(failures=failures)
    on_cpu: Counter[str] = Counter()
    for layer in run.layers:
        if layer.placed == "CPU" and layer.macs:
            on_cpu[f"{layer.kind}: {layer.reason}"] += layer.macs
    return Verdict(
        failures=failures,
        macs=run.macs,
        npu_macs=run.npu_macs,
        cycles=run.cycles,
        cpu_macs=dict(on_cpu),
    )


def _refusal(model: bytes) -> str:
    """What TFLM says of a file that is not read here; empty when it runs it."""
    script = (
        "import sys; from tflite_micro import runtime;"
        f"runtime.Interpreter.from_bytes(sys.stdin.buffer.read(), arena_size={ARENA_BYTES}).invoke()"
    )
    run = subprocess.run([sys.executable, "-c", script], input=model, capture_output=True)
    said = [line.strip() for line in run.stderr.decode(errors="replace").strip().splitlines()]
    native = [line for line in said[: said.index(TRACEBACK) if TRACEBACK in said else None] if line]
    reason = "; ".join(native) or (said[-1] if TRACEBACK in said else "it crashed")
    return f"TFLM does not run this model: {reason}" if run.returncode else ""
