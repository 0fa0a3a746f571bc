"""Signs of life on standard error: a bar on a terminal, lines about long steps everywhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import TaskID


class Progress(Protocol):
    """Called with what is done, what there is in total, and perhaps another title."""

    def __call__(self, done: int, total: int, said: str | None = None, /) -> None: ...


QUIET_SECONDS = 30
"""Without a terminal, a step in other programs says so often that it is alive."""


COMPILING = "compiling for this machine, once (up to 15 s)"

_ROOMS = ("kernels.", "sim.", "npu.")


@contextmanager
def progress_bar(title: str, *, quiet: bool = False, silent: bool = False) -> Iterator[Progress]:
    """A bar that exists while the block runs; it yields what moves it, and leaves no trace.

    While Numba compiles kernels or simulators, which it does at their first use on a machine, the
    bar says that instead of `title`. Without a terminal a line says it, unless `quiet`. `silent`
    shows nothing at all.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    text = TextColumn("{task.description}", markup=False)
    left = TimeRemainingColumn()
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), left)
    told = quiet or silent or console.is_terminal
    hidden = silent or not console.is_terminal
    with Bar(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(title, total=None)

        def move(done: int, total: int, said: str | None = None, /) -> None:
            bar.update(task, completed=done, total=total, description=said)

        def compiling(now: bool) -> None:
            nonlocal told
            bar.update(task, description=COMPILING if now else title, refresh=True)
            if not told:
                console.print(COMPILING, highlight=False, soft_wrap=True)
                told = True

        with watch_compiler(compiling):
            yield move


@contextmanager
def watch_compiler(tell: Callable[[bool], None]) -> Iterator[None]:
    """While the block runs, `tell` is told when Numba begins and ends to compile code of ours.

    Code that comes from Numba's cache is not compiled.
    """
    from numba.core import event

    depth = 0

    class Listener(event.Listener):
        def on_start(self, found: Any) -> None:
            nonlocal depth
            # what is compiled meanwhile are parts of it
            if depth or found.data["dispatcher"].py_func.__module__.startswith(_ROOMS):
                depth += 1
                if depth == 1:
                    tell(True)

        def on_end(self, found: Any) -> None:
            nonlocal depth
            if depth:
                depth -= 1
                if not depth:
                    tell(False)

    with event.install_listener("numba:compile", Listener()):
        yield


def step_log(title: str, *, silent: bool = False) -> Callable[[str], None]:
    """A function that prints one line per step of something long: seconds, `title`, the step.

    With `silent` it prints nothing.
    """
    from npu.report.tables import make_console, print_line

    console = make_console(stderr=True, quiet=silent)
    begin = time.monotonic()

    def log(step: str) -> None:
        print_line(console, f"{time.monotonic() - begin:4.0f} s  {title}: {step}")

    return log


@contextmanager
def tool_steps(
    title: str, *, silent: bool = False
) -> Iterator[tuple[Callable[[str], None], Callable[[str, str], None]]]:
    """What long steps of other programs, several at a time, are doing while the block runs.

    It yields a function that prints a line about a step, as `step_log` gives, and one that is told
    often what a step is doing now: on a terminal the last of that stands below the lines, elsewhere
    a line says it twice a minute. With `silent` nothing is printed.
    """
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    console = Console(stderr=True, quiet=silent)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    begin = time.monotonic()
    lock = Lock()
    told: dict[str, float] = {}
    tasks: dict[str, TaskID] = {}

    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:

        def log(step: str) -> None:
            line = f"{time.monotonic() - begin:4.0f} s  {title}: {step}"
            console.print(Text(line), soft_wrap=True)
            with lock:
                for name in [name for name in tasks if step.startswith(name)]:
                    bar.remove_task(tasks.pop(name))

        def phase(step: str, doing: str) -> None:
            now = time.monotonic()
            line = f"{step}: {doing}"
            with lock:
                if console.is_terminal:
                    if step not in tasks:
                        tasks[step] = bar.add_task(line, total=None)
                    bar.update(tasks[step], description=line)
                    return
                if now - told.setdefault(step, now) < QUIET_SECONDS:
                    return
                told[step] = now
            log(line)

        yield log, phase
