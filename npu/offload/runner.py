"""Runs a network with its segments on a backend of the NPU and the other operators on the kernels.

This is TensorFlow Lite Micro's way of offloading, done ahead of time: runs of supported operators
become programs, and the interpreter's loop calls a program where it would have called operators.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.compiler.compile import CompilerOptions, compile_segment
from npu.compiler.errors import CompileError
from npu.compiler.rules.partition import Partition, partition
from npu.compiler.terms.segment import Segment
from npu.model.graph import Graph
from npu.offload.backends import BackendName, Log, Progress, Simulator, make_simulator
from npu.offload.result import LayerResult, RunResult
from npu.reference.executors.common import Context
from npu.reference.executors.registry import require_executor, require_executors
from npu.reference.operator_runner import OperatorRunner
from npu.reference.state import State
from rtl.config import NpuConfig
from rtl.isa import Engine
from sim.cycle import LayerAccount, account_layers, add_accounts, simulate
from sim.memory import MemoryConfig
from sim.program import Program
from sim.result import SimulationResult
from sim.trace import write_trace
from sim.waves import Waves

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
    def partition(self) -> Partition:
        """Which operators go where.

        Raises
        ------
        CompileError : the NPU's memories are too small for every operator that it could take.
        """
        found = partition(self.graph, self.config)
        if not found.segments and found.oversized:
            first = self.graph.operator(min(found.oversized))
            raise CompileError(
                f"nothing of this network fits the NPU: operator {first.index} ({first.kind}):"
                f" {found.reasons[first.index]}; choose a configuration with larger memories"
            )
        return found

    @cached_property
    def programs(self) -> dict[Segment, Program]:
        """The program of each segment, in execution order."""
        return {
            segment: compile_segment(self.graph, segment, self.config, self.options)
            for segment in self.partition.segments
        }

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
        first = {segment.operators[0]: segment for segment in self.partition.segments}
        for op in self.graph.operators:
            if not self.partition.on_npu(op.index):
                require_executor(self.graph, op)
        for subgraph in self.graph.with_subgraphs()[1:]:
            require_executors(subgraph)
        state = state or State()
        state.declare(self.graph)
        values: Values = {t.index: t.data for t in self.graph.tensors if t.data is not None}
        values.update(inputs)
        context = Context(values, Rounding.named(self.config.rounding), state)
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


class NetworkRunner:
    """A network compiled, and a simulator built, once for many inferences.

    `state` holds the network's variables: each run changes them, `state.reset()` starts anew.

    Parameters
    ----------
    graph : the network.
    config : the hardware. memory : the external memory's timing.
    backend : `functional` executes the command stream, `cycle` also times it, `rtl` runs the
        hardware in Verilator.
    keep_intermediates : also return every intermediate tensor. The NPU's are obtained by a second
        run of a program that stores them; cycles are those of the plain program.
    log : called with one line about each step of building the simulator.

    Raises
    ------
    NpuError : the simulator cannot be built; the message says why.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        config: NpuConfig,
        backend: BackendName,
        memory: MemoryConfig | None = None,
        keep_intermediates: bool = False,
        log: Log | None = None,
    ) -> None:
        self.state = State()
        self.network = CompiledNetwork(graph, config)
        everything = replace(self.network.options, keep_intermediates=True)
        self._keeping = CompiledNetwork(graph, config, everything) if keep_intermediates else None
        self._memory = memory or MemoryConfig()
        self._make_simulator = partial(make_simulator, config, backend, self._memory, log)
        self._simulate = self._make_simulator()

    def run(
        self,
        inputs: Mapping[int, NDArray[Any]],
        progress: Progress | None = None,
        trace: Path | None = None,
        account: bool = False,
        waves: Waves | None = None,
    ) -> RunResult:
        """Run once; compiles on the first call.

        Parameters
        ----------
        inputs : every input by tensor index.
        progress : called with commands done and commands in total.
        trace : write a timeline of all commands there (not `functional`).
        account : also say what the cycles of each operator went to. The cycle model does, so there
            is nothing to say about a memory with random stalls.
        waves : write the values of all signals there (`rtl`); of several segments, the first one
            that reaches into the window.

        Raises
        ------
        NpuError : the network cannot be run; the message says why.
        """
        before = self.state.copy()
        simulator = self._simulate if waves is None else self._make_simulator(waves)
        values, results = self.network.run(inputs, simulator, progress, self.state)
        outputs = {index: values[index] for index in self.network.graph.outputs}
        if self._keeping is not None:
            everything, _ = self._keeping.run(inputs, self._simulate, progress, before)
            values = {**everything, **outputs}
        if trace is not None:
            write_trace(trace, [(self.network.programs[s], results[s]) for s in results])
        accounts = _accounts(self.network, results, self._memory) if account else {}
        return RunResult(
            outputs=outputs,
            values=values,
            layers=_layers(self.network, results, accounts),
            account=add_accounts(accounts.values()) if accounts else None,
            cycles=_total_cycles(results),
            counters=_total_counters(results),
        )


