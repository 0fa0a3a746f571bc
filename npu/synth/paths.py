"""The critical path that a router reports, block by block."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from npu.synth.labels import TOP


@dataclass(frozen=True)
class Segment:
    """A stretch of the path inside one block.

    Attributes
    ----------
    block : its path of instance names. cells : how many it goes through there.
    logic_ns, routing_ns : delay of these cells, and of the wires that they drive.
    """

    block: str
    cells: int
    logic_ns: float
    routing_ns: float


@dataclass(frozen=True)
class CriticalPath:
    """The longest path from register to register.

    Attributes
    ----------
    start, end : the registers, by the net that they drive or else their cell.
    segments : from start to end.
    """

    start: str
    end: str
    segments: tuple[Segment, ...]

    @property
    def nanoseconds(self) -> float:
        """Its delay."""
        return sum(segment.logic_ns + segment.routing_ns for segment in self.segments)

    def by_block(self) -> dict[str, float]:
        """Nanoseconds in each block, the most first; a path may enter a block more than once."""
        found: dict[str, float] = {}
        for segment in self.segments:
            spent = segment.logic_ns + segment.routing_ns
            found[segment.block] = found.get(segment.block, 0.0) + spent
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "CriticalPath":
        """The path of a record that `to_dict` made."""
        segments = tuple(Segment(**segment) for segment in record["segments"])
        return cls(record["start"], record["end"], segments)


def critical_path(
    report: Mapping[str, Any], labels: Mapping[str, str], nets: Mapping[str, str]
) -> CriticalPath | None:
    """The longest path between registers of one clock; None for a design without any.

    Parameters
    ----------
    report : what `nextpnr --report` wrote.
    labels : the block of each cell. nets : a name for what cells drive, where they have one.
    """
    clocked = [
        path["path"]
        for path in report["critical_paths"]
        if path["from"] == path["to"] and path["from"] != "<async>"
    ]
    if not clocked:
        return None
    steps = max(clocked, key=lambda path: sum(step["delay"] for step in path))
    first, last = (_cell(steps[end]["from"]["cell"], labels) for end in (0, -1))
    return CriticalPath(nets.get(first, first), nets.get(last, last), _segments(steps, labels))


def _segments(steps: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> tuple[Segment, ...]:
    found: list[Segment] = []
    entered: list[str] = []
    for step in steps:
        cell = _cell(step["from"]["cell"], labels)
        block = labels.get(cell, TOP)
        if not found or found[-1].block != block:
            found.append(Segment(block, 0, 0.0, 0.0))
            entered.append("")
        former = found[-1]
        wire = step["type"] == "routing"
        found[-1] = Segment(
            block,
            former.cells + (cell != entered[-1]),
            former.logic_ns + (0.0 if wire else step["delay"]),
            former.routing_ns + (step["delay"] if wire else 0.0),
        )
        entered[-1] = cell
    return tuple(found)


def _cell(name: str, labels: Mapping[str, str]) -> str:
    """The netlist's cell that the router made `name` of: it appends `$...` to the parts."""
    plain = name
    while plain and plain not in labels:
        plain = plain.rpartition("$")[0]
    return plain or name
