"""The run of a network as JSON, for programs to read."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OutputError
from npu.model.graph import Graph
from npu.offload.result import LayerResult, RunResult, utilization

if TYPE_CHECKING:
    from sim.cycle.accounting import LayerAccount

STDOUT = Path("-")


def run_record(
    graph: Graph,
    result: RunResult,
    *,
    model: str,
    config: str,
    backend: str,
    macs_per_cycle: int,
    bus_bytes: int,
    bit_exact: bool | None,
) -> dict[str, Any]:
    """The record that `npu run --json` writes.

    `model` and `config` are what the user named; `bit_exact` is None when nothing was compared.
    `in_tflm` is the number of operators that TFLM itself executed, which nothing checks.
    `cycles` and `utilization` (0 to 1) are None for a backend that has none. `bound`, `roofline`
    and `engines` (cycles of each engine by cause) are None where the cycle model was not asked.
    `repaired` are the tensors whose stored shapes were corrected, by index.
    """
    return {
        "model": model,
        "config": config,
        "backend": backend,
        "cycles": result.cycles,
        "macs": result.macs,
        "macs_per_cycle": macs_per_cycle,
        "utilization": result.utilization(macs_per_cycle),
        "bit_exact": bit_exact,
        "in_tflm": sum(layer.placed == "CPU (TFLM)" for layer in result.layers),
        "repaired": list(graph.repaired),
        "counters": dict(result.counters),
        **_account_record(result.account, macs_per_cycle, bus_bytes),
        "outputs": [_output_record(graph, i, result.outputs) for i in graph.outputs],
        "layers": [_layer_record(layer, macs_per_cycle, bus_bytes) for layer in result.layers],
    }


def check_output_path(path: Path | None, option: str, *, stdout: bool = False) -> None:
    """Refuse early, before a long run, a file that cannot be written to; None is no file.

    `-` is standard output, where `stdout` says that the option can write there.

    Raises `OutputError`, naming the command-line `option`.
    """
    if path is None:
        return
    if path == STDOUT:
        if stdout:
            return
        raise OutputError(f"{option} cannot write to standard output, a file expected")
    try:
        if path.is_dir():
            raise OutputError(f"{option} '{path}' is a folder, a file expected")
        if not path.parent.is_dir():
            raise OutputError(f"{option} '{path}': the folder '{path.parent}' does not exist")
    except OSError as error:
        raise OutputError(f"{option} '{path}': {error.strerror or error}") from None


def write_json(record: Mapping[str, Any] | list[Any], path: Path) -> None:
    """Write `record` to `path`, or to standard output for `-`.

    Raises `OutputError` when the file cannot be written.
    """
    text = json.dumps(record, indent=2) + "\n"
    if path == STDOUT:
        sys.stdout.write(text)
        # a full disk is told before anything else is
        sys.stdout.flush()
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def _output_record(graph: Graph, index: int, outputs: Mapping[int, NDArray[Any]]) -> dict[str, Any]:
    tensor = graph.tensors[index]
    value = np.asarray(outputs[index])
    quantization = tensor.quantization
    return {
        "name": tensor.name,
        "shape": list(value.shape),
        "dtype": value.dtype.name,
        "scale": None if quantization is None else quantization.scale,
        "zero_point": None if quantization is None else quantization.zero_point,
        "data": value.tolist(),
    }


def _account_record(
    account: "LayerAccount | None", macs_per_cycle: int, bus_bytes: int
) -> dict[str, Any]:
    from npu.report.roofline import bound_by, roofline

    if account is None or not account.cycles:
        return {"bound": None, "roofline": None, "engines": None}
    cause, share = bound_by(account)
    place = roofline(account, macs_per_cycle=macs_per_cycle, bus_bytes=bus_bytes)
    return {
        "bound": {"by": cause, "share": share},
        "roofline": None
        if place is None
        else {
            "macs_per_byte": place.intensity,
            "macs_per_cycle": place.attained,
            "attainable_macs_per_cycle": place.attainable,
            "read_bytes": account.read_bytes,
            "written_bytes": account.written_bytes,
        },
        "engines": {name: getattr(account, name) for name in ("load", "compute", "store")},
    }


def _layer_record(layer: LayerResult, macs_per_cycle: int, bus_bytes: int) -> dict[str, Any]:
    return {
        "index": layer.index,
        "op": layer.kind,
        "placed": layer.placed,
        "reason": layer.reason,
        "macs": layer.macs,
        "cycles": layer.cycles,
        "utilization": utilization(layer.macs, layer.cycles, macs_per_cycle),
        **_account_record(layer.account, macs_per_cycle, bus_bytes),
    }
