"""A network with its segments for the NPU compiled, and the other operators for the kernels.

This is TensorFlow Lite Micro's way of offloading, done ahead of time: runs of supported operators
become programs, and the interpreter's loop calls a program where it would have called operators.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.compiler.compile import CompilerOptions
from npu.compiler.rules.partition import Partition
from npu.compiler.terms.segment import Segment
from npu.model.graph import Graph
from npu.offload.division import Division, divide
from npu.offload.simulators import Progress, Simulator
from npu.reference.executors.common import Context
from npu.reference.executors.registry import require_executor, require_executors
from npu.reference.operator_runner import OperatorRunner
from npu.reference.state import State
from rtl.config import NpuConfig
from sim.program import Program
from sim.result import SimulationResult

Values = dict[int, NDArray[Any]]


@dataclass(frozen=True)
class CompiledNetwork:
    """A network divided between NPU and CPU, with the NPU's part compiled.

    Parameters
    ----------
    graph, config : the network and the hardware.
    options : the compiler's options.
    """

    graph: Graph
    config: NpuConfig
    options: CompilerOptions = field(default_factory=CompilerOptions)

    @cached_property
    def _division(self) -> Division:
        return divide(self.graph, self.config, self.options)

    @property
    def partition(self) -> Partition:
        """Which operators go where."""
        return self._division.partition

    @property
    def programs(self) -> dict[Segment, Program]:
        """The program of each segment, in execution order."""
        return self._division.programs

    @cached_property
    def _operators(self) -> OperatorRunner:
        return OperatorRunner(self.graph)

    def run(
        self,
        inputs: Mapping[int, NDArray[Any]],
        simulate: Simulator,
        progress: Progress | None = None,
        state: State | None = None,
    ) -> tuple[Values, dict[Segment, SimulationResult]]:
        """Run once; returns every tensor that is known, and the simulation of each segment.

        Variables are taken from `state` and kept there; without it they are those of a network
        just loaded.

        Raises
        ------
        UnsupportedOperatorError : an operator for the CPU has no kernel; raised before anything
            runs.
        SimulationError : the NPU stopped with an error.
        """
        rounding = Rounding.named(self.config.rounding)
        first = {segment.operators[0]: segment for segment in self.partition.segments}
        for op in self.graph.operators:
            if not self.partition.on_npu(op.index):
                require_executor(self.graph, op, rounding)
        for subgraph in self.graph.with_subgraphs()[1:]:
            require_executors(subgraph, rounding)
        state = state or State()
        state.declare(self.graph)
        values: Values = {t.index: t.data for t in self.graph.tensors if t.data is not None}
        values.update(inputs)
        context = Context(values, rounding, state)
        results: dict[Segment, SimulationResult] = {}
        for op in self.graph.operators:
            if not self.partition.on_npu(op.index):
                self._operators.run(op, context)
            elif op.index in first:
                segment = first[op.index]
                operands = {tensor: values[tensor] for tensor in segment.inputs}
                result = simulate(self.programs[segment], operands, progress)
                values.update(result.tensors)
                values.update(result.outputs)
                results[segment] = result
        return values, results
