"""The simulators of the NPU behind one signature."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from numpy.typing import NDArray

from npu.offload.backends import SimulatorName
from rtl.config import NpuConfig
from sim.memory import MemoryConfig
from sim.program import Program
from sim.result import SimulationResult
from sim.waves import Waves

Progress = Callable[[int, int], None]
Log = Callable[[str], None]


class Simulator(Protocol):
    """What a backend offers: run one program."""

    def __call__(
        self, program: Program, inputs: Mapping[int, NDArray[Any]], progress: Progress | None
    ) -> SimulationResult: ...


def make_simulator(
    config: NpuConfig,
    backend: SimulatorName,
    memory: MemoryConfig,
    log: Log | None = None,
    waves: Waves | None = None,
) -> Simulator:
    """A simulator of this hardware; see `npu.offload.runner.NetworkRunner` for the parameters.

    With `waves` the programs that it runs count as one after the other, and the first one that
    reaches into the window is recorded.
    """
    if backend == "functional":
        from sim.functional.simulator import FunctionalSimulator

        functional = FunctionalSimulator(config)
        return lambda program, inputs, progress: functional.run(program, inputs, progress)
    if backend == "cycle":
        from sim.cycle.backend import CycleSimulator

        cycle = CycleSimulator(config, memory)
        return lambda program, inputs, progress: cycle.run(program, inputs, progress)
    from sim.rtl_runner.runner import RtlSimulator

    rtl = RtlSimulator(config, memory, log)
    if waves is not None:
        return _Recorder(rtl, waves)
    return lambda program, inputs, progress: rtl.run(program, inputs, progress, trace=True)


class _Recorder:
    """Runs programs on the RTL, one after the other, and records one of them."""

    def __init__(self, rtl: Any, waves: Waves) -> None:
        self._rtl = rtl
        self._waves: Waves | None = waves
        self._cycles = 0

    def __call__(
        self, program: Program, inputs: Mapping[int, NDArray[Any]], progress: Progress | None
    ) -> SimulationResult:
        waves = self._waves
        if waves is not None:
            first = max(waves.first - self._cycles, 0)
            waves = replace(waves, first=first, last=waves.last - self._cycles)
        result: SimulationResult = self._rtl.run(program, inputs, progress, trace=True, waves=waves)
        self._cycles += result.cycles or 0
        if self._waves is not None and self._waves.first < self._cycles:
            self._waves = None
        return result
