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
    mhz : the clock. target : what was routed for, None when nothing was.
    stale : whether the RTL has changed since it was measured.
    given : whether the user wants it so.
    """

    mhz: float
    target: str | None = None
    stale: bool = False
    given: bool = False

    @property
    def measured(self) -> bool:
        """Whether place and route reached it."""
        return self.target is not None

    @property
    def origin(self) -> str:
        """Where it comes from, to be said beside it."""
        if self.target is not None:
            older = ", of an older RTL" if self.stale else ""
            return f"measured on {self.target} -{SPEED_GRADE}{older}"
        return "as given" if self.given else "assumed"

    def __str__(self) -> str:
        digits = f"{self.mhz:.1f}" if self.measured else f"{self.mhz:g}"
        return f"{digits} MHz, {self.origin}"


def chosen_clock(given_mhz: float | None, config: NpuConfig) -> Clock:
    """The clock that the user gave, or else that of the configuration."""
    return npu_clock(config) if given_mhz is None else Clock(given_mhz, given=True)


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
