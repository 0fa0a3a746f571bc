"""The process that TFLM runs in: native code, which a hostile model may take down with it.

A script, not a module that others import: it needs numpy and `tflite_micro` only, and is started
by `npu.tflm_process`. It reads requests from standard input, one a line, and answers each with one
line on standard output: `done`, or `missing` or `refused` with a reason.

- `once FOLDER` runs `model.tflite` in the folder on the inputs `input0`, `input1`, ... of
  `request.npz`, where `arena` is the size of the arena in bytes and `tensors` are the indices of
  the wanted tensors; these are then in `answer.npz`, by their index.
- `prepare NUMBER FOLDER` keeps the folder's model under a number, with an arena as above.
- `again NUMBER FOLDER` runs that model on the inputs in the folder; all its outputs, of which
  `request.npz` says how many there are in `outputs`, are then in `answer.npz`, by their position.
- `forget NUMBER` drops a model.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# the model's own plan of the arena lets tensors share memory: it cannot hold when all are kept
PLAN, IGNORED = b"OfflineMemoryAllocation", b"-fflineMemoryAllocation"


def main() -> None:
    """Answer requests until standard input ends."""
    # what native code prints belongs to nobody who reads the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(" ".join(_answer(*line.rstrip("\n").split(" ")).split()) + "\n")
        answers.flush()


def _answer(task: str, *arguments: str) -> str:
    try:
        from tflite_micro import runtime
    except ImportError as error:
        return f"missing {error}"
    messages: list[str] = []
    try:
        with _captured_stderr(messages):
            TASKS[task](runtime, *arguments)
    # whatever the interpreter's own reading of the model raises
    except Exception as error:
        return f"refused {'; '.join(messages) or error or type(error).__name__}"
    return "done"


def _once(runtime: Any, folder: str) -> None:
    with np.load(Path(folder, "request.npz")) as request:
        np.savez(Path(folder, "answer.npz"), **_values(runtime, Path(folder), request))


def _prepare(runtime: Any, number: str, folder: str) -> None:
    with np.load(Path(folder, "request.npz")) as request:
        KEPT[number] = runtime.Interpreter.from_bytes(
            Path(folder, "model.tflite").read_bytes(), arena_size=int(request["arena"])
        )


def _again(_: Any, number: str, folder: str) -> None:
    interpreter = KEPT[number]
    with np.load(Path(folder, "request.npz")) as request:
        _invoke(interpreter, request)
        outputs: dict[str, Any] = {
            str(position): np.array(interpreter.get_output(position))
            for position in range(int(request["outputs"]))
        }
    np.savez(Path(folder, "answer.npz"), **outputs)


def _forget(_: Any, number: str) -> None:
    KEPT.pop(number, None)


KEPT: dict[str, Any] = {}
TASKS: dict[str, Callable[..., None]] = {
    "once": _once,
    "prepare": _prepare,
    "again": _again,
    "forget": _forget,
}


def _invoke(interpreter: Any, request: Any) -> None:
    inputs = sum(name.startswith("input") for name in request.files)
    for position in range(inputs):
        interpreter.set_input(request[f"input{position}"], position)
    if interpreter.invoke():
        raise RuntimeError("an operator ends the inference early")


def _values(runtime: Any, folder: Path, request: Any) -> dict[str, Any]:
    interpreter = runtime.Interpreter.from_bytes(
        (folder / "model.tflite").read_bytes().replace(PLAN, IGNORED),
        arena_size=int(request["arena"]),
        intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
    )
    _invoke(interpreter, request)
    # a copy: the interpreter hands out views into an arena that dies with it
    return {
        str(index): np.array(interpreter.GetTensor(int(index), 0)["tensor_data"])
        for index in request["tensors"]
    }


@contextmanager
def _captured_stderr(messages: list[str]) -> Iterator[None]:
    """Collect what native code writes to file descriptor 2: TFLM explains its errors only there."""
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            text = sink.read().decode("utf-8", errors="replace")
            messages += [line.strip() for line in text.splitlines() if line.strip()]


if __name__ == "__main__":
    main()
