"""One network on one configuration of the RTL: cycles, bits, and what each layer waited for."""

from dataclasses import asdict, dataclass
from typing import Any

from npu.compiler.compile import CompilerOptions
from npu.golden import compare, run_golden
from npu.offload.layers import layer_cycles
from npu.offload.network import CompiledNetwork
from npu.offload.result import utilization
from npu.offload.simulators import Simulator
from rtl.config import PRESETS, NpuConfig
from sim.cycle import LayerAccount, account_layers, simulate
from sim.memory import MemoryConfig
from sim.rtl_runner import RtlSimulator
from tests.bench.networks import Network


@dataclass(frozen=True)
class Layer:
    """One operator as it ran; `cycles` and `account` are None where nothing was timed."""

    index: int
    kind: str
    placed: str
    reason: str
    macs: int
    cycles: int | None
    utilization: float | None
    account: LayerAccount | None


@dataclass(frozen=True)
class Measurement:
    """One inference on the RTL.

    Attributes
    ----------
    network, config : their names.
    cycles : of the NPU, all segments.
    macs : useful ones of the whole network. utilization : of the NPU's part, 0 to 1.
    limit : cycles that no schedule of this grid and bus can beat: the larger of
        MACs / (MACs per cycle) and weight bytes / (bytes per cycle).
    outputs_equal, outputs, intermediates_equal, intermediates : tensors compared with TFLM.
    bit_exact : every one of them agrees.
    counters : the NPU's counter events by name, all segments.
    layers : every operator in execution order.
    """

    network: str
    config: str
    cycles: int
    macs: int
    macs_per_cycle: int
    utilization: float
    limit: float
    bit_exact: bool
    outputs_equal: int
    outputs: int
    intermediates_equal: int
    intermediates: int
    counters: dict[str, int]
    layers: tuple[Layer, ...]

    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


class Machine:
    """A configuration's simulator, built once; memory as everywhere in these tables.

    Parameters
    ----------
    name : a preset. memory : the external memory, by default 20 cycles of latency.
    """

    def __init__(self, name: str, memory: MemoryConfig | None = None) -> None:
        self.name = name
        self.config: NpuConfig = PRESETS[name]
        self.rtl = RtlSimulator(self.config, memory)

    def measure(self, network: Network) -> Measurement:
        """Run a network once and compare every tensor with TFLM.

        Raises
        ------
        NpuError : the network is not supported, or the NPU stopped with an error.
        """
        graph, inputs, config = network.graph, network.inputs, self.config
        execute = self._simulate
        plain = CompiledNetwork(graph, config)
        values, results = plain.run(inputs, execute)
        keeping = CompiledNetwork(graph, config, CompilerOptions(keep_intermediates=True))
        everything, _ = keeping.run(inputs, execute)
        known = {**everything, **{i: values[i] for i in graph.outputs}}
        comparison = compare(graph, run_golden(network.path.read_bytes(), graph, inputs), known)

        cycles: dict[int, int] = {}
        accounts: dict[int, LayerAccount] = {}
        counters: dict[str, int] = {}
        for segment, result in results.items():
            program = plain.programs[segment]
            cycles.update(layer_cycles(program, result))
            timing = simulate(program, self.rtl.memory)
            accounts.update({a.operator_index: a for a in account_layers(timing)})
            for event, count in result.counters.items():
                counters[event] = counters.get(event, 0) + count
        total = sum(result.cycles or 0 for result in results.values())
        reasons = plain.partition.reasons
        on_npu = sum(graph.macs(op) for op in graph.operators if op.index not in reasons)
        layers = tuple(
            Layer(
                index=op.index,
                kind=op.kind,
                placed="CPU" if op.index in reasons else "NPU",
                reason=reasons.get(op.index, ""),
                macs=graph.macs(op),
                cycles=cycles.get(op.index),
                utilization=utilization(
                    graph.macs(op), cycles.get(op.index), config.macs_per_cycle
                ),
                account=accounts.get(op.index),
            )
            for op in graph.operators
        )
        return Measurement(
            network=network.name,
            config=self.name,
            cycles=total,
            macs=graph.total_macs,
            macs_per_cycle=config.macs_per_cycle,
            utilization=utilization(on_npu, total, config.macs_per_cycle) or 0.0,
            limit=max(
                graph.total_macs / config.macs_per_cycle, network.weight_bytes / config.bus_bytes
            ),
            bit_exact=bool(comparison.bit_exact),
            outputs_equal=comparison.outputs_equal,
            outputs=comparison.outputs,
            intermediates_equal=comparison.intermediates_equal,
            intermediates=comparison.intermediates,
            counters=counters,
            layers=layers,
        )

    @property
    def _simulate(self) -> Simulator:
        return lambda program, inputs, progress: self.rtl.run(program, inputs, progress, trace=True)
