"""Runs a network with its segments on a simulator of the NPU, and says what it cost."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from npu.model.graph import Graph
from npu.offload.backends import SimulatorName
from npu.offload.layers import layer_accounts, layer_results, total_counters, total_cycles
from npu.offload.network import CompiledNetwork
from npu.offload.result import RunResult
from npu.offload.simulators import Log, Progress, make_simulator
from npu.reference.state import State
from rtl.config import NpuConfig
from sim.cycle import add_accounts
from sim.memory import MemoryConfig
from sim.trace import write_trace
from sim.waves import Waves


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
        backend: SimulatorName,
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
        runs = tuple((self.network.programs[segment], results[segment]) for segment in results)
        if trace is not None:
            write_trace(trace, runs)
        accounts = layer_accounts(self.network, results, self._memory) if account else {}
        return RunResult(
            outputs=outputs,
            values=values,
            layers=layer_results(self.network, results, accounts),
            account=add_accounts(accounts.values()) if accounts else None,
            cycles=total_cycles(results),
            counters=total_counters(results),
            runs=runs,
        )


def run_network(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    *,
    config: NpuConfig,
    backend: SimulatorName,
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
