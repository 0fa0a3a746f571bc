"""Runs a one-operator model of two operands through `kernels/`, as `tests.kernels.reference`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import elementwise, quantization
from tests.kernels.reference import Operator, quantum


def arguments(code: str, model: bytes) -> dict[str, Any]:
    """Keyword arguments of the kernel named `code`."""
    op = Operator(model)
    (a_scale, a_zero_point), (b_scale, b_zero_point), (ofm_scale, ofm_zero_point) = map(
        quantum, (*op.inputs, op.output)
    )
    if code in ("MAXIMUM", "MINIMUM"):
        return {}
    if code == "PRELU":
        return {
            "ifm_zero_point": a_zero_point,
            "alpha_zero_point": b_zero_point,
            "ofm_zero_point": ofm_zero_point,
            "parameters": quantization.prelu_parameters(a_scale, b_scale, ofm_scale),
        }
    common: dict[str, Any] = {
        "a_zero_point": a_zero_point,
        "b_zero_point": b_zero_point,
        "ofm_zero_point": ofm_zero_point,
        **op.activation_range(),
    }
    if code == "MUL":
        multiplier, shift = quantization.mul_multiplier(a_scale, b_scale, ofm_scale)
        return common | {"multiplier": multiplier, "shift": shift}
    return common | {"parameters": quantization.add_parameters(a_scale, b_scale, ofm_scale)}


def run(code: str, model: bytes, a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
    """SUB, MUL, MAXIMUM, MINIMUM or PRELU."""
    kernel = getattr(elementwise, code.lower())
    result: NDArray[np.int8] = kernel(a, b, **arguments(code, model))
    return result
