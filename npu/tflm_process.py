"""TFLM's interpreter in a process of its own: a model that crashes it does not crash the caller."""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu import tflm_worker
from npu.errors import GoldenError


class TflmProcess:
    """Runs models in TFLM, one at a time; the process is started when it is first needed.

    It ends with this one, and a new one takes its place when a model crashes it.

    Parameters
    ----------
    path : where it looks for libraries, by default where this process does.
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[str] | None = None

    def run(
        self,
        model: bytes,
        inputs: Sequence[NDArray[Any]],
        tensors: Sequence[int],
        arena_bytes: int,
    ) -> dict[int, NDArray[Any]]:
        """Run `model` once on `inputs`, in its order; the values of `tensors`, which are all kept.

        Raises `GoldenError` when the interpreter is not installed, refuses the model, or crashes.
        """
        with self._lock, tempfile.TemporaryDirectory(prefix="npu-tflm-") as name:
            folder = Path(name)
            (folder / "model.tflite").write_bytes(model)
            given: dict[str, Any] = {
                f"input{i}": np.asarray(x, order="C") for i, x in enumerate(inputs)
            }
            wanted: dict[str, Any] = {
                "arena": np.int64(arena_bytes),
                "tensors": np.array(tensors, np.int64),
            }
            np.savez(folder / "request.npz", **given, **wanted)
            kind, _, reason = self._ask(name).partition(" ")
            if kind == "missing":
                raise GoldenError(
                    "the check needs the TFLM interpreter (package tflite-micro, Linux x86-64 "
                    f"only): {reason}"
                )
            if kind != "done":
                raise GoldenError(f"TFLM does not run this model: {reason}")
            with np.load(folder / "answer.npz") as answer:
                return {index: answer[str(index)] for index in tensors}

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.communicate()
            self._worker = None

    def _ask(self, folder: str) -> str:
        worker = self._started()
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(f"{folder}\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.close()
            return f"refused its interpreter crashed ({_cause(worker.returncode)})"
        return answer.rstrip("\n")

    def _started(self) -> "subprocess.Popen[str]":
        if self._worker is None:
            # -P: nothing beside the script is taken for a library
            command = [sys.executable, "-P", str(Path(tflm_worker.__file__))]
            path = sys.path if self._path is None else self._path
            self._worker = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            atexit.register(self.close)
        return self._worker


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


PROCESS = TflmProcess()
"""The one process of this one."""