def run_network(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    *,
    config: NpuConfig,
    backend: BackendName,
    memory: MemoryConfig | None = None,
    keep_intermediates: bool = False,
    progress: Progress | None = None,
    trace: Path | None = None,
    account: bool = False,
    waves: Waves | None = None,
    log: Log | None = None,
) -> RunResult:
    """Compile and run a network once; the arguments are those of `NetworkRunner` and its `run`.

    Raises
    ------
    NpuError : the network cannot be run; the message says why.
    """
    runner = NetworkRunner(
        graph,
        config=config,
        backend=backend,
        memory=memory,
        keep_intermediates=keep_intermediates,
        log=log,
    )
    return runner.run(inputs, progress, trace, account, waves)


def _layers(
    network: CompiledNetwork,
    results: Mapping[Segment, SimulationResult],
    accounts: Mapping[int, LayerAccount],
) -> tuple[LayerResult, ...]:
    cycles: dict[int, int] = {}
    for segment, result in results.items():
        cycles.update(layer_cycles(network.programs[segment], result))
    reasons = network.partition.reasons
    return tuple(
        LayerResult(
            index=op.index,
            kind=op.kind,
            placed="CPU" if op.index in reasons else "NPU",
            reason=reasons.get(op.index, ""),
            macs=network.graph.macs(op),
            cycles=cycles.get(op.index),
            account=accounts.get(op.index),
        )
        for op in network.graph.operators
    )


def _accounts(
    network: CompiledNetwork, results: Mapping[Segment, SimulationResult], memory: MemoryConfig
) -> dict[int, LayerAccount]:
    accounts: dict[int, LayerAccount] = {}
    for segment, result in results.items():
        if result.cycles is not None and not memory.stall_probability:
            timing = simulate(network.programs[segment], memory)
            accounts.update({a.operator_index: a for a in account_layers(timing)})
    return accounts


def layer_cycles(program: Program, result: SimulationResult) -> dict[int, int]:
    """Cycles per operator: from the completion of the compute commands before its own to theirs.

    Engines overlap, so this is how much later the program ends because of an operator. The sum is
    the program's total: the first operator includes what happens before it, the last the final
    stores.
    """
    if result.cycles is None or not program.layers:
        return {}
    operator_of = {
        command: layer.operator_index
        for layer in program.layers
        for command in layer.compute_commands
    }
    last = program.layers[-1].operator_index
    cycles = dict.fromkeys((layer.operator_index for layer in program.layers), 0)
    before = 0
    for event in result.events:
        if event.engine is Engine.COMPUTE and not event.start:
            cycles[operator_of.get(event.command, last)] += event.cycle - before
            before = event.cycle
    cycles[last] += result.cycles - before
    return cycles


def _total_cycles(results: Mapping[Segment, SimulationResult]) -> int | None:
    known = [result.cycles for result in results.values() if result.cycles is not None]
    return sum(known) if known else None


def _total_counters(results: Mapping[Segment, SimulationResult]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for result in results.values():
        for name, count in result.counters.items():
            totals[name] = totals.get(name, 0) + count
    return totals
