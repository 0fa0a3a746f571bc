"""What one point costs: a pure function of network, configuration and memory."""

from typing import Any

from npu.explore.space import Point
from npu.model.graph import Graph
from npu.offload.network import CompiledNetwork
from rtl.config import PARAMETER_BYTES, NpuConfig
from rtl.errors import NpuError
from sim.cycle import simulate

TABLE_BYTES = 256


def on_chip_bytes(config: NpuConfig) -> int:
    """Bytes of memory on chip: activations, weights, parameters and the table of functions."""
    kib = config.scratchpad_kib + config.weight_buffer_kib
    return kib * 1024 + config.parameter_channels * PARAMETER_BYTES + TABLE_BYTES


def evaluate(graph: Graph, point: Point) -> dict[str, Any]:
    """Compile `graph` for a point and time it on the cycle model.

    Returns `status` (`ok` or `failed`), `reason`, and for a point that works: `macs_per_cycle`,
    `on_chip_bytes`, `cycles`, `macs` (useful, of the NPU's operators), `utilization` (0 to 1),
    `read_bytes` and `write_bytes` of the bus, `bytes_per_cycle`, `npu_operators`, `cpu_operators`.
    """
    try:
        return _measure(graph, point)
    except NpuError as error:
        return {"status": "failed", "reason": "; ".join(str(error).splitlines())}


def _measure(graph: Graph, point: Point) -> dict[str, Any]:
    config, memory = point.config(), point.memory()
    network = CompiledNetwork(graph, config)
    programs = list(network.programs.values())
    if not programs:
        first, reason = next(iter(network.partition.reasons.items()))
        kind = graph.operator(first).kind
        return {
            "status": "failed",
            "reason": f"no operator runs on the NPU; the first, {kind}: {reason}",
        }
    results = [simulate(program, memory) for program in programs]
    cycles = sum(result.cycles for result in results)
    macs = sum(program.macs for program in programs)
    beats = {
        name: sum(result.counters[name] for result in results)
        for name in ("READ_BEATS", "WRITE_BEATS")
    }
    read, written = (beats[name] * config.bus_bytes for name in ("READ_BEATS", "WRITE_BEATS"))
    on_cpu = len(network.partition.reasons)
    return {
        "status": "ok",
        "reason": "",
        "macs_per_cycle": config.macs_per_cycle,
        "on_chip_bytes": on_chip_bytes(config),
        "cycles": cycles,
        "macs": macs,
        "utilization": macs / (cycles * config.macs_per_cycle),
        "read_bytes": read,
        "write_bytes": written,
        "bytes_per_cycle": (read + written) / cycles,
        "npu_operators": len(graph.operators) - on_cpu,
        "cpu_operators": on_cpu,
    }
