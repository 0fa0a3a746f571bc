"""What the tables share."""

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from npu.report.tables import make_console

NONE_SIGN = "-"


PIPE_COLUMNS = 180
"""Width without a terminal: no table of figures is cut."""


def console() -> Console:
    """Standard output."""
    chosen = make_console()
    if not chosen.is_terminal:
        chosen.width = PIPE_COLUMNS
    return chosen


def new_table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", no_wrap=True)
    return table


def thousands(value: float | None) -> str:
    """Cycles in thousands, with enough digits."""
    return NONE_SIGN if value is None else f"{value / 1000:,.1f}"


def percent(value: float | None) -> str:
    """A share of one."""
    return NONE_SIGN if value is None else f"{100 * value:.1f} %"


def factor(value: float | None) -> str:
    """A ratio."""
    return NONE_SIGN if value is None else f"{value:.2f}x"
