"""What a design can be synthesized for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from npu.synth.errors import SynthesisError

SPEED_GRADE = 6
"""Of the ECP5: the slowest, which boards carry."""


class Family(StrEnum):
    """Which cells a design becomes."""

    ECP5 = "ecp5"
    XC7 = "xc7"
    GENERIC = "generic"


@dataclass(frozen=True)
class Part:
    """A device that nextpnr places and routes for.

    Attributes
    ----------
    option : nextpnr's option for it. package : a package with all its logic.
    luts, ffs, dsps, block_rams : how many 4-input LUTs, flip-flops, MULT18X18D and DP16KD it has.
    """

    option: str
    package: str
    luts: int
    ffs: int
    dsps: int
    block_rams: int

    @property
    def capacity(self) -> dict[str, int]:
        """What it has, by the names of `npu.synth.resources.figures`."""
        return {
            "LUTeq": self.luts,
            "FF": self.ffs,
            "DSP": self.dsps,
            "block RAM": self.block_rams,
        }

    def overflow(self, needed: Mapping[str, float]) -> list[str]:
        """What `needed` exceeds, as `DSP 160 of 156`; empty when it fits."""
        return [
            f"{name} {needed[name]:,.0f} of {available:,}"
            for name, available in self.capacity.items()
            if needed.get(name, 0) > available
        ]


@dataclass(frozen=True)
class Target:
    """A name that users give, the family it stands for, and the part if there is a router."""

    name: str
    family: Family
    part: Part | None = None


_ECP5_25 = Part("--25k", "CABGA381", luts=24_288, ffs=24_288, dsps=28, block_rams=56)
_ECP5_45 = Part("--45k", "CABGA381", luts=43_848, ffs=43_848, dsps=72, block_rams=108)
_ECP5_85 = Part("--85k", "CABGA756", luts=83_640, ffs=83_640, dsps=156, block_rams=208)

TARGETS = {
    target.name: target
    for target in (
        Target("ecp5-25k", Family.ECP5, _ECP5_25),
        Target("ecp5-45k", Family.ECP5, _ECP5_45),
        Target("ecp5-85k", Family.ECP5, _ECP5_85),
        Target("xc7", Family.XC7),
        Target("generic", Family.GENERIC),
    )
}

DEFAULT_TARGET = "ecp5-85k"


def find_target(name: str) -> Target:
    """The target of that name.

    Raises
    ------
    SynthesisError : there is none.
    """
    if name not in TARGETS:
        raise SynthesisError(f"unknown target {name!r}; allowed: {', '.join(TARGETS)}")
    return TARGETS[name]


def routable_part(target: Target) -> Part:
    """The part of a target.

    Raises
    ------
    SynthesisError : no packaged tool routes for it.
    """
    if target.part is None:
        allowed = ", ".join(name for name, t in TARGETS.items() if t.part is not None)
        raise SynthesisError(
            f"--pnr: no packaged router for target {target.name}; it can be asked of {allowed}"
        )
    return target.part
