"""What becomes of a file on every backend and configuration, judged by what TFLM makes of it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from numpy.typing import NDArray

from npu.errors import GoldenError
from npu.golden import TFLM, Comparison, compare, run_golden
from npu.inference import compare_with_golden, golden_name, infer
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.backends import BackendName
from npu.offload.result import RunResult
from npu.offload.simulators import Log
from npu.tflm_process import PROCESS, REFUSED
from rtl.config import PRESETS, NpuConfig
from rtl.errors import NpuError

BACKENDS: tuple[BackendName, ...] = ("reference", "functional", "cycle")
CONFIGS: Mapping[str, NpuConfig] = {name: PRESETS[name] for name in ("npu32", "npu64", "npu256")}
# of files that are not read here, whose need nobody knows
ARENA_BYTES = 64 << 20

Values = Mapping[int, NDArray[Any]]


@dataclass(frozen=True)
class Verdict:
    """One file.

    Attributes
    ----------
    golden : what TFLM refuses it with; empty when it runs.
    failures : what went wrong here, by backend and configuration; empty when all are bit-exact.
        `reading` is the one of a file that is not read here.
    macs, npu_macs : useful MACs, and those on the NPU of the last configuration.
    cycles : of that NPU by configuration, as far as a backend that was asked has them.
    cpu_macs : MACs on the CPU beside the last one, by kind of operator and reason.
    not_checked : operators that TFLM itself executed, so that nothing checks them.
    """

    golden: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)
    macs: int = 0
    npu_macs: int = 0
    cycles: Mapping[str, int] = field(default_factory=dict)
    cpu_macs: Mapping[str, int] = field(default_factory=dict)
    not_checked: int = 0

    @property
    def ran(self) -> bool:
        """Whether TFLM runs it, so that it has to run here."""
        return not self.golden

    @property
    def npu_share(self) -> float:
        """The NPU's part of all MACs, from 0 to 1; 1 without any."""
        return self.npu_macs / self.macs if self.macs else 1.0

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def judge(
    model: bytes,
    configs: Mapping[str, NpuConfig] = CONFIGS,
    backends: Sequence[BackendName] = BACKENDS,
    *,
    log: Log | None = None,
) -> Verdict:
    """Run the file `model` on random inputs in TFLM and, where TFLM runs it, on all `backends`.

    Every tensor that exists is compared. `reference`, which knows no hardware but how it rounds, is
    run for the first of `configs` only. Where one rounds otherwise than TFLM, its backends are
    compared with the kernels.

    Parameters
    ----------
    configs : hardware by name, one or more.
    log : called with one line about each step of building a simulator.

    Raises `GoldenError` when TFLM's interpreter is not installed.
    """
    try:
        graph = read_model_bytes(model, "surveyed")
        inputs = load_inputs([], graph)
    except NpuError as error:
        return Verdict(golden=_refusal(model), failures={"reading": str(error)})
    try:
        expected = run_golden(graph.file, graph, inputs)
    except GoldenError as error:
        return Verdict(golden=_own_words(error))
    failures: dict[str, str] = {}
    runs: dict[str, RunResult] = {}

    def attempt(name: str, check: Callable[[], tuple[RunResult, Comparison | None]]) -> None:
        try:
            runs[name], found = check()
            if found is not None and found.bit_exact is False:
                failures[name] = str(found.mismatches[0]) if found.mismatches else found.summary
        except NpuError as error:
            failures[name] = str(error)

    for number, (name, config) in enumerate(configs.items()):
        for backend in backends:
            if backend != "reference" or number == 0:
                key = backend if backend == "reference" else f"{backend} {name}"
                attempt(key, partial(_check, graph, inputs, expected, backend, config, log))
    return _verdict(failures, runs)


def _check(
    graph: Graph,
    inputs: Values,
    expected: Values,
    backend: BackendName,
    config: NpuConfig,
    log: Log | None,
) -> tuple[RunResult, Comparison | None]:
    result = infer(
        graph,
        inputs,
        config=config,
        backend=backend,
        # the others would compute the same once more
        keep_intermediates=backend in ("functional", "rtl"),
        log=log,
    )
    name = golden_name(config, backend)
    if name is None:
        return result, None
    if name != TFLM:
        return result, compare_with_golden(graph, inputs, result, config=config, backend=backend)
    values = {**result.values, **result.outputs}
    executed = [layer.index for layer in result.layers if layer.placed == "CPU (TFLM)"]
    return result, compare(graph, expected, values, not_checked=executed)


def _verdict(failures: Mapping[str, str], runs: Mapping[str, RunResult]) -> Verdict:
    if not runs:
        return Verdict(failures=failures)
    last = list(runs.values())[-1]
    on_cpu: Counter[str] = Counter()
    for layer in last.layers:
        if layer.placed != "NPU" and layer.macs:
            on_cpu[f"{layer.kind}: {layer.reason}"] += layer.macs
    return Verdict(
        failures=failures,
        macs=last.macs,
        npu_macs=last.npu_macs,
        cycles={
            name.split(" ", 1)[1]: run.cycles
            for name, run in runs.items()
            if run.cycles is not None
        },
        cpu_macs=dict(on_cpu),
        not_checked=sum(layer.placed == "CPU (TFLM)" for layer in last.layers),
    )


def _refusal(model: bytes) -> str:
    """What TFLM says of a file that is not read here; empty when it runs it."""
    try:
        PROCESS.run(model, [], [], ARENA_BYTES)
    except GoldenError as error:
        return _own_words(error)
    return ""


def _own_words(error: GoldenError) -> str:
    """What TFLM said; an interpreter that is missing says nothing about a file."""
    if not str(error).startswith(REFUSED):
        raise error
    return str(error).removeprefix(REFUSED)
