"""What `npu synth` finds out about a design, as an object and as JSON."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from npu.synth.blocks import Block
from npu.synth.design import Design
from npu.synth.resources import Figures
from npu.synth.routing import TARGET_MHZ, Routed, median_mhz
from npu.synth.targets import SPEED_GRADE, TARGETS, Target


@dataclass(frozen=True)
class Cost:
    """Area of a design, and its clock where it was routed.

    Attributes
    ----------
    name : of the configuration or the core.
    target : what it was synthesized for.
    sources : `source_digest` of its Verilog.
    parameters : of the configuration, None for anything but an NPU.
    figures : resources of the whole design.
    blocks : of each block, on its own.
    tools : versions by package.
    liberty : name of the file whose cells it was mapped to, or None.
    routed : one result for each seed; empty when it was not routed.
    alone : what blocks reach that were routed alone, by module; an upper bound, not a clock.
    """

    name: str
    target: Target
    sources: str
    parameters: Mapping[str, int | str] | None
    figures: Figures
    blocks: Block
    tools: Mapping[str, str]
    liberty: str | None = None
    routed: tuple[Routed, ...] = ()
    alone: Mapping[str, float] = field(default_factory=dict)

    @property
    def overflow(self) -> list[str]:
        """What the design has more of than the part."""
        part = self.target.part
        return [] if part is None else part.overflow(self.figures)

    @property
    def median_mhz(self) -> float | None:
        """The clock over all seeds, None when it was not routed."""
        return median_mhz(self.routed) if self.routed else None

    @property
    def bound_mhz(self) -> float | None:
        """The slowest of the blocks that were routed alone."""
        return min(self.alone.values(), default=None)

    def to_dict(self) -> dict[str, Any]:
        """The record that `npu synth --json` writes; `from_dict` reads it back."""
        part = self.target.part
        return {
            "name": self.name,
            "target": self.target.name,
            "sources": self.sources,
            "parameters": None if self.parameters is None else dict(self.parameters),
            "tools": dict(self.tools),
            "liberty": self.liberty,
            "resources": self.figures,
            "capacity": None if part is None else part.capacity,
            "overflow": self.overflow,
            "speed_grade": SPEED_GRADE if self.routed or self.alone else None,
            "router_target_mhz": TARGET_MHZ if self.routed or self.alone else None,
            "median_mhz": self.median_mhz,
            "seeds": [routed.to_dict() for routed in self.routed],
            "blocks_alone_mhz": dict(self.alone),
            "blocks": self.blocks.to_dict(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Cost":
        """The cost of a record that `to_dict` made."""
        return cls(
            name=record["name"],
            target=TARGETS[record["target"]],
            sources=record["sources"],
            parameters=record["parameters"],
            figures=record["resources"],
            blocks=Block.from_dict(record["blocks"]),
            tools=record["tools"],
            liberty=record["liberty"],
            routed=tuple(Routed.from_dict(routed) for routed in record["seeds"]),
            alone=record["blocks_alone_mhz"],
        )


def source_digest(design: Design) -> str:
    """A hash of a design's sources: results of the same ones need not be found again."""
    digest = hashlib.sha256(design.top.encode())
    for text in design.files:
        digest.update(len(text).to_bytes(8, "little") + text.encode())
    return digest.hexdigest()[:24]
