"""Interpreters with a delegate, and TFLM beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from tflite_micro import runtime

import npu

Arrays = list[NDArray[Any]]


def interpreter(model: bytes | Path, *delegates: npu.NpuDelegate, reference: bool = True) -> Any:
    """A LiteRT interpreter, its tensors allocated; by default with the kernels called reference,
    whose arithmetic is nearest to TFLM's."""
    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    given = {"model_path": str(model)} if isinstance(model, Path) else {"model_content": model}
    made = Interpreter(
        **given,
        experimental_delegates=list(delegates) or None,
        experimental_op_resolver_type=kernels,
    )
    made.allocate_tensors()
    return made


def random_inputs(target: Any, rng: np.random.Generator) -> Arrays:
    """A value for each input of a LiteRT interpreter."""
    values: Arrays = []
    for details in target.get_input_details():
        dtype, shape = details["dtype"], details["shape"]
        if np.issubdtype(dtype, np.integer):
            info = np.iinfo(dtype)
            values.append(rng.integers(info.min, info.max + 1, shape).astype(dtype))
        else:
            values.append(rng.standard_normal(shape).astype(dtype))
    return values


def run(target: Any, inputs: Sequence[NDArray[Any]]) -> Arrays:
    """One invoke of a LiteRT interpreter; its outputs, in its order."""
    for details, value in zip(target.get_input_details(), inputs, strict=True):
        target.set_tensor(details["index"], value)
    target.invoke()
    return [target.get_tensor(details["index"]) for details in target.get_output_details()]


class Tflm:
    """The same network in TFLM, with its state."""

    def __init__(self, model: bytes) -> None:
        self._interpreter = runtime.Interpreter.from_bytes(model)

    def run(self, inputs: Sequence[NDArray[Any]], outputs: int = 1) -> Arrays:
        """One invoke."""
        for position, value in enumerate(inputs):
            self._interpreter.set_input(value, position)
        self._interpreter.invoke()
        return [self._interpreter.get_output(i) for i in range(outputs)]
