"""Standard output and standard error that outlive whoever reads them."""

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer


class _Patient(io.FileIO):
    """A file descriptor whose reader may go: what is written from then on is dropped."""

    def write(self, data: "Buffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            self.drop()
            return super().write(data)

    def drop(self) -> None:
        """Send what is written from now on to nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def outlive_readers() -> None:
    """Let a command whose output goes to a closed pipe, such as that of `head`, end as it would.

    Streams that are no longer the process's own, such as those of tests, stay as they are.
    """
    out, error = sys.stdout, sys.stderr
    if isinstance(out, io.TextIOWrapper) and out is sys.__stdout__:
        sys.stdout = _patient(out, line_buffering=out.isatty())
    if isinstance(error, io.TextIOWrapper) and error is sys.__stderr__:
        sys.stderr = _patient(error, line_buffering=True)


def drop_output() -> None:
    """Drop what standard output still holds and cannot write, so that the process can end."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Patient):
        raw.drop()


def _patient(stream: TextIO, *, line_buffering: bool) -> io.TextIOWrapper:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Patient(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=line_buffering,
    )
