"""Moving tensors between the user's arrays and the arena."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import SimulationError
from sim.program import Program, TensorBinding

Inputs = Mapping[str, NDArray[Any]] | Mapping[int, NDArray[Any]] | Mapping[str | int, NDArray[Any]]
"""Arrays by tensor name or tensor index."""


def make_arena(program: Program, inputs: Inputs) -> NDArray[np.uint8]:
    """A zeroed arena with the program's inputs in place, uint8 `[arena_bytes]`.

    Parameters
    ----------
    program : names the inputs.
    inputs : every input by tensor index or name, in its binding's shape and dtype.

    Raises
    ------
    SimulationError : a missing, unknown, doubly given or misshapen input.
    """
    arena = np.zeros(program.arena_bytes, dtype=np.uint8)
    remaining: dict[str | int, NDArray[Any]] = dict(inputs.items())
    for binding in program.inputs:
        keys = [key for key in (binding.tensor_index, binding.name) if key in remaining]
        if len(keys) != 1:
            problem = "is given twice" if keys else "is missing"
            raise SimulationError(
                f"input {binding.name!r} (tensor {binding.tensor_index}) {problem};"
                f" given: {_names(inputs)}"
            )
        value = remaining.pop(keys[0])
        if value.dtype != np.dtype(binding.dtype) or value.shape != binding.shape:
            raise SimulationError(
                f"input {binding.name!r} must be {binding.dtype} {list(binding.shape)},"
                f" got {value.dtype} {list(value.shape)}"
            )
        _view(arena, binding)[...] = value
    if remaining:
        allowed = ", ".join(repr(binding.name) for binding in program.inputs)
        raise SimulationError(f"unknown input {_names(remaining)}; the program has {allowed}")
    return arena


def read_tensors(
    arena: NDArray[np.uint8], bindings: Iterable[TensorBinding]
) -> dict[int, NDArray[Any]]:
    """Copies of tensors in the arena, by tensor index."""
    return {binding.tensor_index: _view(arena, binding).copy() for binding in bindings}


def _view(arena: NDArray[np.uint8], binding: TensorBinding) -> NDArray[Any]:
    raw = arena[binding.offset : binding.offset + binding.size]
    return raw.view(binding.dtype).reshape(binding.shape)


def _names(inputs: Inputs) -> str:
    return ", ".join(map(repr, inputs)) or "none"
