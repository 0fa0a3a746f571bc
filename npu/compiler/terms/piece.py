"""What one grid command computes of an operator: some of its output words."""

from dataclasses import dataclass
from typing import NamedTuple

from npu.compiler.terms.geometry import Area
from rtl.config import NpuConfig


@dataclass(frozen=True, slots=True)
class Piece:
    """Output words `first .. first + blocks * depth / n` of a task: one command's work."""

    first: int
    blocks: int
    depth: int

    def end(self, config: NpuConfig) -> int:
        """The first word behind the piece."""
        return self.first + self.blocks * self.depth // config.groups_per_word


class PieceKey(NamedTuple):
    """Names a piece: its weights and parameters are the same in every stripe.

    `position` is the operator's in the segment, `area` its task's, `first` the piece's.
    """

    position: int
    area: Area
    first: int
