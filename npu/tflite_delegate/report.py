"""What the segments of a delegate cost, per segment and per invoke."""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from npu.offload.backends import BackendName
from npu.offload.result import utilization

KEPT_INVOKES = 1000
"""How many invokes of an interpreter are kept one by one; older ones count in the segments only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReport:
    """A run of operators that the delegate has taken from an interpreter.

    Attributes
    ----------
    interpreter : number of the interpreter's subgraph, in the order in which they met the delegate.
    operators : the numbers of its nodes. kinds : their kinds.
    macs : useful MACs of a run on the NPU.
    runs : how often it ran. cycles : of its last run, None from a backend without time.
    total_cycles : of all runs.
    utilization : of the last run: useful MACs / (MACs per cycle x cycles).
    on_cpu : operators that did not fit the NPU any more when the interpreter's inputs were resized,
        and that ran on reference kernels.
    """

    interpreter: int
    operators: tuple[int, ...]
    kinds: tuple[str, ...]
    macs: int
    runs: int
    cycles: int | None
    total_cycles: int | None
    utilization: float | None
    on_cpu: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeReport:
    """One invoke of an interpreter: the NPU's part of it."""

    interpreter: int
    segments: int
    macs: int
    cycles: int | None
    utilization: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterReport:
    """How the operators of an interpreter's subgraph were divided.

    Attributes
    ----------
    operators : in all. npu_operators : of these, taken by the delegate.
    macs, npu_macs : useful MACs, likewise; in the shapes of the file.
    reasons : why the others were left, by node.
    """

    interpreter: int
    operators: int
    npu_operators: int
    macs: int
    npu_macs: int
    reasons: dict[int, str] = field(default_factory=dict)

    @property
    def offload(self) -> float | None:
        """The share of the useful MACs on the NPU, 0 to 1; None for a graph without MACs."""
        return self.npu_macs / self.macs if self.macs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateReport:
    """All that a delegate has done; `str` gives it as a text, `to_dict` for JSON."""

    backend: BackendName
    config_id: int
    macs_per_cycle: int
    interpreters: tuple[InterpreterReport, ...]
    segments: tuple[SegmentReport, ...]
    invokes: tuple[InvokeReport, ...]

    @property
    def cycles(self) -> int | None:
        """Cycles of all runs of all segments; None from a backend without time."""
        known = [s.total_cycles for s in self.segments if s.total_cycles is not None]
        return sum(known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"backend {self.backend}, {self.macs_per_cycle} MACs/cycle"]
        for one in self.interpreters:
            share = "" if one.offload is None else f", {one.offload:.1%} of the MACs"
            lines.append(
                f"interpreter {one.interpreter}: {one.npu_operators} of {one.operators} operators "
                f"on the NPU{share}"
            )
        for s in self.segments:
            timed = "" if s.cycles is None else f", {s.cycles:,} cycles"
            used = "" if s.utilization is None else f", utilization {s.utilization:.1%}"
            lines.append(
                f"  interpreter {s.interpreter}, nodes {s.operators[0]} to {s.operators[-1]}: "
                f"{len(s.operators)} operators, {s.macs:,} MACs, {s.runs} runs{timed}{used}"
            )
        return "\n".join(lines)


class SegmentRecord:
    """Counts the runs of one segment."""

    def __init__(
        self, log: "InterpreterLog", operators: tuple[int, ...], kinds: tuple[str, ...]
    ) -> None:
        self._log = log
        self._position = log.add(self)
        self._operators, self._kinds = operators, kinds
        self.macs = 0
        self.on_cpu: tuple[int, ...] = ()
        self._runs = self._total = 0
        self._cycles: int | None = None

    def ran(self, cycles: int | None) -> None:
        """A run has ended, after so many cycles."""
        self._runs += 1
        self._cycles = cycles
        if cycles is not None:
            self._total += cycles
        self._log.ran(self._position, self.macs, cycles)

    def report(self, macs_per_cycle: int) -> SegmentReport:
        """What is known now."""
        return SegmentReport(
            interpreter=self._log.number,
            operators=self._operators,
            kinds=self._kinds,
            macs=self.macs,
            runs=self._runs,
            cycles=self._cycles,
            total_cycles=None if self._cycles is None else self._total,
            utilization=utilization(self.macs, self._cycles, macs_per_cycle),
            on_cpu=self.on_cpu,
        )


class InterpreterLog:
    """The segments of one subgraph of an interpreter, and its last invokes.

    The interpreter does not say where an invoke begins: it is where a segment runs that does not
    lie behind the one before it.
    """

    def __init__(self, number: int, division: InterpreterReport) -> None:
        self.number, self.division = number, division
        self.segments: list[SegmentRecord] = []
        self._invokes: deque[list[int | None]] = deque(maxlen=KEPT_INVOKES)
        self._last = -1

    def add(self, segment: SegmentRecord) -> int:
        """Another segment, in execution order; returns its position."""
        self.segments.append(segment)
        return len(self.segments) - 1

    def ran(self, position: int, macs: int, cycles: int | None) -> None:
        """The segment at `position` has run."""
        if position <= self._last or not self._invokes:
            self._invokes.append([0, 0, None])
        invoke = self._invokes[-1]
        segments, before, total = invoke
        invoke[0], invoke[1] = (segments or 0) + 1, (before or 0) + macs
        if cycles is not None:
            invoke[2] = (total or 0) + cycles
        self._last = position

    def invokes(self, macs_per_cycle: int) -> list[InvokeReport]:
        """The last invokes, the latest one last."""
        return [
            InvokeReport(
                interpreter=self.number,
                segments=segments or 0,
                macs=macs or 0,
                cycles=cycles,
                utilization=utilization(macs or 0, cycles, macs_per_cycle),
            )
            for segments, macs, cycles in list(self._invokes)
        ]
