"""The report of a run: a table for the terminal, and a record for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from npu.optimize.measure import StageResult

NONE_SIGN = "-"


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run.

    Attributes
    ----------
    model, config : what the user named. settings : see `Settings.to_dict`.
    stages : in order; the first one is the network as it came.
    notes : lines that the user should read.
    sensitivity : by layer, the validation accuracy with that layer alone pruned by some ratio.
    """

    model: str
    config: str
    settings: Mapping[str, Any]
    stages: Sequence[StageResult]
    notes: Sequence[str] = ()
    sensitivity: Sequence[Mapping[str, Any]] = ()

    def record(self) -> dict[str, Any]:
        """The report as JSON takes it; `speedup` is that of cycles over the first stage."""
        first = self.stages[0]
        return {
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
            "sensitivity": [dict(row) for row in self.sensitivity],
            "notes": list(self.notes),
        }


def stage_table(stages: Sequence[StageResult]) -> Table:
    """One row for each stage; cycles also relative to the first."""
    first = stages[0]
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("stage", overflow="fold")
    for heading in (
        *("float", "int8", "file", "zlib", "weights read", "zeros", "zero words", "codes"),
        *("MACs", "cycles", "of dense", *(("over CPU",) if first.cpu_cycles else ())),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in stages:
        cells = [
            stage.stage,
            percent(stage.float_accuracy),
            percent(stage.int8_accuracy),
            f"{stage.file_bytes:,}",
            f"{stage.compressed_bytes:,}",
            count(stage.stream_bytes),
            percent(stage.sparsity),
            percent(stage.word_sparsity),
            str(stage.values),
            f"{stage.macs:,}",
            count(stage.cycles),
            percent(_ratio(stage.cycles, first.cycles)),
        ]
        if first.cpu_cycles:
            over = _ratio(first.cpu_cycles, stage.cycles)
            cells.append(NONE_SIGN if over is None else f"{over:.1f}x")
        table.add_row(*cells)
    return table


def markdown_table(stages: Sequence[StageResult]) -> str:
    """The same for a document."""
    first = stages[0]
    lines = [
        "| stage | float | int8 | file | zlib | weights read | zeros | zero words | codes | MACs"
        " | cycles | of dense |",
        "|---|" + "---:|" * 11,
    ]
    for stage in stages:
        lines.append(
            f"| {stage.stage} | {percent(stage.float_accuracy)} | {percent(stage.int8_accuracy)}"
            f" | {stage.file_bytes:,} | {stage.compressed_bytes:,} | {count(stage.stream_bytes)}"
            f" | {percent(stage.sparsity)} | {percent(stage.word_sparsity)} | {stage.values}"
            f" | {stage.macs:,} | {count(stage.cycles)}"
            f" | {percent(_ratio(stage.cycles, first.cycles))} |"
        )
    return "\n".join(lines) + "\n"


def percent(share: float | None) -> str:
    """A share of 0 to 1 as `12.34 %`."""
    return NONE_SIGN if share is None else f"{100 * share:.2f} %"


def count(number: int | None) -> str:
    """A number with commas."""
    return NONE_SIGN if number is None else f"{number:,}"


def _ratio(above: int | None, below: int | None) -> float | None:
    return above / below if above and below else None
