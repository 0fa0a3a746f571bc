"""The run of a network as JSON, for programs to read."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OutputError
from npu.model.graph import Graph
from npu.offload.backends import TIMED_BACKENDS, BackendName
from npu.offload.result import LayerResult, RunResult, utilization
from npu.version import PACKAGE, tool_version
from rtl.config import NpuConfig
from sim.memory import MemoryConfig

if TYPE_CHECKING:
    from sim.cycle.accounting import LayerAccount

STDOUT = Path("-")
SCHEMA_VERSION = 1
"""Of all records: raised when a key changes its meaning or goes; keys may be added."""


@dataclass(frozen=True, kw_only=True)
class RunSetting:
    """What a run depends on, as its record says it.

    Parameters
    ----------
    model, config, inputs : what the user named; `inputs` is empty for `random:0`.
    resized : whether images of other sizes were allowed.
    hardware : what `config` names.
    backend : what ran it. memory : the external memory.
    clock_mhz, clock_origin : what turns cycles into time, and where that comes from.
    """

    model: str
    config: str
    hardware: NpuConfig
    backend: BackendName
    memory: MemoryConfig
    clock_mhz: float
    clock_origin: str
    inputs: tuple[str, ...] = ()
    resized: bool = False


def record_header(kind: str) -> dict[str, Any]:
    """What every record begins with: its schema (`npu-run`, ...), that one's version, the tool."""
    return {
        "schema": f"npu-{kind}",
        "schema_version": SCHEMA_VERSION,
        "tool": PACKAGE,
        "tool_version": tool_version(),
    }


def hardware_record(config: str, hardware: NpuConfig) -> dict[str, Any]:
    """A configuration by the name that the user gave it, and every parameter."""
    return {
        "config": config,
        "config_id": hardware.config_id,
        "parameters": hardware.to_dict(),
        "macs_per_cycle": hardware.macs_per_cycle,
    }


def model_record(graph: Graph, model: str) -> dict[str, Any]:
    """The name of a network's file, and what is in it: None for a graph that is of no file."""
    return {"model": model, "model_sha256": sha256(graph.file).hexdigest() if graph.file else None}


def run_record(
    graph: Graph,
    result: RunResult,
    setting: RunSetting,
    *,
    bit_exact: bool | None,
) -> dict[str, Any]:
    """The record that `npu run --json` writes, with all that is needed to run it again.

    `bit_exact` is None when nothing was compared. `clock` and `milliseconds` are None for a
    backend without time, and so is `memory`. `in_tflm` is the number of operators that TFLM itself
    executed, which nothing checks.
    `cycles` and `utilization` (0 to 1) are None for a backend that has none. `bound`, `roofline`
    and `engines` (cycles of each engine by cause) are None where the cycle model was not asked.
    `repaired` are the tensors whose stored shapes were corrected, by index.
    """
    hardware = setting.hardware
    macs_per_cycle, bus_bytes = hardware.macs_per_cycle, hardware.bus_bytes
    timed = setting.backend in TIMED_BACKENDS
    return {
        **record_header("run"),
        **model_record(graph, setting.model),
        "inputs": list(setting.inputs),
        "resized": setting.resized,
        **hardware_record(setting.config, hardware),
        "backend": setting.backend,
        "memory": asdict(setting.memory) if timed else None,
        "clock": {"mhz": setting.clock_mhz, "origin": setting.clock_origin} if timed else None,
        "cycles": result.cycles,
        "milliseconds": None
        if result.cycles is None
        else result.cycles / (setting.clock_mhz * 1000),
        "macs": result.macs,
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


def make_folder(path: Path, option: str) -> Path:
    """The folder, made if there is none.

    Raises `OutputError`, naming the command-line `option`, when nothing can be written there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{option} '{path}': {error.strerror or error}") from None
    if not os.access(path, os.W_OK):
        raise OutputError(f"{option} '{path}': files cannot be written there")
    return path


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


def write_bytes(data: bytes, path: Path) -> None:
    """Write `data` to the file at `path`; raises `OutputError` when that cannot be written."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def write_text(text: str, path: Path) -> None:
    """Write text to `path`, or to standard output for `-`; raises as `write_bytes` does."""
    if path == STDOUT:
        sys.stdout.write(text)
    else:
        write_bytes(text.encode(), path)
