"""The clocks that place and route reached, for whoever turns cycles into time."""

from dataclasses import dataclass

from npu.synth.result import Cost
from npu.synth.shipped import load_shipped
from npu.synth.targets import SPEED_GRADE
from rtl.config import NpuConfig

ASSUMED_MHZ = 100.0
"""Of hardware that was not routed."""


@dataclass(frozen=True)
class Clock:
    """A clock, and where it comes from.

    Attributes
    ----------
    mhz : the clock. target : what was routed for, None when the clock is assumed.
    stale : whether the RTL has changed since it was measured.
    """

    mhz: float
    target: str | None = None
    stale: bool = False

    @property
    def measured(self) -> bool:
        """Whether place and route reached it."""
        return self.target is not None

    def __str__(self) -> str:
        if self.target is None:
            return f"{self.mhz:g} MHz, assumed"
        older = ", of an older RTL" if self.stale else ""
        return f"{self.mhz:.1f} MHz, measured on {self.target} -{SPEED_GRADE}{older}"


def npu_clock(config: NpuConfig) -> Clock:
    """The clock of a configuration: that of the preset alike that ships, or `ASSUMED_MHZ`."""
    table = load_shipped()
    for by_target in table.presets.values():
        for cost in by_target.values():
            if cost.parameters == config.to_dict() and cost.median_mhz is not None:
                return Clock(cost.median_mhz, cost.target.name, table.stale)
    return Clock(ASSUMED_MHZ)


def core_clock(core: str, target: str) -> Clock | None:
    """The clock of a CPU of the bench SoC on a target, None when it was not measured there."""
    cost: Cost | None = load_shipped().cores.get(core, {}).get(target)
    if cost is None or cost.median_mhz is None:
        return None
    return Clock(cost.median_mhz, target)
