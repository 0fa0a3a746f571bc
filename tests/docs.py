"""`python -m tests.docs` (`make docs`): write the tables that follow from the code."""

import sys
from collections.abc import Callable
from pathlib import Path

from npu.commands.ops import markdown_table
from npu.report.coverage import grouped_coverage
from npu.synth.report import markdown_tables
from npu.synth.shipped import load_shipped
from rtl.isa_table import field_tables

ROOT = Path(__file__).resolve().parents[1]

TABLES: tuple[tuple[Path, str, Callable[[], str]], ...] = (
    (ROOT / "README.md", "operators", lambda: markdown_table(grouped_coverage())),
    (ROOT / "README.md", "area", lambda: markdown_tables(load_shipped())),
    (ROOT / "rtl" / "ARCHITECTURE.md", "fields", field_tables),
)
"""The document, the section between markers, and what makes its content."""


class MarkerError(Exception):
    """A document has no place for the table."""


def replace_section(text: str, name: str, content: str) -> str:
    """`text` with `content` between the markers of a section.

    Raises `MarkerError` when they are missing.
    """
    first, last = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise MarkerError(f"the document needs a line {first} and after it a line {last}")
    return f"{before}{first}\n{content}{last}{after}"


def main() -> int:
    """Rewrite each document whose tables are not what the code says; returns the exit code."""
    for path, name, make in TABLES:
        text = path.read_text(encoding="utf-8")
        try:
            current = replace_section(text, name, make())
        except MarkerError as error:
            sys.stderr.write(f"{path}: {error}\n")
            return 1
        if current != text:
            path.write_text(current, encoding="utf-8")
            sys.stdout.write(f"{path}: {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
