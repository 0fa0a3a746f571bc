"""Runs one segment of a network, on the backend that was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.compiler.compile import CompilerOptions
from npu.model.graph import Graph
from npu.offload.backends import BackendName
from npu.offload.layers import total_cycles
from npu.offload.network import CompiledNetwork
from npu.offload.simulators import Log, Simulator, make_simulator
from npu.reference.network import PreparedNetwork
from rtl.config import NpuConfig
from sim.memory import MemoryConfig
from sim.program import Program

Arrays = Mapping[int, NDArray[Any]]


@dataclass(frozen=True)
class Hardware:
    """What segments run on.

    Parameters
    ----------
    config : the NPU. backend : what stands for it. memory : the external memory's timing.
    log : called with one line about each step of building a simulator.
    """

    config: NpuConfig
    backend: BackendName
    memory: MemoryConfig
    log: Log | None = None

    def simulator(self) -> Simulator | None:
        """The simulator of the backend; None for the kernels, which simulate nothing.

        Raises `NpuError` when it cannot be built.
        """
        if self.backend == "reference":
            return None
        return make_simulator(self.config, self.backend, self.memory, self.log)


class Execution(Protocol):
    """A segment that is ready to run.

    Attributes
    ----------
    macs : useful MACs of a run on the NPU.
    on_cpu : operators that do not fit the NPU in these shapes and run on a kernel of ours.
    """

    macs: int
    on_cpu: tuple[int, ...]

    def run(self, inputs: Arrays, outputs: Arrays) -> int | None:
        """Run once from `inputs` into `outputs`, both by tensor index; cycles, if they are known.

        Raises `NpuError` when the backend stops.
        """


class KernelExecution:
    """A segment on the reference kernels."""

    def __init__(self, graph: Graph, config: NpuConfig) -> None:
        self._network = PreparedNetwork(graph, rounding=Rounding.named(config.rounding))
        self.macs = graph.total_macs
        self.on_cpu: tuple[int, ...] = ()

    def run(self, inputs: Arrays, outputs: Arrays) -> int | None:
        made = self._network.run(inputs)
        for index, target in outputs.items():
            target[...] = made[index]
        return None


class ProgramExecution:
    """A program on a simulator."""

    def __init__(self, program: Program, simulate: Simulator, macs: int) -> None:
        self._program, self._simulate = program, simulate
        self.macs = macs
        self.on_cpu: tuple[int, ...] = ()

    def run(self, inputs: Arrays, outputs: Arrays) -> int | None:
        result = self._simulate(self._program, inputs, None)
        for index, target in outputs.items():
            target[...] = result.outputs[index]
        return result.cycles


class DividedExecution:
    """A segment that does not fit as one program: several, and kernels between them."""

    def __init__(self, network: CompiledNetwork, simulate: Simulator) -> None:
        self._network, self._simulate = network, simulate
        self.macs = sum(program.macs for program in network.programs.values())
        self.on_cpu = tuple(network.partition.reasons)

    def run(self, inputs: Arrays, outputs: Arrays) -> int | None:
        values, results = self._network.run(inputs, self._simulate)
        for index, target in outputs.items():
            target[...] = values[index]
        return total_cycles(results)


def execution(
    graph: Graph,
    hardware: Hardware,
    simulate: Simulator | None,
    program: Program | None = None,
) -> Execution:
    """What runs the segment that is the whole of `graph`.

    Parameters
    ----------
    hardware, simulate : the hardware, and `hardware.simulator()`.
    program : the segment's program, when it is known.

    Raises
    ------
    NpuError : the graph cannot be executed.
    """
    if simulate is None:
        return KernelExecution(graph, hardware.config)
    if program is not None:
        return ProgramExecution(program, simulate, program.macs)
    network = CompiledNetwork(graph, hardware.config, CompilerOptions())
    if len(network.programs) == 1 and not network.partition.reasons:
        (program,) = network.programs.values()
        return ProgramExecution(program, simulate, program.macs)
    return DividedExecution(network, simulate)
