"""Operators that move data, for `ModelBuilder`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor


def like(m: ModelBuilder, x: Tensor, shape: Sequence[int]) -> Tensor:
    """A tensor quantized as `x`."""
    return m.tensor(tuple(shape), np.int8, scale=x.scale, zero_point=x.zero_point)


def integers(m: ModelBuilder, *values: int) -> Tensor:
    """An int32 constant of rank 1."""
    return m.constant(np.array(values, np.int32))


def transpose(m: ModelBuilder, x: Tensor, order: Sequence[int]) -> Tensor:
    y = like(m, x, [x.shape[i] for i in order])
    m.operator("TRANSPOSE", [x, integers(m, *order)], [y], options_type="TransposeOptions")
    return y


def concatenation(m: ModelBuilder, parts: Sequence[Tensor], axis: int) -> Tensor:
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    y = like(m, parts[0], shape)
    options = {"axis": axis, "fusedActivationFunction": 0}
    m.operator(
        "CONCATENATION",
        list(parts),
        [y],
        options,
        options_type="ConcatenationOptions",
        version=2,
    )
    return y


def pack(m: ModelBuilder, parts: Sequence[Tensor], axis: int) -> Tensor:
    shape = list(parts[0].shape)
    shape.insert(axis % (len(shape) + 1), len(parts))
    y = like(m, parts[0], shape)
    options = {"axis": axis, "valuesCount": len(parts)}
    m.operator("PACK", list(parts), [y], options, options_type="PackOptions", version=2)
    return y


def unpack(m: ModelBuilder, x: Tensor, axis: int) -> list[Tensor]:
    shape = list(x.shape)
    count = shape.pop(axis)
    ys = [like(m, x, shape) for _ in range(count)]
    options = {"axis": axis, "num": count}
    m.operator("UNPACK", [x], ys, options, options_type="UnpackOptions", version=2)
    return ys


def split(m: ModelBuilder, x: Tensor, count: int, axis: int) -> list[Tensor]:
    shape = list(x.shape)
    shape[axis] //= count
    ys = [like(m, x, shape) for _ in range(count)]
    which = m.constant(np.array(axis, np.int32))
    options = {"numSplits": count}
    m.operator("SPLIT", [which, x], ys, options, options_type="SplitOptions", version=2)
    return ys


def split_v(m: ModelBuilder, x: Tensor, sizes: Sequence[int], axis: int) -> list[Tensor]:
    ys = [like(m, x, [*x.shape[:axis], n, *x.shape[axis + 1 :]]) for n in sizes]
    which = m.constant(np.array(axis, np.int32))
    options = {"numSplits": len(sizes)}
    inputs = [x, integers(m, *sizes), which]
    m.operator("SPLIT_V", inputs, ys, options, options_type="SplitVOptions", version=2)
    return ys


def part(m: ModelBuilder, x: Tensor, begin: Sequence[int], size: Sequence[int]) -> Tensor:
    """SLICE."""
    y = like(m, x, size)
    inputs = [x, integers(m, *begin), integers(m, *size)]
    m.operator("SLICE", inputs, [y], {}, options_type="SliceOptions", version=3)
    return y


def strided(
    m: ModelBuilder, x: Tensor, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]
) -> Tensor:
    """STRIDED_SLICE; ends below zero count from the last, as everywhere."""
    shape = [
        len(range(*slice(b, e, s).indices(n)))
        for b, e, s, n in zip(begin, end, strides, x.shape, strict=True)
    ]
    y = like(m, x, shape)
    inputs = [x, *(integers(m, *v) for v in (begin, end, strides))]
    m.operator("STRIDED_SLICE", inputs, [y], {}, options_type="StridedSliceOptions", version=4)
    return y


def resize_nearest(m: ModelBuilder, x: Tensor, size: tuple[int, int], **options: Any) -> Tensor:
    y = like(m, x, [x.shape[0], *size, x.shape[3]])
    m.operator(
        "RESIZE_NEAREST_NEIGHBOR",
        [x, integers(m, *size)],
        [y],
        options,
        options_type="ResizeNearestNeighborOptions",
        version=4,
    )
    return y


def resize_bilinear(m: ModelBuilder, x: Tensor, size: tuple[int, int], **options: Any) -> Tensor:
    y = like(m, x, [x.shape[0], *size, x.shape[3]])
    m.operator(
        "RESIZE_BILINEAR",
        [x, integers(m, *size)],
        [y],
        options,
        options_type="ResizeBilinearOptions",
        version=3,
    )
    return y


def blocks(m: ModelBuilder, x: Tensor, code: str, size: int) -> Tensor:
    """SPACE_TO_DEPTH or DEPTH_TO_SPACE."""
    n, height, width, channels = x.shape
    if code == "SPACE_TO_DEPTH":
        shape = (n, height // size, width // size, channels * size * size)
    else:
        shape = (n, height * size, width * size, channels // (size * size))
    y = like(m, x, shape)
    name = "SpaceToDepthOptions" if code == "SPACE_TO_DEPTH" else "DepthToSpaceOptions"
    m.operator(code, [x], [y], {"blockSize": size}, options_type=name)
    return y


def batch_matmul(
    m: ModelBuilder,
    a: Tensor,
    b: Tensor,
    *,
    adj_x: bool = False,
    adj_y: bool = False,
    scale: float,
    zero_point: int,
) -> Tensor:
    """BATCH_MATMUL, with broadcasting."""
    rows = a.shape[-1 if adj_x else -2]
    columns = b.shape[-2 if adj_y else -1]
    batches = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    y = m.tensor((*batches, rows, columns), np.int8, scale=scale, zero_point=zero_point)
    options = {"adjX": adj_x, "adjY": adj_y}
    m.operator("BATCH_MATMUL", [a, b], [y], options, options_type="BatchMatMulOptions", version=2)
    return y


def transpose_conv(
    m: ModelBuilder,
    rng: np.random.Generator,
    x: Tensor,
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    *,
    scale: float,
    zero_point: int,
) -> Tensor:
    """TRANSPOSE_CONV with SAME padding, `stride` times as large as its input."""
    depth = x.shape[3]
    weights = rng.integers(-127, 128, (channels, *kernel, depth)).astype(np.int8)
    spread = 74.0**2 * (kernel[0] * kernel[1] * depth) ** 0.5
    scales = np.full(channels, scale * 60 / (x.scale * spread), np.float32)
    w = m.constant(weights, scale=scales)
    bias = rng.normal(0, 3000, channels).astype(np.int32)
    shape = (1, x.shape[1] * stride[0], x.shape[2] * stride[1], channels)
    y = m.tensor(shape, np.int8, scale=scale, zero_point=zero_point)
    m.operator(
        "TRANSPOSE_CONV",
        [integers(m, *shape), w, x, m.constant(bias, scale=np.float32(x.scale) * w.scales)],
        [y],
        {"padding": 0, "strideH": stride[0], "strideW": stride[1]},
        options_type="TransposeConvOptions",
        version=3,
    )
    return y
