"""Recurrent layers for `ModelBuilder`: LSTM, and variables that are read and assigned by name."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.random_layers import Rng, random_int8, random_scale, random_zero_point
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor


def random_lstm(
    m: ModelBuilder,
    rng: Rng,
    x: Tensor,
    units: int,
    *,
    time_major: bool = False,
    cell_clip: float = 10.0,
    cell_exponent: int = -12,
) -> Tensor:
    """UNIDIRECTIONAL_SEQUENCE_LSTM of `x`, whose gates spread over their functions' range.

    The cell state has scale 2**cell_exponent; with int16 `x` the bias is int64.
    """
    batches, inputs = x.shape[1 if time_major else 0], x.shape[2]
    wide = x.dtype == np.int16
    hidden_zero_point = 0 if wide else random_zero_point(rng)
    hidden_scale = random_scale(rng, 2.0**-16, 2.0**-14) if wide else random_scale(rng, 0.004, 0.02)
    span = 2.0**15 if wide else 2.0**7
    hidden = m.variable((batches, units), x.dtype, scale=hidden_scale, zero_point=hidden_zero_point)
    cell = m.variable((batches, units), np.int16, scale=2.0**cell_exponent)

    def weights(source: Tensor, columns: int) -> list[Tensor]:
        # real sums of a few units: the functions are neither linear nor saturated
        scale = 4 / (source.scale * span * 74 * np.sqrt(columns))
        return [
            m.constant(
                random_int8(rng, (units, columns), low=-127),
                scale=float(np.float32(scale * rng.uniform(0.5, 2.0))),
            )
            for _ in range(4)
        ]

    from_input, from_hidden = weights(x, inputs), weights(hidden, units)
    biases = []
    for matrix in from_input:
        scale = np.float32(x.scale) * np.float32(matrix.scale)
        values = rng.normal(0, 1 / scale, units).astype(np.int64 if wide else np.int32)
        biases.append(m.constant(values, scale=scale))
    y = m.tensor((*x.shape[:2], units), x.dtype, scale=hidden_scale, zero_point=hidden_zero_point)
    options = {
        "fusedActivationFunction": schema.ActivationFunctionType.TANH,
        "cellClip": cell_clip,
        "timeMajor": time_major,
    }
    operands = [x, *from_input, *from_hidden, *[None] * 3, *biases, *[None] * 2, hidden, cell]
    name = "UnidirectionalSequenceLSTMOptions"
    operands += [None] * 4
    m.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], options, options_type=name)
    return y


def read_variable(m: ModelBuilder, handle: Tensor, like: Tensor, shape: tuple[int, ...]) -> Tensor:
    """READ_VARIABLE with the quantization of `like`."""
    y = m.tensor(shape, like.dtype, scale=like.scale, zero_point=like.zero_point)
    m.operator("READ_VARIABLE", [handle], [y])
    return y


def assign_variable(m: Any, handle: Tensor, value: Tensor) -> None:
    """ASSIGN_VARIABLE."""
    m.operator("ASSIGN_VARIABLE", [handle, value], [])


def ring_buffer(m: ModelBuilder, name: str, x: Tensor, depth: int) -> Tensor:
    """The last `depth` values of `x` (1, rows, ...), with those of this inference at the end.

    As streaming networks have it: what is kept is read, joined with `x`, and all but the oldest
    rows are assigned again.
    """
    rows = x.shape[1]
    handle = m.handle(name)
    kept = read_variable(m, handle, x, (1, depth - rows, *x.shape[2:]))
    joined = m.tensor((1, depth, *x.shape[2:]), x.dtype, scale=x.scale, zero_point=x.zero_point)
    options = {"axis": 1}
    name = "ConcatenationOptions"
    m.operator("CONCATENATION", [kept, x], [joined], options, options_type=name, version=2)
    rest = m.tensor(kept.shape, x.dtype, scale=x.scale, zero_point=x.zero_point)
    corners = [
        m.constant(np.array(c, np.int32))
        for c in ([0, rows, *[0] * len(x.shape[2:])], [1, depth, *x.shape[2:]], [1] * len(x.shape))
    ]
    name = "StridedSliceOptions"
    m.operator("STRIDED_SLICE", [joined, *corners], [rest], options_type=name, version=2)
    assign_variable(m, handle, rest)
    return joined
