"""The golden interpreter: TensorFlow Lite Micro, as the `tflite-micro` wheel ships it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert.schema_py_generated import Model
from numpy.typing import NDArray
from tflite_micro import runtime

# the arena lives for one call only, so a generous one costs nothing
MIN_ARENA_BYTES = 1 << 20


def run_tflm(
    model: bytes, inputs: Sequence[NDArray[Any]], *, arena_bytes: int | None = None
) -> list[NDArray[Any]]:
    """Run `model` once on `inputs` (in the model's order); returns copies of its outputs."""
    return run_tflm_steps(model, [inputs], arena_bytes=arena_bytes)[0]


def run_tflm_steps(
    model: bytes, steps: Sequence[Sequence[NDArray[Any]]], *, arena_bytes: int | None = None
) -> list[list[NDArray[Any]]]:
    """Run `model` on the inputs of each step, in one interpreter that keeps its variables."""
    arena = arena_bytes or max(MIN_ARENA_BYTES, 10 * len(model))
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=arena)
    outputs = Model.GetRootAs(model).Subgraphs(0).OutputsLength()
    found = []
    for inputs in steps:
        for index, array in enumerate(inputs):
            # not ascontiguousarray, which turns a scalar into a vector
            interpreter.set_input(np.array(array, order="C"), index)
        interpreter.invoke()
        found.append([interpreter.get_output(i).copy() for i in range(outputs)])
    return found
