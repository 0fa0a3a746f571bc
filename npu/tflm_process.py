"""TFLM's interpreter in a process of its own: a model that crashes it does not crash the caller."""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu import tflm_worker
from npu.errors import GoldenError

PATIENCE_SECONDS = 600.0
"""Longer than any network takes in TFLM: ResNet-50 takes seconds."""
REFUSED = "TFLM does not run this model: "
"""How the message begins about a model that TFLM refuses, or that crashes it."""

# SPACE_TO_BATCH_ND pads with what it finds in its arena: with zeros in one that is static, as on
# a device, or fresh from the operating system. A threshold that is set stays where it is
FRESH_ARENAS = {"MALLOC_MMAP_THRESHOLD_": "131072"}


class TflmProcess:
    """Runs models in TFLM, one at a time; the process is started when it is first needed.

    It ends with this one, and a new one takes its place when a model crashes it.

    Parameters
    ----------
    path : where it looks for libraries, by default where this process does.
    patience_seconds : how long it may take to answer; then it is ended as if it had crashed.

    Attributes
    ----------
    ended : how many processes have ended, with what they kept.
    """

    def __init__(
        self, path: Sequence[str] | None = None, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._path = path
        self._patience_seconds = patience_seconds
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[str] | None = None
        self._forgotten: list[int] = []
        self.ended = 0

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
        request = {"arena": np.int64(arena_bytes), "tensors": np.array(tensors, np.int64)}
        answer = self._exchange("once", model, inputs, request)
        return {index: answer[str(index)] for index in tensors}

    def prepare(self, model: bytes, outputs: int, arena_bytes: int) -> "PreparedModel":
        """`model`, which has so many outputs, ready to be run many times in the process."""
        return PreparedModel(self, model, outputs, arena_bytes)

    def keep(self, number: int, model: bytes, arena_bytes: int) -> int:
        """Keep `model` under a number of its own, until `ended` is no longer what is returned.

        Raises `GoldenError` as `run`.
        """
        self._exchange(f"prepare {number}", model, [], {"arena": np.int64(arena_bytes)})
        return self.ended

    def run_kept(
        self, number: int, inputs: Sequence[NDArray[Any]], outputs: int
    ) -> list[NDArray[Any]]:
        """The outputs of a kept model; `GoldenError` as `run`."""
        answer = self._exchange(f"again {number}", None, inputs, {"outputs": np.int64(outputs)})
        return [answer[str(position)] for position in range(outputs)]

    def forget(self, number: int) -> None:
        """Drop a kept model with the next request; safe while one is under way."""
        self._forgotten.append(number)

    def _exchange(
        self,
        task: str,
        model: bytes | None,
        inputs: Sequence[NDArray[Any]],
        request: dict[str, Any],
    ) -> dict[str, NDArray[Any]]:
        given: dict[str, Any] = {
            f"input{i}": np.asarray(x, order="C") for i, x in enumerate(inputs)
        }
        with self._lock, tempfile.TemporaryDirectory(prefix="npu-tflm-") as name:
            folder = Path(name)
            if model is not None:
                (folder / "model.tflite").write_bytes(model)
            np.savez(folder / "request.npz", **given, **request)
            while self._forgotten:
                self._ask(f"forget {self._forgotten.pop()}")
            kind, _, reason = self._ask(f"{task} {name}").partition(" ")
            if kind == "missing":
                raise GoldenError(
                    "the check needs the TFLM interpreter (package tflite-micro, Linux x86-64 "
                    f"only): {reason}"
                )
            if kind != "done":
                raise GoldenError(f"{REFUSED}{reason}")
            if not (folder / "answer.npz").exists():
                return {}
            with np.load(folder / "answer.npz") as answer:
                return {key: answer[key] for key in answer.files}

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.communicate()
            self._worker = None
            self.ended += 1

    def _ask(self, request: str) -> str:
        worker = self._started()
        assert worker.stdin is not None
        assert worker.stdout is not None
        expired = threading.Event()

        def give_up() -> None:
            expired.set()
            worker.kill()

        timer = threading.Timer(self._patience_seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            worker.stdin.write(f"{request}\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            timer.cancel()
        if not answer:
            self.close()
            if expired.is_set():
                return f"refused its interpreter gave no answer in {self._patience_seconds:g} s"
            return f"refused its interpreter crashed ({_cause(worker.returncode)})"
        return answer.rstrip("\n")

    def _started(self) -> "subprocess.Popen[str]":
        if self._worker is None:
            # -P: nothing beside the script is taken for a library
            command = [sys.executable, "-P", str(Path(tflm_worker.__file__))]
            path = sys.path if self._path is None else self._path
            self._worker = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **FRESH_ARENAS},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            atexit.register(self.close)
        return self._worker


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class PreparedModel:
    """A model that is prepared once, when it first runs, and again where a crash has taken it.

    What it keeps from one run to the next begins anew with that.
    """

    _numbers = count()

    def __init__(self, process: TflmProcess, model: bytes, outputs: int, arena_bytes: int) -> None:
        self._process, self._model = process, model
        self._outputs, self._arena_bytes = outputs, arena_bytes
        self._number = next(self._numbers)
        self._ended = -1
        weakref.finalize(self, process.forget, self._number).atexit = False

    @property
    def prepared(self) -> bool:
        """Whether it goes on where it was: it has run, and no crash has taken it since."""
        return self._ended == self._process.ended

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs for `inputs`, both in the model's order; `GoldenError` as of the process."""
        if not self.prepared:
            self._ended = self._process.keep(self._number, self._model, self._arena_bytes)
        return self._process.run_kept(self._number, inputs, self._outputs)


PROCESS = TflmProcess()
"""The one process of this one."""
