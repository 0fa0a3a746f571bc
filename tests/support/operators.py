"""Operators for `ModelBuilder` that need nothing but their options: elementwise and unary ones."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

OPTIONS = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "LEAKY_RELU": "LeakyReluOptions",
}


def elementwise(
    m: ModelBuilder,
    code: str,
    a: Tensor,
    b: Tensor,
    *,
    scale: float,
    zero_point: int,
    activation: str = "NONE",
) -> Tensor:
    """An operator of two operands that broadcast: ADD, SUB, MUL, MAXIMUM, MINIMUM or PRELU."""
    y = m.tensor(np.broadcast_shapes(a.shape, b.shape), a.dtype, scale=scale, zero_point=zero_point)
    options: dict[str, Any] = {}
    if code in ("ADD", "SUB", "MUL"):
        options["fusedActivationFunction"] = getattr(schema.ActivationFunctionType, activation)
    m.operator(code, [a, b], [y], options, options_type=OPTIONS.get(code), version=2)
    return y


def unary(
    m: ModelBuilder, code: str, x: Tensor, *, scale: float, zero_point: int, **options: Any
) -> Tensor:
    """An operator of one operand that keeps its shape; `options` are fields of the schema."""
    y = m.tensor(x.shape, x.dtype, scale=scale, zero_point=zero_point)
    m.operator(code, [x], [y], options, options_type=OPTIONS.get(code), version=2)
    return y
