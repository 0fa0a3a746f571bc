"""Where rows of a feature map lie in the scratchpad."""

from dataclasses import dataclass, replace

from npu.compiler.terms.geometry import Extent
from npu.compiler.terms.memory import Access, Memory
from rtl.config import NpuConfig


@dataclass(frozen=True, slots=True)
class View:
    """Rows of a feature map, from `row0` on, in the scratchpad from word `base` on.

    `row_pitch` and `plane_pitch` are words from one row, and one plane, to the next.
    """

    base: int
    row0: int
    width: int
    planes: int
    row_pitch: int
    plane_pitch: int

    @classmethod
    def dense(cls, base: int, rows: tuple[int, int], extent: Extent, config: NpuConfig) -> "View":
        """Rows `first..end` of a map of `extent` that follow each other."""
        count = rows[1] - rows[0]
        planes = extent.planes(config.lanes)
        return cls(base, rows[0], extent.width, planes, extent.width, count * extent.width)

    def part(self, first: int, planes: int) -> "View":
        """`planes` planes from `first` on."""
        return replace(self, base=self.base + first * self.plane_pitch, planes=planes)

    def address(self, plane: int, row: int, column: int = 0) -> int:
        """Word address; rows and columns outside the view give imaginary addresses."""
        return self.base + plane * self.plane_pitch + (row - self.row0) * self.row_pitch + column

    def access(self, planes: tuple[int, int], rows: tuple[int, int]) -> Access:
        """The words of planes `first..end` and rows `first..end`."""
        start = self.address(planes[0], rows[0])
        # between rows that are apart, the words of others count as touched, too
        length = (rows[1] - rows[0] - 1) * self.row_pitch + self.width
        count = planes[1] - planes[0]
        return Access(Memory.SCRATCHPAD, start, length, count, self.plane_pitch)
