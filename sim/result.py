"""What a simulation returns."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from rtl.isa import Engine


@dataclass(frozen=True)
class TraceEvent:
    """A command starts or completes on an engine.

    Parameters
    ----------
    cycle : cycles since START.
    engine : LOAD, COMPUTE or STORE.
    command : index of the command in the stream.
    start : True for the start, False for the completion.
    """

    cycle: int
    engine: Engine
    command: int
    start: bool


@dataclass(frozen=True)
class SimulationResult:
    """Results of running a program once.

    Parameters
    ----------
    outputs : the program's outputs by tensor index, in shape and type of their binding.
    tensors : all tensors that the arena holds at the end, likewise.
    cycles : from START to the interrupt; None from a simulator without time.
    counters : the NPU's counter events by name (`rtl.registers.Event`), those that it counts.
    events : start and completion of every command, in time order, where they were traced.
    wall_cycles : clock cycles that the harness saw between START and the interrupt.
    """

    outputs: dict[int, NDArray[Any]]
    tensors: dict[int, NDArray[Any]]
    cycles: int | None = None
    counters: dict[str, int] = field(default_factory=dict)
    events: list[TraceEvent] = field(default_factory=list)
    wall_cycles: int | None = None
