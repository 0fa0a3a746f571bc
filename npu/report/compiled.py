"""What `npu compile` prints."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from npu.embedded.compiled_model import CompiledModel
from npu.embedded.summary import Summary
from npu.report.tables import print_line


def print_compiled(console: Console, model: CompiledModel, path: Path, config: str) -> None:
    """One line: what was written, and how much of the network runs on the NPU."""
    graph, parts = model.network.graph, model.network.partition
    taken = len(graph.operators) - len(parts.reasons)
    print_line(
        console,
        f"{path}: {len(model.file):,} bytes for {config}, configuration id "
        f"{model.network.config.config_id:#010x}; {taken} of {len(graph.operators)} operators in "
        f"{len(model.programs)} segments",
    )


def print_summary(console: Console, summary: Summary) -> None:
    """The table of segments, and the memories."""
    table = Table(title="Segments: bytes, and cycles of the NPU")
    names = ("operators", "MACs", "commands", "weights", "arena", "scratchpad", "cycles")
    for name in names:
        table.add_column(name, justify="right")
    for one in summary.segments:
        counts = (one.macs, one.command_bytes, one.constant_bytes, one.arena_bytes)
        numbers = (*counts, one.scratchpad_bytes, one.cycles)
        table.add_row(
            f"{one.first_operator}-{one.last_operator}", *(f"{number:,}" for number in numbers)
        )
    console.print(table)
    print_line(
        console,
        f"file: {summary.file_bytes:,} bytes, original {summary.original_bytes:,}; scratchpad "
        f"on chip: {summary.scratchpad_bytes:,} bytes",
    )
    print_line(
        console,
        f"TFLM's arena on this machine, by its own figure: {_bytes(summary.tflm_arena_bytes)}; "
        f"the original's: {_bytes(summary.original_arena_bytes)}",
    )
    for index, reason in summary.cpu_operators.items():
        print_line(console, f"operator {index} stays: {reason}")


def _bytes(count: int | None) -> str:
    return "TFLM refuses it" if count is None else f"{count:,} bytes"
