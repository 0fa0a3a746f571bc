"""Random networks of operators that move data, multiply matrices, enlarge, and compute."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.npu.compiler import movements as move
from tests.support.random_layers import random_add, random_conv2d, random_depthwise_conv2d
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

Rng = np.random.Generator
LARGEST = 20_000
"""Elements beyond which a network ends."""


def random_moving_network(seed: int) -> bytes:
    """Up to ten operators on maps of one quantization, then convolutions of the last two."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    quantization: dict[str, Any] = {"scale": 0.05, "zero_point": int(rng.integers(-20, 20))}
    shape = (1, *(int(n) for n in rng.integers(2, 14, 2)), int(rng.choice([1, 3, 8, 12, 16, 24])))
    maps = [m.input(shape, **quantization)]
    for _ in range(int(rng.integers(3, 11))):
        x = maps[int(rng.integers(len(maps)))] if rng.integers(3) == 0 else maps[-1]
        if np.prod(x.shape) > LARGEST:
            break
        step = STEPS[int(rng.integers(len(STEPS)))]
        maps += step(m, rng, x, maps, quantization)
    for x in maps[-2:]:
        random_conv2d(m, rng, x, 6, (1, 1))
    return m.build()


Quantization = dict[str, Any]
Step = Callable[[ModelBuilder, Rng, Tensor, list[Tensor], Quantization], list[Tensor]]


def _convolved(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    kernel = min(x.shape[1], int(rng.integers(1, 4))), min(x.shape[2], int(rng.integers(1, 4)))
    return [random_conv2d(m, rng, x, int(rng.choice([4, 8, 16, 24, 5])), kernel, **q)]


def _depthwise(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    return [random_depthwise_conv2d(m, rng, x, (1, 1), **q)]


def _added(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    same = [t for t in maps if t.shape == x.shape]
    return [random_add(m, rng, x, same[int(rng.integers(len(same)))], **q)]


def _joined(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    axis = int(rng.choice([1, 2, 3, 3]))
    others = [i for i in (1, 2, 3) if i != axis]
    fitting = [t for t in maps if all(t.shape[i] == x.shape[i] for i in others)]
    parts = [x, *fitting[-int(rng.integers(1, 4)) :]]
    return [move.concatenation(m, parts if rng.integers(2) else parts[::-1], axis)]


def _split(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    axes = [axis for axis in (1, 2, 3) if x.shape[axis] % 2 == 0]
    return move.split(m, x, 2, int(rng.choice(axes))) if axes else []


def _transposed(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    return [move.transpose(m, x, [0, *(int(i) for i in rng.permutation([1, 2, 3]))])]


def _sliced(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    begin = [int(rng.integers(0, n)) for n in x.shape]
    size = [int(rng.integers(1, n - b + 1)) for n, b in zip(x.shape, begin, strict=True)]
    return [move.part(m, x, begin, size)]


def _strided(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    strides = (1, *(int(n) for n in rng.integers(1, 4, 3)))
    return [move.strided(m, x, (0, 0, 0, 0), x.shape, strides)]


def _reshaped(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    size = int(np.prod(x.shape))
    divisors = [n for n in range(1, size + 1) if size % n == 0][:8]
    rows = int(rng.choice(divisors))
    return [m.reshape(x, (1, rows, -1, 1) if rng.integers(2) else (1, 1, rows, -1))]


def _enlarged(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    size = x.shape[1] * int(rng.integers(1, 3)), x.shape[2] * int(rng.integers(1, 4))
    return [move.resize_nearest(m, x, size)]


def _interpolated(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    mode = [{}, {"halfPixelCenters": True}, {"alignCorners": True}][int(rng.integers(3))]
    rows, columns = (int(n) for n in rng.choice([1, 2, 4], 2))
    size = rows * x.shape[1], columns * x.shape[2]
    if "alignCorners" in mode:
        size = size[0] - rows + 1, size[1] - columns + 1
    return [move.resize_bilinear(m, x, size, **mode)]


def _unfolded(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    if x.shape[3] % 4 == 0:
        return [move.blocks(m, x, "DEPTH_TO_SPACE", 2)]
    if x.shape[1] % 2 == x.shape[2] % 2 == 0:
        return [move.blocks(m, x, "SPACE_TO_DEPTH", 2)]
    return []


def _upsampled(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    if np.prod(x.shape) > LARGEST // 4:
        return []
    stride = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    kernel = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    return [move.transpose_conv(m, rng, x, int(rng.choice([3, 8, 16])), kernel, stride, **q)]


def _multiplied(
    m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor], q: Quantization
) -> list[Tensor]:
    adj_x, adj_y = bool(rng.integers(2)), bool(rng.integers(2))
    depth = x.shape[2 if adj_x else 3]
    fitting = [
        t
        for t in maps
        if t.shape[3 if adj_y else 2] == depth and (t.shape[1] == x.shape[1] or t.shape[1] == 1)
    ]
    if not fitting:
        return []
    other = fitting[int(rng.integers(len(fitting)))]
    rows, columns = x.shape[3 if adj_x else 2], other.shape[2 if adj_y else 3]
    if x.shape[1] * rows * columns > LARGEST:
        return []
    return [move.batch_matmul(m, x, other, adj_x=adj_x, adj_y=adj_y, **q)]


STEPS: list[Step] = [
    _interpolated,
    _convolved,
    _convolved,
    _depthwise,
    _added,
    _joined,
    _joined,
    _split,
    _transposed,
    _sliced,
    _strided,
    _reshaped,
    _enlarged,
    _unfolded,
    _upsampled,
    _multiplied,
]
