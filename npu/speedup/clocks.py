"""The same comparison in time: each at the clock that place and route reached for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from npu.speedup.measure import Entry
from npu.synth.clocks import Clock, core_clock, npu_clock
from rtl.config import NpuConfig


@dataclass(frozen=True)
class OwnClocks:
    """Clocks of the rungs of a comparison, all on the same part.

    Attributes
    ----------
    npu : of the hardware alone.
    system : of hardware and CPU together, which share a clock: the slower one's.
    cores : of the CPUs alone, by name; empty where nothing was measured.
    """

    npu: Clock
    system: Clock
    cores: dict[str, float]

    @property
    def measured(self) -> bool:
        """Whether all of them are."""
        return self.npu.measured and bool(self.cores)

    def mhz(self, entry: Entry) -> float:
        """The clock that a rung runs at; the system's for all where clocks are assumed."""
        if entry.rung.with_npu or not self.measured:
            return self.system.mhz
        return self.cores[entry.rung.core.name]

    def milliseconds(self, entry: Entry) -> float:
        """What a rung takes for the network."""
        return entry.measurement.cycles / (self.mhz(entry) * 1000.0)


def own_clocks(entries: Sequence[Entry], hardware: NpuConfig) -> OwnClocks:
    """The clocks of a comparison, from the table that ships."""
    npu = npu_clock(hardware)
    if npu.target is None:
        return OwnClocks(npu, npu, {})
    names = dict.fromkeys(entry.rung.core.name for entry in entries)
    found = {name: core_clock(name, npu.target) for name in names}
    cores = {name: clock.mhz for name, clock in found.items() if clock is not None}
    if len(cores) < len(names):
        return OwnClocks(npu, npu, {})
    beside = next(entry.rung.core.name for entry in entries if entry.rung.with_npu)
    system = Clock(min(npu.mhz, cores[beside]), npu.target, npu.stale)
    return OwnClocks(npu, system, cores)


def clock_lines(entries: Sequence[Entry], hardware: NpuConfig) -> list[str]:
    """What is said about time: milliseconds, and ratios at each one's own clock."""
    clocks = own_clocks(entries, hardware)
    with_npu = next(entry for entry in entries if entry.rung.with_npu)
    own = clocks.milliseconds(with_npu)
    if not clocks.measured:
        return [
            f"With the NPU {own:.3f} ms at {clocks.npu}. Clocks of NPU and CPUs on one device are"
            " not all measured (`npu synth --pnr` measures): an equal one is an assumption."
        ]
    ratios = ", ".join(
        f"{clocks.milliseconds(entry) / own:,.1f}x over {entry.rung.name}"
        for entry in entries
        if entry.rung.headline and not entry.rung.with_npu
    )
    cores = ", ".join(f"{name} {mhz:.1f} MHz" for name, mhz in clocks.cores.items())
    return [
        f"At each one's own clock: {ratios}; {own:.3f} ms with the NPU.",
        f"Clocks: NPU {clocks.npu}; {cores}, measured alike; CPU and NPU together"
        f" {clocks.system.mhz:.1f} MHz, the slower one's.",
    ]
