"""What one point costs: a pure function of network, configuration and memory."""

from collections.abc import Mapping
from typing import Any

from npu.explore.space import Point
from npu.model.graph import Graph
from npu.offload.network import CompiledNetwork
from rtl.config import PARAMETER_BYTES, NpuConfig
from rtl.errors import NpuError
from sim.cycle import simulate

TABLE_BYTES = 256

_COUNTED = ("READ_BEATS", "WRITE_BEATS", "MAC_ACTIVE", "FETCH_ACTIVE", "OUTPUT_ACTIVE")


def on_chip_bytes(config: NpuConfig) -> int:
    """Bytes of memory on chip: activations, weights, parameters and the table of functions."""
    kib = config.scratchpad_kib + config.weight_buffer_kib
    return kib * 1024 + config.parameter_channels * PARAMETER_BYTES + TABLE_BYTES


def evaluate(graph: Graph, point: Point) -> dict[str, Any]:
    """Compile `graph` for a point and time it on the cycle model.

    Returns `status` and `reason`, and, but for a point that `failed`, what `RESULTS` names in
    `npu.explore.table`:

    `ok`
        `cycles` of the NPU, its useful `macs`, `utilization` (0 to 1), `read_bytes` and
        `write_bytes` of the bus, `bytes_per_cycle`, and in how many cycles the grid multiplied,
        windows were fetched and outputs written (`mac_cycles`, `fetch_cycles`, `output_cycles`).
    `cpu`
        No operator runs on the NPU, and `reason` says why of the first one; the fields above are 0
        or None.

    Both have `macs_per_cycle`, `on_chip_bytes`, `npu_operators` and `cpu_operators`, the useful
    `cpu_macs` of the latter, and `npu_share`, the NPU's part of all MACs (0 to 1; 1 without any).
    """
    try:
        return _measure(graph, point)
    except NpuError as error:
        return {"status": "failed", "reason": "; ".join(str(error).splitlines())}


def _measure(graph: Graph, point: Point) -> dict[str, Any]:
    config, memory = point.config(), point.memory()
    network = CompiledNetwork(graph, config)
    programs = list(network.programs.values())
    on_cpu = network.partition.reasons
    macs = sum(program.macs for program in programs)
    cpu_macs = sum(graph.macs(graph.operator(index)) for index in on_cpu)
    placed = {
        "macs_per_cycle": config.macs_per_cycle,
        "on_chip_bytes": on_chip_bytes(config),
        "macs": macs,
        "cpu_macs": cpu_macs,
        "npu_share": macs / (macs + cpu_macs) if macs + cpu_macs else 1.0,
        "npu_operators": len(graph.operators) - len(on_cpu),
        "cpu_operators": len(on_cpu),
    }
    if not programs:
        return {"status": "cpu", "reason": _nothing_on_the_npu(graph, on_cpu), **placed}
    results = [simulate(program, memory) for program in programs]
    cycles = sum(result.cycles for result in results)
    totals = {name: sum(result.totals[name] for result in results) for name in _COUNTED}
    read, written = (totals[name] * config.bus_bytes for name in ("READ_BEATS", "WRITE_BEATS"))
    return {
        "status": "ok",
        "reason": "",
        **placed,
        "cycles": cycles,
        "utilization": macs / (cycles * config.macs_per_cycle),
        "read_bytes": read,
        "write_bytes": written,
        "bytes_per_cycle": (read + written) / cycles,
        "mac_cycles": totals["MAC_ACTIVE"],
        "fetch_cycles": totals["FETCH_ACTIVE"],
        "output_cycles": totals["OUTPUT_ACTIVE"],
    }


def _nothing_on_the_npu(graph: Graph, reasons: Mapping[int, str]) -> str:
    if not reasons:
        return "the network has no operator"
    first, reason = next(iter(reasons.items()))
    return f"no operator runs on the NPU; the first, {graph.operator(first).kind}: {reason}"
