"""What a run of a network gives back, whichever backend ran it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

if TYPE_CHECKING:
    from sim.cycle.accounting import LayerAccount
    from sim.program import Program
    from sim.result import SimulationResult

Processor = Literal["NPU", "CPU", "CPU (TFLM)"]
"""What ran an operator: the hardware, a kernel of ours, or TFLM's own interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """One operator of the network, as it ran.

    `index` and `kind` are those of the graph; `reason` says why an operator is on the CPU and is
    empty for those on the NPU; `macs` are useful MACs; `cycles` is None where nothing was timed.
    `account` says what the cycles went to, where the cycle model was asked.
    """

    index: int
    kind: str
    placed: Processor
    reason: str
    macs: int
    cycles: int | None = None
    account: "LayerAccount | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One inference.

    `runs` are the programs that the NPU ran, in order, with what a simulator said of each.

    `outputs` holds the network's outputs by tensor index, and `values` every tensor that the
    backend knows, outputs included. `cycles` and the counter events are those of the NPU, None
    and empty for a backend without time. `account` adds up those of the layers.
    """

    outputs: Mapping[int, NDArray[Any]]
    values: Mapping[int, NDArray[Any]]
    layers: tuple[LayerResult, ...]
    cycles: int | None = None
    counters: Mapping[str, int] = field(default_factory=dict)
    account: "LayerAccount | None" = None
    runs: "tuple[tuple[Program, SimulationResult], ...]" = ()

    @property
    def macs(self) -> int:
        """Useful MACs of the whole network."""
        return sum(layer.macs for layer in self.layers)

    @property
    def npu_macs(self) -> int:
        """Useful MACs of the operators that ran on the NPU."""
        return sum(layer.macs for layer in self.layers if layer.placed == "NPU")

    def utilization(self, macs_per_cycle: int) -> float | None:
        """Useful MACs done by the NPU / (`macs_per_cycle` x cycles); None without cycles."""
        return utilization(self.npu_macs, self.cycles, macs_per_cycle)


def utilization(macs: int, cycles: int | None, macs_per_cycle: int) -> float | None:
    """Useful `macs` / (`macs_per_cycle` x `cycles`), from 0 to 1; None without cycles."""
    return macs / (macs_per_cycle * cycles) if cycles else None
