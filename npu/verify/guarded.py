"""Verifies a design in a process of its own: one that crashes or never ends takes no more with it.

Verilated hardware ends its process when its logic does not settle, and a loop in its Verilog may
not end at all.
"""

import multiprocessing
import signal
from dataclasses import fields
from multiprocessing.connection import Connection
from typing import Any

from npu.verify.suite import Fault, Outcome, Progress, Suite
from rtl.errors import NpuError

PROGRAM_SECONDS = 120.0
"""What a program may take: ours take less than one."""

BUILD_SECONDS = 1800.0
"""What a step of a build may take."""


def run_guarded(
    suite: Suite,
    progress: Progress | None = None,
    program_seconds: float = PROGRAM_SECONDS,
    build_seconds: float = BUILD_SECONDS,
) -> list[Outcome]:
    """`suite.run(progress)` in another process, whose coverage then is the suite's.

    Where that process dies or takes too long, what it was doing is the last outcome's fault.

    Raises
    ------
    BuildError : the design cannot be built.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    settings = {part.name: getattr(suite, part.name) for part in fields(suite) if part.init}
    process = context.Process(target=_serve, args=(theirs, settings | {"log": None}), daemon=True)
    process.start()
    theirs.close()
    outcomes: list[Outcome] = []
    patience = build_seconds
    try:
        while ours.poll(patience):
            kind, *values = ours.recv()
            if kind == "log":
                patience = build_seconds
                if suite.log is not None:
                    suite.log(*values)
            elif kind == "progress":
                patience = program_seconds if values[0] else build_seconds
                if progress is not None:
                    progress(*values)
            elif kind == "outcomes":
                outcomes = values[0]
            elif kind == "coverage":
                suite.coverage.counts.update(values[0])
            elif kind == "error":
                raise values[0]
            elif kind == "end":
                return outcomes
        said = f"the simulation takes longer than {patience:g} s, and was ended"
    except EOFError:
        process.join()
        said = _death(process.exitcode)
    finally:
        process.kill()
        process.join()
        ours.close()
    return _broken(suite, outcomes, said)


def _serve(connection: Connection, settings: dict[str, Any]) -> None:
    """Run a suite and tell how it goes."""

    def send(kind: str, *values: Any) -> None:
        connection.send((kind, *values))

    suite = Suite(**settings)
    suite.log = lambda line: send("log", line)

    def progress(done: int, total: int) -> None:
        send("outcomes", suite.outcomes)
        send("progress", done, total)

    try:
        suite.run(progress)
        send("outcomes", suite.outcomes)
        send("coverage", suite.coverage.counts)
        send("end")
    except NpuError as error:
        send("error", error)
    except KeyboardInterrupt:
        pass


def _death(code: int | None) -> str:
    how = f"exit code {code}"
    if code is not None and code < 0:
        how = signal.Signals(-code).name
    return (
        f"the simulation of this design died ({how}): logic that does not settle, $stop, or memory"
    )


def _broken(suite: Suite, outcomes: list[Outcome], said: str) -> list[Outcome]:
    """The outcomes, the last of which ended with the process."""
    assert suite.aims is not None
    if not outcomes:
        outcomes = [Outcome(suite.aims[0])]
    last = outcomes[-1]
    seed = suite.seed_of(last.programs)
    last.programs += 1
    last.wrong += 1
    if last.fault is None:
        last.fault = Fault(seed, (said,))
    return outcomes
