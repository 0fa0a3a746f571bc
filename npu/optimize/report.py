"""The report of a run: a table for the terminal, and a record for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from npu.optimize.measure import StageResult
from npu.report.tables import NARROW_COLUMNS, PIPE_COLUMNS

NONE_SIGN = "-"


@dataclass(frozen=True)
class Outcome:
    """What a run's stages leave: their results, lines for the user, the last file, `sensitivity` as
    in `Report`.
    """

    stages: Sequence[StageResult]
    notes: Sequence[str]
    last: bytes
    sensitivity: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run, or several settings side by side.

    Attributes
    ----------
    model, config : what the user named. settings : see `Settings.to_dict`.
    stages : in order; the first one is the network as it came.
    notes : lines that the user should read.
    sensitivity : by layer, the validation accuracy with that layer alone pruned by some ratio.
    key : identifies the run.
    """

    model: str
    config: str
    settings: Mapping[str, Any]
    stages: Sequence[StageResult]
    notes: Sequence[str] = ()
    sensitivity: Sequence[Mapping[str, Any]] = ()
    key: str = ""

    def record(self) -> dict[str, Any]:
        """The report as JSON takes it; `speedup` is that of cycles over the first stage.

        `speedup_over_cpu` is that over the first stage on the CPU; `pareto` names the stages of
        `pareto_front`.
        """
        first = self.stages[0]
        return {
            "key": self.key,
            "model": self.model,
            "config": self.config,
            "settings": dict(self.settings),
            "stages": [
                {
                    **asdict(stage),
                    "speedup": _ratio(first.cycles, stage.cycles),
                    "speedup_over_cpu": _ratio(first.cpu_cycles, stage.cycles),
                }
                for stage in self.stages
            ],
            "pareto": [stage.stage for stage in pareto_front(self.stages)],
            "sensitivity": [dict(row) for row in self.sensitivity],
            "notes": list(self.notes),
        }


def pareto_front(stages: Sequence[StageResult]) -> list[StageResult]:
    """Stages with an accuracy than which none has fewer cycles and as much of it, by cycles."""
    front: list[StageResult] = []
    known = [s for s in stages if s.int8_accuracy is not None and s.cycles is not None]
    for stage in sorted(known, key=lambda s: (s.cycles or 0, -(s.int8_accuracy or 0))):
        if not front or (stage.int8_accuracy or 0) > (front[-1].int8_accuracy or 0):
            front.append(stage)
    return front


def stage_tables(stages: Sequence[StageResult], width: int = PIPE_COLUMNS) -> tuple[Table, Table]:
    """What stages reach and how long they take; then how large they are, and what is in them.

    Cycles are also relative to the first stage. Names are folded, figures never cut; narrow tables
    leave out MACs and zlib.
    """
    first = stages[0]
    names = [stage.stage for stage in stages]
    speed = {
        "float": [percent(stage.float_accuracy) for stage in stages],
        "int8": [percent(stage.int8_accuracy) for stage in stages],
        "MACs": [f"{stage.macs:,}" for stage in stages],
        "cycles": [count(stage.cycles) for stage in stages],
        "of dense": [percent(_ratio(stage.cycles, first.cycles)) for stage in stages],
        "over CPU": [_over_cpu(first, stage) for stage in stages],
    }
    size = {
        "file": [f"{stage.file_bytes:,}" for stage in stages],
        "zlib": [f"{stage.compressed_bytes:,}" for stage in stages],
        "weights read": [count(stage.stream_bytes) for stage in stages],
        "zeros": [percent(stage.sparsity) for stage in stages],
        "zero words": [percent(stage.word_sparsity) for stage in stages],
        "codes": [str(stage.values) for stage in stages],
    }
    if width < NARROW_COLUMNS:
        del speed["MACs"], size["zlib"]
    return _table(names, speed), _table(names, size)


def _table(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, collapse_padding=True)
    table.add_column("stage", overflow="fold", min_width=8)
    for heading, cells in columns.items():
        # a heading may wrap, figures must not
        widest = max(map(len, [*heading.split(), *cells]))
        table.add_column(heading, justify="right", min_width=widest)
    for name, *cells in zip(names, *columns.values(), strict=True):
        table.add_row(name, *cells)
    return table


def markdown_table(stages: Sequence[StageResult]) -> str:
    """The same for a document."""
    first = stages[0]
    lines = [
        "| stage | float | int8 | file | zlib | weights read | zeros | zero words | codes | MACs"
        " | cycles | of dense | over CPU |",
        "|---|" + "---:|" * 12,
    ]
    for stage in stages:
        lines.append(
            f"| {stage.stage} | {percent(stage.float_accuracy)} | {percent(stage.int8_accuracy)}"
            f" | {stage.file_bytes:,} | {stage.compressed_bytes:,} | {count(stage.stream_bytes)}"
            f" | {percent(stage.sparsity)} | {percent(stage.word_sparsity)} | {stage.values}"
            f" | {stage.macs:,} | {count(stage.cycles)}"
            f" | {percent(_ratio(stage.cycles, first.cycles))} | {_over_cpu(first, stage)} |"
        )
    return "\n".join(lines) + "\n"


def _over_cpu(first: StageResult, stage: StageResult) -> str:
    """How many times fewer cycles than the first stage on the CPU; `~` where that is estimated."""
    over = _ratio(first.cpu_cycles, stage.cycles)
    return NONE_SIGN if over is None else f"{'' if first.cpu_measured else '~'}{over:.1f}x"


def percent(share: float | None) -> str:
    """A share of 0 to 1 as `12.34 %`."""
    return NONE_SIGN if share is None else f"{100 * share:.2f} %"


def count(number: int | None) -> str:
    """A number with commas."""
    return NONE_SIGN if number is None else f"{number:,}"


def _ratio(above: int | None, below: int | None) -> float | None:
    return above / below if above and below else None
