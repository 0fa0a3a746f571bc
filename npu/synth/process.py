"""Tools in processes that never outlive the command: several at a time, one stop for all."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import FrameType, TracebackType
from typing import Any, TypeVar

from sim.cache import cache_folder

WORKER = Path(__file__).with_name("worker.py")

# yosys passes on what its helper abc prints
_ERROR = re.compile(r"(ABC: )?(ERROR|Error): ")

Result = TypeVar("Result")

OnLine = Callable[[str], None]
"""Called with each line that a tool prints, in the thread that waits for it."""


class ToolFailedError(Exception):
    """A tool ended with a non-zero exit code.

    Attributes
    ----------
    code : its exit code. lines : all that it printed.
    """

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        super().__init__(f"exit code {code}")
        self.code = code
        self.lines = lines

    @property
    def reason(self) -> str:
        """The first line that says what went wrong, without its mark; else the last one."""
        if self.code < 0:
            hint = " (out of memory?)" if self.code == -signal.SIGKILL else ""
            return f"its process ended by {signal.Signals(-self.code).name}{hint}"
        said = [line for line in self.lines if line.strip()]
        marked = [line for line in said if _ERROR.match(line)]
        return _ERROR.sub("", (marked or said[-1:] or [str(self)])[0]).strip()


class Tools:
    """Runs tools, and ends all of them when the block that it manages is left.

    Parameters
    ----------
    jobs : how many run at a time in `each`.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = Lock()
        self._stopped = False

    def __enter__(self) -> "Tools":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def run(self, job: dict[str, Any], folder: Path, on_line: OnLine) -> list[str]:
        """Run a job (see `npu.synth.worker`) in `folder`; returns the lines that it printed.

        Raises
        ------
        ToolFailedError : it failed, or was stopped.
        """
        text = json.dumps({**job, "parent": os.getpid()})
        (folder / "job.json").write_text(text, encoding="utf-8")
        # whatever the tools leave in a folder for temporary files goes with the job's
        places = {"TMPDIR": str(folder), "YOWASP_CACHE_DIR": str(cache_folder() / "yowasp")}
        with self._lock:
            if self._stopped:
                raise ToolFailedError(-signal.SIGKILL, [])
            process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER), "job.json"],
                cwd=folder,
                env={**os.environ, **places},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # a group of its own: the terminal's interrupt does not reach it, and one signal
                # reaches its children too
                start_new_session=True,
            )
            self._running.add(process)
        lines: list[str] = []
        try:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    lines.append(line.rstrip("\n"))
                    on_line(lines[-1])
            code = process.wait()
        finally:
            _end(process)
            with self._lock:
                self._running.discard(process)
        if code:
            raise ToolFailedError(code, lines)
        return lines

    def each(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Run `tasks`, `jobs` at a time; returns their results in order.

        When one fails, or the user interrupts, the others are ended before that is passed on.
        """
        with ThreadPoolExecutor(self.jobs) as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                # what failed first is what went wrong; the others may still run
                for future in futures:
                    if future.done():
                        future.result()
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                self.stop()
                raise

    def stop(self) -> None:
        """End every tool that runs; none starts any more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        process.wait()


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat a request to terminate, or a closed terminal, as an interrupt while the block runs."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signals = (signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
