"""LiteRT's two sets of kernels on a network: its reference kernels, and XNNPACK.

LiteRT is a peer to compare with, installed by `make bench` in an environment of its own, never a
dependency; so it runs in a process of its own, which is asked for one inference at a time.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

PYTHON = Path(__file__).resolve().parents[2] / ".venv-bench" / "bin" / "python"
WORKER = Path(__file__).with_name("litert_worker.py")


class LitertError(Exception):
    """LiteRT is absent or does not run the model; the message says which."""


class LitertProcess:
    """A process with a network loaded, as a context manager.

    Parameters
    ----------
    model : the `.tflite` file. inputs : its inputs in order.

    Raises
    ------
    LitertError : LiteRT is not installed, or does not run the model; raised on entering.
    """

    def __init__(self, model: Path, inputs: Sequence[NDArray[Any]]) -> None:
        self._model = model
        self._inputs = inputs

    def __enter__(self) -> "LitertProcess":
        if not PYTHON.is_file():
            raise LitertError("LiteRT is not installed; `make bench` installs it")
        self._folder = tempfile.TemporaryDirectory()
        stored = Path(self._folder.name) / "inputs.npz"
        arrays: dict[str, Any] = {str(i): value for i, value in enumerate(self._inputs)}
        np.savez(stored, **arrays)
        self._process = subprocess.Popen(
            [str(PYTHON), str(WORKER), str(self._model), str(stored)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            if self._answer() != "ready":
                raise LitertError(f"LiteRT is not installed, or does not load {self._model.name}")
        except LitertError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def milliseconds(self, kernels: str) -> float:
        """CPU milliseconds of one inference on `kernels`, reference or xnnpack.

        Raises `LitertError` when the process ends instead.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{kernels}\n")
            self._process.stdin.flush()
            return float(self._answer())
        except (OSError, ValueError):
            raise LitertError(f"LiteRT does not run {self._model.name}") from None

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
