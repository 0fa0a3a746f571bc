"""Signs of life on standard error: a bar on a terminal, lines about long steps everywhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[int, int], None]
"""Called with commands done and commands in total."""


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A bar that exists while the block runs; it yields what moves it, and leaves no trace."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def move(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield move


def step_log(title: str) -> Callable[[str], None]:
    """A function that prints one line per step of something long: seconds, `title`, the step."""
    from npu.report.tables import make_console, print_line

    console = make_console(stderr=True)
    begin = time.monotonic()

    def log(step: str) -> None:
        print_line(console, f"{time.monotonic() - begin:4.0f} s  {title}: {step}")

    return log
