"""Models with SPACE_TO_BATCH_ND > convolution > BATCH_TO_SPACE_ND."""

from typing import Any

import numpy as np

from tests.npu.operator_models import integers
from tests.support.random_layers import (
    Rng,
    random_conv2d,
    random_depthwise_conv2d,
    random_input,
)
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

Pairs = tuple[tuple[int, int], ...]


def dealt(
    m: ModelBuilder,
    x: Tensor,
    block: tuple[int, ...],
    paddings: Pairs,
    *,
    batch: int | None = None,
) -> Tensor:
    """SPACE_TO_BATCH_ND; `batch` is stored instead of the maps that there are."""
    sides = [n + sum(p) for n, p in zip(x.shape[1:-1], paddings, strict=True)]
    inner = [n // b for n, b in zip(sides, block, strict=True)]
    shape = (batch or x.shape[0] * int(np.prod(block)), *inner, x.shape[-1])
    y = m.tensor(shape, scale=x.scale, zero_point=x.zero_point)
    operands = [x, integers(m, *block), integers(m, *paddings)]
    m.operator("SPACE_TO_BATCH_ND", operands, [y], {}, options_type="SpaceToBatchNDOptions")
    return y


def joined(m: ModelBuilder, x: Tensor, block: tuple[int, ...], crops: Pairs) -> Tensor:
    """BATCH_TO_SPACE_ND to one map."""
    sides = [n * b - sum(c) for n, b, c in zip(x.shape[1:-1], block, crops, strict=True)]
    y = m.tensor(
        (1, *sides, x.shape[-1]),
        scale=x.scale,
        zero_point=x.zero_point,
    )
    operands = [x, integers(m, *block), integers(m, *crops)]
    m.operator("BATCH_TO_SPACE_ND", operands, [y], {}, options_type="BatchToSpaceNDOptions")
    return y


def convolved(m: ModelBuilder, rng: Rng, x: Tensor, kernel: tuple[int, int], **how: Any) -> Tensor:
    """CONV_2D or DEPTHWISE_CONV_2D."""
    if rng.integers(2):
        return random_depthwise_conv2d(m, rng, x, kernel, **how)
    return random_conv2d(m, rng, x, int(rng.integers(1, 12)), kernel, **how)


def dilated(
    m: ModelBuilder,
    rng: Rng,
    x: Tensor,
    block: tuple[int, int],
    kernel: tuple[int, int],
    padding: str,
) -> Tensor:
    """In two dimensions, filled up to whole blocks, and as much cut off again."""
    fill = [-n % b for n, b in zip(x.shape[1:3], block, strict=True)]
    before = [int(rng.integers(0, n + 1)) for n in fill]
    paddings = tuple((b, n - b) for b, n in zip(before, fill, strict=True))
    y = convolved(m, rng, dealt(m, x, block, paddings), kernel, padding=padding)
    crops = paddings if padding == "SAME" else tuple((0, n) for n in fill)
    return joined(m, y, block, crops)


def causal(
    m: ModelBuilder,
    rng: Rng,
    x: Tensor,
    block: int,
    taps: int,
    axis: int = 1,
    *,
    pad: bool = True,
    batch: int | None = None,
) -> Tensor:
    """As Keras writes a causal Conv1D: padded, dealt out, seen as maps of one row (or column)."""
    length = (taps - 1) * block
    if pad:
        shape = x.shape[0], x.shape[1] + length, x.shape[2]
        y = m.tensor(shape, scale=x.scale, zero_point=x.zero_point)
        amounts = integers(m, (0, 0), (length, 0), (0, 0))
        m.operator("PAD", [x, amounts], [y], {}, options_type="PadOptions")
        x = y
    y = dealt(m, x, (block,), ((0, -x.shape[1] % block),), batch=batch)
    seen = list(y.shape)
    seen.insert(axis, 1)
    z = m.tensor(seen, scale=x.scale, zero_point=x.zero_point)
    m.operator("EXPAND_DIMS", [y, integers(m, axis)], [z], {}, options_type="ExpandDimsOptions")
    kernel = (1, taps) if axis == 1 else (taps, 1)
    z = convolved(m, rng, z, kernel, padding="VALID", activation="RELU")
    y = m.reshape(z, (z.shape[0], z.shape[1] * z.shape[2], z.shape[3]))
    return joined(m, y, (block,), ((0, -x.shape[1] % block),))


def two_dimensions(seed: int, block: tuple[int, int], padding: str, zero_point: int) -> bytes:
    """A dilated convolution over rows and columns, and one behind it."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    shape = 1, *(int(n) for n in rng.integers(9, 20, 2)), int(rng.integers(1, 12))
    x = m.input(shape, scale=0.05, zero_point=zero_point)
    y = dilated(m, rng, x, block, (3, 3) if seed % 3 else (2, 3), padding)
    return m.build([random_conv2d(m, rng, y, 3, (1, 1))])


def temporal(seed: int, axis: int = 1, *, pad: bool = True, batch: int | None = None) -> bytes:
    """Two causal convolutions, dilated by 2 and 4; `batch` is stored for all maps dealt out."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, (1, int(rng.integers(20, 50)), int(rng.integers(1, 12))))
    for block in (2, 4):
        x = causal(m, rng, x, block, 3, axis, pad=pad, batch=batch)
    return m.build()
