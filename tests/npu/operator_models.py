"""Models of one or two operators that move data, reduce or multiply, for the reference executor."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.support.random_layers import (
    Rng,
    random_int8,
    random_scale,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

SCALE, ZERO_POINT = 0.25, -7


def integers(m: ModelBuilder, *values: Any) -> Tensor:
    """An int32 constant of rank 1."""
    return m.constant(np.array(values, np.int32))


def movement(
    code: str,
    shape: Sequence[int],
    outputs: Sequence[Sequence[int]],
    *,
    constants: Sequence[Any] = (),
    options: dict[str, Any] | None = None,
    options_type: str | None = None,
    input_position: int = 0,
) -> bytes:
    """An operator on one int8 input of `shape`; `constants` are its other inputs, int32."""
    m = ModelBuilder()
    x = m.input(shape, scale=SCALE, zero_point=ZERO_POINT)
    inputs = [m.constant(np.array(c, np.int32)) for c in constants]
    inputs.insert(input_position, x)
    ofms = [m.tensor(s, scale=SCALE, zero_point=ZERO_POINT) for s in outputs]
    m.operator(code, inputs, ofms, options, options_type=options_type, version=2)
    return m.build()


def several_inputs(
    code: str,
    shapes: Sequence[Sequence[int]],
    output: Sequence[int],
    options: dict[str, Any],
    options_type: str,
) -> bytes:
    """An operator on int8 inputs of one quantization."""
    m = ModelBuilder()
    xs = [m.input(s, scale=SCALE, zero_point=ZERO_POINT) for s in shapes]
    y = m.tensor(output, scale=SCALE, zero_point=ZERO_POINT)
    m.operator(code, xs, [y], options, options_type=options_type, version=2)
    return m.build()


def padded(shape: Sequence[int], paddings: Sequence[tuple[int, int]], value: int) -> bytes:
    """PADV2."""
    m = ModelBuilder()
    x = m.input(shape, scale=SCALE, zero_point=ZERO_POINT)
    amounts = m.constant(np.array(paddings, np.int32))
    filler = m.constant(np.array([value], np.int8), scale=SCALE, zero_point=ZERO_POINT)
    ofm = [n + sum(pair) for n, pair in zip(shape, paddings, strict=True)]
    y = m.tensor(ofm, scale=SCALE, zero_point=ZERO_POINT)
    m.operator("PADV2", [x, amounts, filler], [y], {}, options_type="PadV2Options", version=2)
    return m.build()


def gathered(shape: Sequence[int], indices: Any, output: Sequence[int], axis: int) -> bytes:
    """GATHER at constant indices."""
    return movement(
        "GATHER",
        shape,
        [output],
        constants=[indices],
        options={"axis": axis},
        options_type="GatherOptions",
    )


def converted(code: str, dtype: str, *, axis: int | None = None) -> bytes:
    """ARG_MAX, ARG_MIN (over `axis`) or CAST, to `dtype`."""
    m = ModelBuilder()
    shape = (2, 3, 4, 5)
    x = m.input(shape, scale=SCALE, zero_point=ZERO_POINT)
    if axis is None:
        m.operator(code, [x], [m.tensor(shape, dtype)], {}, options_type="CastOptions")
    else:
        kept = [n for i, n in enumerate(shape) if i != axis % 4]
        options_type = "ArgMaxOptions" if code == "ARG_MAX" else "ArgMinOptions"
        options = {"outputType": 2}
        y = m.tensor(kept, dtype)
        m.operator(code, [x, integers(m, axis)], [y], options, options_type=options_type)
    return m.build()


def batch_matmul(
    rng: Rng,
    a_shape: Sequence[int],
    b_shape: Sequence[int],
    *,
    adj_x: bool = False,
    adj_y: bool = False,
    constant: bool = False,
) -> bytes:
    """BATCH_MATMUL, of two inputs or of an input and a constant."""
    m = ModelBuilder()
    a = m.input(a_shape, scale=random_scale(rng), zero_point=random_zero_point(rng))
    b_quantization: dict[str, Any] = {
        "scale": random_scale(rng),
        "zero_point": random_zero_point(rng),
    }
    if constant:
        b = m.constant(random_int8(rng, tuple(b_shape)), **b_quantization)
    else:
        b = m.input(b_shape, **b_quantization)
    rows, depth = (a_shape[-1], a_shape[-2]) if adj_x else (a_shape[-2], a_shape[-1])
    columns = b_shape[-2] if adj_y else b_shape[-1]
    shape = (*np.broadcast_shapes(a_shape[:-2], b_shape[:-2]), rows, columns)
    scale = random_scale(rng, a.scale * b.scale * depth, a.scale * b.scale * depth * 128)
    y = m.tensor(shape, scale=scale, zero_point=random_zero_point(rng))
    options = {"adjX": adj_x, "adjY": adj_y}
    m.operator("BATCH_MATMUL", [a, b], [y], options, options_type="BatchMatMulOptions", version=2)
    return m.build()


def transpose_conv(
    rng: Rng,
    shape: Sequence[int],
    weights: Sequence[int],
    *,
    stride: tuple[int, int] = (2, 2),
    padding: int = 0,
    extra: tuple[int, int] = (0, 0),
    bias: bool = True,
    per_channel: bool = True,
    activation: int = 0,
) -> bytes:
    """TRANSPOSE_CONV; `padding` 0 is SAME, 1 VALID; `extra` rows and columns beyond the least."""
    m = ModelBuilder()
    x = m.input(shape, scale=random_scale(rng), zero_point=random_zero_point(rng))
    channels, kh, kw, depth = weights
    least = [
        (n - 1) * s + 1 if padding == 0 else (n - 1) * s + k
        for n, s, k in zip(shape[1:3], stride, (kh, kw), strict=True)
    ]
    output = (shape[0], least[0] + extra[0], least[1] + extra[1], channels)
    scales = np.exp(rng.uniform(-6, -4, channels if per_channel else 1)).astype(np.float32)
    w = m.constant(random_int8(rng, tuple(weights), low=-127), scale=scales)
    inputs = [integers(m, *output), w, x]
    if bias:
        values = rng.normal(0, 5000, channels).astype(np.int32)
        inputs.append(m.constant(values, scale=np.float32(x.scale) * w.scales))
    spread = 74.0 * np.sqrt(kh * kw * depth)
    scale = float(np.float32(x.scale * float(scales.max()) * spread * rng.uniform(0.2, 1.0)))
    y = m.tensor(output, scale=scale, zero_point=random_zero_point(rng))
    options = {
        "padding": padding,
        "strideH": stride[0],
        "strideW": stride[1],
        "fusedActivationFunction": activation,
    }
    m.operator(
        "TRANSPOSE_CONV", inputs, [y], options, options_type="TransposeConvOptions", version=3
    )
    return m.build()
