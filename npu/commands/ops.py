"""`npu ops`: which operators run where."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from npu.report.coverage import Coverage

HEADINGS = "operator", "kernels (CPU)", "else in TFLM", "NPU", "what the NPU asks"
NOTE = (
    "An operator also stays on the CPU when the memories on chip are too small for it, or when it "
    "would only move data and nothing beside it runs on the NPU. Operators that compute every "
    "element by itself, whatever their types, run there as one table where they lie between two "
    "int8 tensors, as DEQUANTIZE > NEG > QUANTIZE and GREATER > SELECT_V2 do."
)


def ops(
    json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write a Markdown table to standard output.")
    ] = False,
) -> None:
    """List the operators that run, and on what."""
    import sys

    from npu.errors import OutputError
    from npu.report.coverage import coverage, grouped_coverage
    from npu.report.record import STDOUT, write_json

    if json and markdown:
        raise OutputError("--json and --markdown are given, one of them expected")
    if json:
        write_json([_record(one) for one in coverage()], STDOUT)
    elif markdown:
        sys.stdout.write(markdown_table(grouped_coverage()))
    else:
        _print_table(grouped_coverage())


def markdown_table(groups: "list[Coverage]") -> str:
    """A Markdown table of `groups`, with notes below it."""
    from npu.report.coverage import totals

    rows = [_cells(group) for group in groups]
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows]
    table = "".join(f"| {' | '.join(cell or '-' for cell in line)} |\n" for line in lines)
    return f"{table}\n{totals()} {NOTE}\n"


def _cells(group: "Coverage") -> tuple[str, str, str, str, str]:
    return (
        ", ".join(group.kinds),
        "; ".join(group.kernels),
        group.tflm,
        group.npu,
        "; ".join(constraint.text for constraint in group.constraints),
    )


def _record(one: "Coverage") -> dict[str, Any]:
    (kind,) = one.kinds
    return {
        "operator": kind,
        "kernels": list(one.kernels),
        "tflm": one.tflm or None,
        "npu": one.npu or None,
        "constraints": [{"rule": c.rule, "text": c.text} for c in one.constraints],
    }


def _print_table(groups: "list[Coverage]") -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    from npu.report.coverage import totals
    from npu.report.tables import NONE_SIGN, make_console, print_line

    table = Table(box=SIMPLE, pad_edge=False, show_lines=True)
    for heading, ratio in zip(HEADINGS, (3, 3, 1, 1, 6), strict=True):
        table.add_column(heading, ratio=ratio, overflow="fold")
    for group in groups:
        table.add_row(*(cell or NONE_SIGN for cell in _cells(group)))
    console = make_console()
    console.print(table)
    print_line(console, f"{totals()} {NOTE}")
