"""One inference of a network on the backend of the user's choice, and its check."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.errors import GoldenError, OutputError
from npu.golden import TFLM, Comparison, compare, run_golden
from npu.model.graph import Graph
from npu.offload.backends import TIMED_BACKENDS, BackendName
from npu.offload.reference_backend import run_on_reference
from npu.offload.result import RunResult
from npu.offload.runner import run_network
from npu.offload.simulators import Log, Progress
from npu.reference.network import run_reference
from rtl.config import NpuConfig
from sim.memory import MemoryConfig
from sim.waves import Waves


def infer(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    *,
    config: NpuConfig,
    backend: BackendName,
    memory: MemoryConfig | None = None,
    keep_intermediates: bool = False,
    trace: Path | None = None,
    waves: Waves | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
) -> RunResult:
    """Run `graph` once.

    Parameters
    ----------
    inputs : every input by tensor index.
    config : the hardware; of it, `reference` takes only how it rounds.
    backend : see `npu.offload.backends`.
    memory : timing of the external memory; `reference` has none.
    keep_intermediates : also return every intermediate tensor, as `reference` always does.
    trace : write a timeline of all commands there (`cycle` and `rtl`).
    waves : write the values of all signals there (`rtl`).
    progress : called with commands done and commands in total.
    log : called with one line about each step of building a simulator.

    Raises
    ------
    OutputError : a trace or waves of a backend that has none.
    NpuError : the network cannot be run; the message says why.
    """
    if trace is not None and backend not in TIMED_BACKENDS:
        raise OutputError(f"a trace needs the backend cycle or rtl, {backend} has no time")
    if waves is not None and backend != "rtl":
        raise OutputError(f"waves need the backend rtl, {backend} has no signals")
    if backend == "reference":
        return run_on_reference(graph, inputs, Rounding.named(config.rounding))
    return run_network(
        graph,
        inputs,
        config=config,
        backend=backend,
        memory=memory,
        keep_intermediates=keep_intermediates,
        progress=progress,
        trace=trace,
        account=True,
        waves=waves,
        log=log,
    )


def golden_name(config: NpuConfig, backend: BackendName) -> str | None:
    """What a run is compared with: TFLM, or the kernels where the hardware rounds otherwise.

    None where nothing is left to compare with: the reference is these kernels.
    """
    if Rounding.named(config.rounding) == Rounding.DOUBLE:
        return TFLM
    return None if backend == "reference" else f"the kernels ({config.rounding} rounding)"


def compare_with_golden(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    result: RunResult,
    *,
    config: NpuConfig,
    backend: BackendName,
) -> Comparison:
    """Compare a run with what `golden_name` says, tensor by tensor.

    Parameters
    ----------
    result : of `infer` with the same arguments; with `keep_intermediates` every tensor is compared.

    Raises
    ------
    GoldenError : there is nothing to compare with, or TFLM does not run the model.
    """
    name = golden_name(config, backend)
    if name is None:
        raise GoldenError(
            f"nothing to compare the reference with: {TFLM} rounds as double, not as"
            f" {config.rounding}"
        )
    values = {**result.values, **result.outputs}
    if name == TFLM:
        executed = [layer.index for layer in result.layers if layer.placed == "CPU (TFLM)"]
        return compare(graph, run_golden(graph.file, graph, inputs), values, not_checked=executed)
    golden = run_reference(graph, inputs, rounding=Rounding.named(config.rounding))
    return compare(graph, golden, values, name=name)
