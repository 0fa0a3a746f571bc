"""Operators that move data: as views where a view will do, otherwise as copies."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npu.compiler.compile import CompilerOptions
from npu.compiler.lowering.segment import lower_segment
from npu.compiler.rules.partition import partition
from npu.model.tflite_reader import read_model_bytes
from rtl.isa import Opcode
from tests.npu.compiler import movements as move
from tests.npu.compiler.support import CONFIGS, check_model, compile_model
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
    same: dict[str, Any] = (
        {} if like is None else {"scale": like.scale, "zero_point": like.zero_point}
    )
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


COPIED = {
    "concatenation of concatenations": 1,
    "concatenation, and a part handed out": 1,
    "channel shuffle": 1,
    "transpose to planes": 1,
    "transpose from planes": 1,
    "transpose within rows": 1,
    "uneven split of channels": 1,
    "uneven split of columns": 1,
    "strided slice, backwards": 1,
    "pack behind": 2,
    "space to depth": 1,
    "depth to space": 1,
    "copy at the end": 1,
    "planes to pixels": 1,
    "planes to pixels, aligned": 1,
    "two planes to pixels": 1,
    "matrix to its transpose": 1,
    "matrix to its transpose, tall": 1,
}
"""How many copies these networks take; all others take none."""


@pytest.mark.parametrize("name", NETS)
def test_what_can_be_a_view_is_not_copied(name: str) -> None:
    graph = read_model_bytes(build(*NETS[name], seed=3), "test")
    config = CONFIGS["npu256"]
    (segment,) = partition(graph, config).segments
    lowered = lower_segment(graph, segment, config)
    copies = [op for op in lowered.operators if op.direct is not None]
    assert len(copies) == COPIED.get(name, 0)


def test_channels_within_words_are_joined_by_loads() -> None:
    model = build(*NETS["concatenation of odd channels"], seed=3)
    (program,) = compile_model(model, CONFIGS["npu256"])[2]
    commands = program.decode()
    assert {c["lane_offset"] for c in commands if c["merge"]} == {3, 6}
    assert all(c["rows"] == 1 for c in commands if c.opcode == Opcode.STORE)


def test_joined_words_stay_on_chip() -> None:
    model = build(*NETS["concatenation of whole words"], seed=3)
    _, _, (program,) = compile_model(model, CONFIGS["npu256"])
    stores = [c for c in program.decode() if c.opcode == Opcode.STORE]
    assert len(stores) == 1


def test_spilled_parts_are_dense_in_the_arena() -> None:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        a = conv(m, rng, x, 16)
        b = conv(m, rng, a, 8, a)
        conv(m, rng, move.concatenation(m, [a, b], 3), 4)

    model = build((1, 40, 40, 8), net, seed=6)
    config = CONFIGS["tiny"]
    _, _, (program,) = compile_model(model, config)
    transfers = [c for c in program.decode() if c.opcode in (Opcode.LOAD, Opcode.STORE)]
    assert all(c["rows"] == 1 for c in transfers), "no pixel is moved on its own"
    check_model(model, config)
    check_model(model, config, options=CompilerOptions(keep_intermediates=True))


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
def test_concatenation_that_exists_only_where_it_is_read(config: str) -> None:
    def net(m: ModelBuilder, rng: Rng, x: Tensor) -> None:
        y = conv(m, rng, x, 16, x)
        wide = move.resize_nearest(m, conv(m, rng, x, 8, x), (x.shape[1], x.shape[2]))
        both = move.concatenation(m, [x, y, wide], 3)
        random_add(m, rng, conv(m, rng, both, both.shape[3]), both)

    model = build((1, 9, 12, 8), net, seed=8)
    graph = read_model_bytes(model, "test")
    (segment,) = partition(graph, CONFIGS[config]).segments
    lowered = lower_segment(graph, segment, CONFIGS[config])
    joined = next(op for op in graph.operators if op.kind == "CONCATENATION")
    assert joined.outputs[0] not in lowered.roots
    for keep in (False, True):
        options = CompilerOptions(keep_intermediates=keep)
        assert not check_model(model, CONFIGS[config], 8, options).reasons


def test_movement_alone_stays_on_the_cpu() -> None:
    m = ModelBuilder()
    x = m.input((1, 6, 4, 8), scale=0.5)
    y = move.transpose(m, m.reshape(x, (1, 4, 6, 8)), (0, 2, 1, 3))
    move.split(m, y, 2, 1)
    parts = check_model(m.build(), CONFIGS["npu256"])
    assert not parts.segments
    assert set(parts.reasons.values()) == {"nothing to compute beside it on the NPU"}


def scattered(m: ModelBuilder, x: Tensor) -> Tensor:
    """Every row backwards: a command moves bytes in one direction only."""
    return move.strided(m, x, (0, -1, -1, -1), (1, -99, -999, -99), (1, -1, -1, -1))


REFUSED: dict[str, tuple[Callable[[ModelBuilder, Tensor], Tensor], str]] = {
    "constant": (
        lambda m, x: move.concatenation(
            m, [x, m.constant(np.ones((1, 60, 60, 8), np.int8), scale=x.scale, zero_point=0)], 3
        ),
        "what is moved must not be a constant",
    ),
    "scattered": (
        scattered,
        "the data must not be so scattered that moving it takes more than 2048 commands",
    ),
    "uneven resize": (
        lambda m, x: move.resize_nearest(m, x, (61, 60)),
        "RESIZE_NEAREST_NEIGHBOR must take evenly spaced pixels and repeat all of them alike",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_movement_that_the_npu_refuses(name: str) -> None:
    operator, reason = REFUSED[name]
    m = ModelBuilder()
    x = m.input((1, 60, 60, 8), scale=0.5, zero_point=0)
    conv(m, np.random.default_rng(0), operator(m, x), 4)
    parts = partition(read_model_bytes(m.build(), "test"), CONFIGS["npu256"])
    assert set(parts.reasons.values()) == {reason}
