"""What a configuration costs without synthesizing it: area and clock, by fits that ship."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from statistics import median
from typing import Any

from npu.cost.blocks import BLOCKS, structure
from npu.cost.structure import block_rams, multipliers
from npu.synth.design import rtl_digest
from npu.synth.shipped import load_shipped
from npu.synth.targets import TARGETS
from rtl.config import NpuConfig

FITS = Path(__file__).parent / "shipped" / "fits.json"

LARGEST_PART = "ecp5-85k"
"""Beyond it nothing was routed, and a clock is extrapolated."""

UNROUTED_FACTOR = 1.5
"""Period after routing over `npu.cost.depth`'s estimate, while no configuration was routed: of
requantizer lanes and sequencers that were routed alone."""


@dataclass(frozen=True)
class Area:
    """Cells of ECP5: what `npu synth` counts, estimated, `dsps` and `block_rams` exact."""

    luts: float
    ffs: float
    dsps: int
    block_rams: int

    def fits(self, target: str) -> bool:
        """Whether a part has room for it."""
        part = TARGETS[target].part
        return part is not None and not part.overflow(self.figures)

    @property
    def figures(self) -> dict[str, int]:
        """By the names of `npu.synth.resources.figures`."""
        return {
            "LUTeq": round(self.luts),
            "FF": round(self.ffs),
            "DSP": self.dsps,
            "block RAM": self.block_rams,
        }


@dataclass(frozen=True)
class ClockEstimate:
    """A clock, from how many routed configurations it comes, and whether it is beyond them."""

    mhz: float
    routed: int
    extrapolated: bool


@dataclass(frozen=True)
class CostModel:
    """Fits of all blocks.

    Attributes
    ----------
    rtl : digest of the RTL that they are of.
    coefficients : by figure, block and feature.
    scale : of the sum of blocks to the whole, by figure: what flattening saves.
    errors : of held-out whole configurations, relative, by figure.
    """

    rtl: str
    coefficients: Mapping[str, Mapping[str, Mapping[str, float]]]
    scale: Mapping[str, float]
    errors: Mapping[str, list[float]]

    @property
    def stale(self) -> bool:
        """Whether the RTL has changed since the samples were taken."""
        return self.rtl != rtl_digest()

    def area(self, config: NpuConfig) -> Area:
        """Area of a configuration."""
        known = structure(config)
        luts, ffs = (_sum(self._totals[figure], known) for figure in ("LUTeq", "FF"))
        return Area(luts, ffs, multipliers(config), block_rams(config))

    @cached_property
    def _totals(self) -> dict[str, dict[str, float]]:
        """By figure and feature: the coefficients of all blocks together, scaled to the whole."""
        found: dict[str, dict[str, float]] = {}
        for figure, scale in self.scale.items():
            sums = found.setdefault(figure, {})
            for fitted in self.coefficients[figure].values():
                for name, value in fitted.items():
                    sums[name] = sums.get(name, 0.0) + value * scale
        return found

    def clock(self, config: NpuConfig) -> ClockEstimate:
        """The clock of a configuration on ECP5, speed grade 6."""
        measured = _routed()
        factors = [1000 / mhz / self.depth_ns(known) for known, mhz in measured]
        period = self.depth_ns(config) * (median(factors) if factors else UNROUTED_FACTOR)
        beyond = not measured or not self.area(config).fits(LARGEST_PART)
        return ClockEstimate(1000 / period, len(measured), beyond)

    def depth_ns(self, config: NpuConfig) -> float:
        """The longest path of the slowest block, before routing."""
        known = structure(config)
        return max(_sum(fitted, known) for fitted in self.coefficients["depth"].values())

    def block_luts(self, config: NpuConfig) -> dict[str, float]:
        """LUTeq of each block, the largest first; their sum is that of the area."""
        known = structure(config)
        found = {
            block: _sum(fitted, known) * self.scale["LUTeq"]
            for block, fitted in self.coefficients["LUTeq"].items()
        }
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def notes(self) -> list[str]:
        """What is to be said wherever its numbers are shown."""
        held_out = self.errors.get("LUTeq", [])
        worst = max((abs(error) for error in held_out), default=0.0)
        said = [
            f"area: fitted over {len(BLOCKS)} synthesized blocks, LUTeq within {100 * worst:.0f} %"
            f" on {len(held_out)} whole configurations that were held out; DSP and block RAM follow"
            " from the structure"
        ]
        if self.stale:
            said.append(
                f"area: the samples are of RTL {self.rtl[:8]}, today's is {rtl_digest()[:8]}:"
                " make cost-samples"
            )
        routed = len(_routed())
        said.append(
            f"clock: an estimate from the longest paths of blocks, scaled by {routed} routed"
            f" configurations; beyond {LARGEST_PART} extrapolated"
            if routed
            else "clock: extrapolated from the longest paths of blocks, no configuration of this"
            " table was routed"
        )
        return said


def _sum(coefficients: Mapping[str, float], known: Mapping[str, float]) -> float:
    return sum(value * known[name] for name, value in coefficients.items())


@cache
def _routed() -> list[tuple[NpuConfig, float]]:
    """Configurations that ship with a routed clock."""
    return [
        (NpuConfig.from_dict(dict(cost.parameters)), cost.median_mhz)
        for by_target in load_shipped().presets.values()
        for cost in by_target.values()
        if cost.median_mhz is not None and cost.parameters is not None
    ]


@cache
def load_model(path: Path | None = None) -> CostModel:
    """The fits at `path`, by default those that ship."""
    document: dict[str, Any] = json.loads((path or FITS).read_text(encoding="utf-8"))
    return CostModel(
        document["rtl"], document["coefficients"], document["scale"], document["errors"]
    )
