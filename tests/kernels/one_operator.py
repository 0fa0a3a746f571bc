"""One operator on given values in TFLM, for kernels that have no method in `ModelBuilder`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tests.support.random_layers import Rng
from tests.support.tflite_file import ModelFile
from tests.support.tflm import run_tflm

# the C library takes blocks beyond 32 MiB from the system, which clears them
FRESH_ARENA_BYTES = 33 << 20


class Given(NamedTuple):
    """An operand: its values, and how they are quantized; a constant is part of the model."""

    values: NDArray[Any]
    scale: float | None = None
    zero_point: int = 0
    constant: bool = False


class Made(NamedTuple):
    """What the operator writes."""

    shape: Sequence[int]
    dtype: DTypeLike = np.int8
    scale: float | None = None
    zero_point: int = 0


def one_operator(
    code: str,
    operands: Sequence[Given],
    made: Made,
    options: dict[str, Any] | None = None,
    options_type: str | None = None,
) -> bytes:
    """The model of the operator; operands that are not constant are its inputs, in order."""
    m = ModelFile()
    tensors = [
        m.constant(each.values, scale=each.scale, zero_point=each.zero_point)
        if each.constant
        else m.input(
            each.values.shape,
            dtype=each.values.dtype,
            scale=each.scale,
            zero_point=each.zero_point,
        )
        for each in operands
    ]
    ofm = m.tensor(made.shape, made.dtype, scale=made.scale, zero_point=made.zero_point)
    m.operator(code, tensors, [ofm], options or {}, options_type=options_type, version=2)
    return m.build([ofm])


def in_tflm(
    code: str,
    operands: Sequence[Given],
    made: Made,
    options: dict[str, Any] | None = None,
    options_type: str | None = None,
) -> NDArray[Any]:
    """The operator's output in TFLM, in an arena of zeros.

    TFLM reads memory that it never wrote: the padding of SPACE_TO_BATCH_ND.
    """
    model = one_operator(code, operands, made, options, options_type)
    inputs = [each.values for each in operands if not each.constant]
    return run_tflm(model, inputs, arena_bytes=FRESH_ARENA_BYTES)[0]


def indices(*values: Any) -> Given:
    """A constant int32 operand."""
    return Given(np.array(values, np.int32), constant=True)


def every_value(rng: Rng, shape: Sequence[int], dtype: DTypeLike = np.int8) -> NDArray[Any]:
    """Uniform values over all of an integer type."""
    ends = np.iinfo(np.dtype(dtype))
    return rng.integers(ends.min, ends.max + 1, tuple(shape)).astype(dtype)


def float32_scale(rng: Rng, low: float, high: float) -> float:
    """A scale, log-uniform between powers of two `low` and `high`, exact in float32."""
    return float(np.float32(np.exp2(rng.uniform(low, high))))
