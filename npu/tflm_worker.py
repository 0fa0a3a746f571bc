"""The process that TFLM runs in: native code, which a hostile model may take down with it.

A script, not a module that others import: it needs numpy and `tflite_micro` only, and is started
by `npu.tflm_process`. It reads names of folders from standard input, one a line. Each folder holds
`model.tflite` and `request.npz`: the inputs as `input0`, `input1`, ..., the size of the arena in
bytes as `arena`, and the indices of the wanted tensors as `tensors`. The answer is one line on
standard output: `done` after the tensors are in `answer.npz`, by their index; `missing` or
`refused` with a reason otherwise.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
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
        answers.write(" ".join(_answer(Path(line.rstrip("\n"))).split()) + "\n")
        answers.flush()


def _answer(folder: Path) -> str:
    try:
        from tflite_micro import runtime
    except ImportError as error:
        return f"missing {error}"
    messages: list[str] = []
    try:
        with np.load(folder / "request.npz") as request, _captured_stderr(messages):
            values = _run(runtime, (folder / "model.tflite").read_bytes(), request)
    # whatever the interpreter's own reading of the model raises
    except Exception as error:
        return f"refused {'; '.join(messages) or error or type(error).__name__}"
    np.savez(folder / "answer.npz", **values)
    return "done"


def _run(runtime: Any, model: bytes, request: Any) -> dict[str, Any]:
    interpreter = runtime.Interpreter.from_bytes(
        model.replace(PLAN, IGNORED),
        arena_size=int(request["arena"]),
        intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
    )
    inputs = sum(name.startswith("input") for name in request.files)
    for position in range(inputs):
        interpreter.set_input(request[f"input{position}"], position)
    interpreter.invoke()
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
