"""Operators that move data: as views where a view will do, otherwise as copies."""

from collections.abc import Callable

import numpy as np
import pytest

from npu.compiler.compile import CompilerOptions
from tests.npu.compiler import movements as move
from tests.npu.compiler.support import CONFIGS, check_model
from tests.support.random_layers import (
    random_add,
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
)
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

Rng = np.random.Generator
Net = Callable[[ModelBuilder, Rng, Tensor], object]


def conv(m: ModelBuilder, rng: Rng, x: Tensor, channels: int, like: Tensor | None = None) -> Tensor:
    same = {} if like is None else {"scale": like.scale, "zero_point": like.zero_point}
    return random_conv2d(m, rng, x, channels, **same)


def joined_channels(*channels: int) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        a = conv(m, rng, x, channels[0])
        parts = [a, *(conv(m, rng, x, n, a) for n in channels[1:])]
        conv(m, rng, move.concatenation(m, parts, 3), 9)

    return net


def joined_pixels(axis: int) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        a = conv(m, rng, x, 11)
        b = move.concatenation(m, [conv(m, rng, x, 11, a), a], axis)
        conv(m, rng, b, 7)

    return net


def joined_with_input(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    y = move.concatenation(m, [x, conv(m, rng, x, 8, x), x], 3)
    random_add(m, rng, conv(m, rng, y, y.shape[3]), y)


def joined_twice(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    a = conv(m, rng, x, 8)
    b = move.concatenation(m, [a, conv(m, rng, a, 16, a)], 3)
    c = move.concatenation(m, [conv(m, rng, b, 8, a), b], 3)
    conv(m, rng, move.concatenation(m, [a, c], 3), 5)


def joined_and_handed_out(m: ModelBuilder, rng: Rng, x: Tensor) -> list[Tensor]:
    a = conv(m, rng, x, 8)
    b = conv(m, rng, x, 16, a)
    return [a, move.concatenation(m, [a, b], 3)]


def shuffled(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    y = conv(m, rng, x, 24)
    n, height, width, channels = y.shape
    y = m.reshape(y, (n, height, width, 3, channels // 3))
    y = move.transpose(m, y, (0, 1, 2, 4, 3))
    random_depthwise_conv2d(m, rng, m.reshape(y, (n, height, width, channels)))


def transposed(*order: int) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        conv(m, rng, move.transpose(m, conv(m, rng, x, 13), order), 6)

    return net


def halves(axis: int) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        a, b = move.split(m, conv(m, rng, x, 32), 2, axis)
        random_add(m, rng, conv(m, rng, a, 12), conv(m, rng, b, 12))

    return net


def added_halves(axis: int) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        random_add(m, rng, *move.split(m, conv(m, rng, x, 16), 2, axis))

    return net


def uneven_parts(axis: int) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        y = conv(m, rng, x, 20)
        size = y.shape[axis]
        a, b, c = move.split_v(m, y, [3, size - 5, 2], axis)
        conv(m, rng, b, 12)
        random_fully_connected(m, rng, m.reshape(a, (1, -1)), 5)
        random_depthwise_conv2d(m, rng, c, (1, 1))

    return net


def split_input(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    for piece in move.split(m, x, 2, 1):
        conv(m, rng, piece, 10)


def cropped(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    y = conv(m, rng, x, 19)
    y = move.part(m, y, (0, 1, 2, 8), (1, y.shape[1] - 2, y.shape[2] - 3, 11))
    random_add(m, rng, conv(m, rng, y, 11), y)


def every_second(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    y = conv(m, rng, x, 10)
    y = move.strided(m, y, (0, 1, 0, 0), (1, y.shape[1], y.shape[2], 10), (1, 2, 2, 1))
    conv(m, rng, y, 4)


def backwards(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    y = conv(m, rng, x, 10)
    limit = -y.shape[2] - 1
    y = move.strided(m, y, (0, 0, -1, 0), (1, y.shape[1], limit, 10), (1, 1, -1, 1))
    conv(m, rng, y, 4)


def packed(axis: int) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        a = random_fully_connected(m, rng, m.reshape(x, (-1, x.shape[3])), 6)
        b = random_fully_connected(
            m, rng, m.reshape(x, (-1, x.shape[3])), 6, scale=a.scale, zero_point=a.zero_point
        )
        y = move.pack(m, [a, b], axis)
        random_fully_connected(m, rng, y, 5)

    return net


def unpacked(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    for row in move.unpack(m, conv(m, rng, x, 8), 1)[:3]:
        random_fully_connected(m, rng, m.reshape(row, (1, -1)), 5)


def enlarged(factor: tuple[int, int], **options: bool) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        y = conv(m, rng, x, 12)
        size = y.shape[1] * factor[0], y.shape[2] * factor[1]
        conv(m, rng, move.resize_nearest(m, y, size, **options), 5)

    return net


def reduced(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    y = conv(m, rng, x, 12)
    conv(m, rng, move.resize_nearest(m, y, (y.shape[1] // 2, y.shape[2] // 2)), 5)


def rearranged(code: str) -> Net:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        conv(m, rng, move.blocks(m, conv(m, rng, x, 12), code, 2), 5)

    return net


def heads(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    """As in a detector: maps of several sizes, flattened and joined."""
    a = conv(m, rng, x, 12)
    b = random_conv2d(m, rng, x, 24, stride=(2, 2), scale=a.scale, zero_point=a.zero_point)
    flat = [m.reshape(t, (1, -1, 4)) for t in (a, b)]
    return move.concatenation(m, flat, 1)


def copied_only(m: ModelBuilder, rng: Rng, x: Tensor) -> list[Tensor]:
    y = conv(m, rng, x, 8)
    return [move.transpose(m, y, (0, 3, 1, 2)), y]


def planar(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    conv(m, rng, move.transpose(m, x, (0, 2, 3, 1)), 4)


def turned(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
    y = random_depthwise_conv2d(m, rng, x, (1, 1))
    random_depthwise_conv2d(m, rng, move.transpose(m, y, (0, 1, 3, 2)), (1, 1))


SHAPE = (1, 8, 10, 6)
NETS: dict[str, tuple[tuple[int, ...], Net]] = {
    "concatenation of whole words": (SHAPE, joined_channels(8, 16, 5)),
    "concatenation of odd channels": (SHAPE, joined_channels(3, 11, 8)),
    "concatenation of rows": (SHAPE, joined_pixels(1)),
    "concatenation of columns": (SHAPE, joined_pixels(2)),
    "concatenation with the input": (SHAPE, joined_with_input),
    "concatenation of concatenations": (SHAPE, joined_twice),
    "concatenation, and a part handed out": (SHAPE, joined_and_handed_out),
    "channel shuffle": (SHAPE, shuffled),
    "transpose of rows and columns": (SHAPE, transposed(0, 2, 1, 3)),
    "transpose to planes": (SHAPE, transposed(0, 3, 1, 2)),
    "transpose from planes": (SHAPE, transposed(0, 2, 3, 1)),
    "transpose within rows": (SHAPE, transposed(0, 1, 3, 2)),
    "split of channels": (SHAPE, halves(3)),
    "split of rows": (SHAPE, halves(1)),
    "split of columns": (SHAPE, halves(2)),
    "split of channels, added": (SHAPE, added_halves(3)),
    "split of columns, added": (SHAPE, added_halves(2)),
    "uneven split of channels": (SHAPE, uneven_parts(3)),
    "uneven split of columns": (SHAPE, uneven_parts(2)),
    "split of the input": (SHAPE, split_input),
    "slice": (SHAPE, cropped),
    "strided slice": (SHAPE, every_second),
    "strided slice, backwards": (SHAPE, backwards),
    "pack in front": (SHAPE, packed(0)),
    "pack in the middle": (SHAPE, packed(1)),
    "pack behind": (SHAPE, packed(2)),
    "unpack": (SHAPE, unpacked),
    "resize twice": (SHAPE, enlarged((2, 2))),
    "resize by 1 and 3": (SHAPE, enlarged((1, 3), halfPixelCenters=True)),
    "resize to half": (SHAPE, reduced),
    "space to depth": (SHAPE, rearranged("SPACE_TO_DEPTH")),
    "depth to space": (SHAPE, rearranged("DEPTH_TO_SPACE")),
    "heads of a detector": (SHAPE, heads),
    "copy at the end": (SHAPE, copied_only),
    "planes to pixels": ((1, 3, 9, 22), planar),
    "planes to pixels, aligned": ((1, 3, 8, 24), planar),
    "two planes to pixels": ((1, 2, 30, 40), planar),
    "matrix to its transpose": ((1, 1, 37, 70), turned),
    "matrix to its transpose, tall": ((1, 1, 190, 5), turned),
}


def build(shape: tuple[int, ...], net: Net, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    outputs = net(m, rng, random_input(m, rng, shape))
    return m.build(outputs if isinstance(outputs, list) else None)


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow", "wide"])
@pytest.mark.parametrize(("shape", "net"), NETS.values(), ids=NETS.keys())
def test_movement_equals_tflm(shape: tuple[int, ...], net: Net, config: str) -> None:
    options = CompilerOptions(keep_intermediates=config in ("npu256", "narrow"))
    parts = check_model(build(shape, net, seed=3), CONFIGS[config], 3, options)
    assert not parts.reasons
