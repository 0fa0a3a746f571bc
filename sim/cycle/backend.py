"""The cycle model as a simulator like the others: data from the functional one, time from here."""

from dataclasses import replace

from rtl.config import NpuConfig
from sim.binding import Inputs
from sim.cycle.simulator import require_regular, simulate
from sim.functional.simulator import FunctionalSimulator, Progress
from sim.memory import MemoryConfig
from sim.program import Program
from sim.result import SimulationResult


class CycleSimulator:
    """Outputs, cycles, counters and events as from the RTL.

    Parameters
    ----------
    config : the hardware.
    memory : the external memory's timing.

    Raises
    ------
    ConfigError : a memory with random stalls.
    """

    def __init__(self, config: NpuConfig, memory: MemoryConfig | None = None) -> None:
        self.config = config
        self.memory = memory or MemoryConfig()
        require_regular(self.memory)
        self._functional = FunctionalSimulator(config)

    def run(
        self, program: Program, inputs: Inputs, progress: Progress | None = None
    ) -> SimulationResult:
        """Run a program once; parameters and errors as of `FunctionalSimulator.run`."""
        result = self._functional.run(program, inputs, progress)
        timing = simulate(program, self.memory)
        return replace(result, cycles=timing.cycles, counters=timing.counters, events=timing.events)
