"""Which signals' values the RTL simulator shall write: a window of cycles, and a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sim.errors import SimulationError

WaveFormat = Literal["vcd", "fst"]
"""Files of signal values over time that Verilator can write."""


@dataclass(frozen=True, kw_only=True)
class Waves:
    """A request to write the values of all signals during some cycles.

    In the file a cycle lasts a nanosecond: cycle n after START begins at n ns.

    Parameters
    ----------
    path : the file; its ending, .vcd or .fst, says in which form.
    first, last : cycles since START.

    Raises
    ------
    SimulationError : another ending, or a window that is not one.
    """

    path: Path
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.path.suffix not in (".vcd", ".fst"):
            raise SimulationError(f"waves are .vcd or .fst files, got '{self.path}'")
        if not 0 <= self.first <= self.last:
            raise SimulationError(
                "a window of waves is FIRST:LAST with 0 <= FIRST <= LAST,"
                f" got {self.first}:{self.last}"
            )

    @property
    def form(self) -> WaveFormat:
        """What the ending says."""
        return "fst" if self.path.suffix == ".fst" else "vcd"
