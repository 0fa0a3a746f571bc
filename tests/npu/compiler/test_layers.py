"""Single layers of every kind against TFLM, on configurations that differ in every parameter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npu.compiler.compile import CompilerOptions
from rtl.config import NpuConfig
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

Layer = Callable[[ModelBuilder, np.random.Generator, Tensor], Tensor]


def conv(channels: int, kernel: tuple[int, int], **attributes: Any) -> Layer:
    return lambda m, rng, x: random_conv2d(m, rng, x, channels, kernel, **attributes)


def depthwise(kernel: tuple[int, int], **attributes: Any) -> Layer:
    return lambda m, rng, x: random_depthwise_conv2d(m, rng, x, kernel, **attributes)


def average(window: tuple[int, int], **attributes: Any) -> Layer:
    return lambda m, rng, x: m.average_pool2d(x, window=window, **attributes)


def maximum(window: tuple[int, int], **attributes: Any) -> Layer:
    return lambda m, rng, x: m.max_pool2d(x, window=window, **attributes)


def residual(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> Tensor:
    return random_add(m, rng, x, random_conv2d(m, rng, x, x.shape[3], (3, 3)), activation="RELU")


def padded(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> Tensor:
    x = m.pad(x, [(0, 0), (1, 1), (0, 1), (0, 0)])
    return random_conv2d(m, rng, x, 12, (3, 3), stride=(2, 2), padding="VALID")


def flattened(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> Tensor:
    x = random_depthwise_conv2d(m, rng, x, (3, 3))
    x = random_fully_connected(m, rng, m.reshape(x, (1, -1)), 13, activation="RELU6")
    return random_fully_connected(m, rng, x, 5)


def batched(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> Tensor:
    x = m.reshape(x, (-1, x.shape[3]))
    return random_fully_connected(m, rng, random_fully_connected(m, rng, x, 20), 9)


def mean(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> Tensor:
    return m.mean(x, (1, 2), scale=x.scale * 0.7, zero_point=-5, keep_dims=False)


LAYERS: dict[str, tuple[tuple[int, int, int], Layer]] = {
    "conv 3x3": ((9, 11, 13), conv(21, (3, 3))),
    "conv 3x3 few inputs, folded": ((10, 12, 3), conv(9, (3, 3))),
    "conv 5x5 stride 2, folded": ((11, 13, 1), conv(17, (5, 5), stride=(2, 2))),
    "conv 10x4 stride 2, folded": ((20, 10, 1), conv(8, (10, 4), stride=(2, 2))),
    "conv 1x1": ((7, 9, 17), conv(33, (1, 1), activation="RELU")),
    "conv 1x1 stride 2": ((8, 9, 12), conv(16, (1, 1), stride=(2, 2))),
    "conv stride 3": ((10, 11, 6), conv(7, (3, 2), stride=(2, 3), padding="VALID")),
    "conv dilated": ((12, 11, 5), conv(9, (3, 3), dilation=(2, 3))),
    "conv over time": ((30, 1, 20), conv(10, (5, 1), stride=(2, 1))),
    "conv grouped": ((6, 7, 24), conv(36, (3, 3), groups=4)),
    "conv per tensor, no bias": ((5, 6, 8), conv(8, (3, 3), bias=False, per_channel=False)),
    "conv 7x7": ((9, 9, 2), conv(6, (7, 7))),
    "depthwise 3x3": ((9, 10, 21), depthwise((3, 3))),
    "depthwise stride 2": ((9, 11, 12), depthwise((3, 5), stride=(2, 2), activation="RELU6")),
    "depthwise stride 3": ((9, 11, 12), depthwise((3, 3), stride=(1, 3))),
    "depthwise dilated": ((9, 13, 9), depthwise((3, 3), dilation=(1, 2), padding="VALID")),
    "depthwise whole map": ((5, 4, 16), depthwise((5, 4), padding="VALID")),
    "depthwise over time": ((28, 1, 40), depthwise((5, 1), padding="VALID")),
    "depthwise multiplier, one input": ((12, 10, 1), depthwise((5, 4), multiplier=8)),
    "depthwise multiplier": ((6, 6, 5), depthwise((3, 3), multiplier=3)),
    "average pool": ((8, 9, 10), average((2, 3))),
    "average pool, padded": ((7, 8, 9), average((3, 3), stride=(2, 1), padding="SAME")),
    "average pool, global": ((8, 8, 20), average((8, 8))),
    "max pool": ((8, 9, 10), maximum((2, 2), activation="RELU")),
    "max pool, padded": ((7, 8, 11), maximum((3, 3), stride=(2, 2), padding="SAME")),
    "add": ((7, 9, 11), residual),
    "pad": ((9, 10, 5), padded),
    "fully connected on a map": ((5, 6, 7), flattened),
    "fully connected, batched": ((3, 5, 18), batched),
    "mean": ((7, 5, 19), mean),
}


def build(shape: tuple[int, int, int], layer: Layer, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    layer(m, rng, random_input(m, rng, (1, *shape)))
    return m.build()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize(("shape", "layer"), LAYERS.values(), ids=LAYERS.keys())
def test_layer_equals_tflm(shape: tuple[int, int, int], layer: Layer, config: NpuConfig) -> None:
    parts = check_model(build(shape, layer, seed=5), config, seed=5)
    assert not parts.reasons


def random_network(seed: int) -> bytes:
    """A few random layers in a row, with residual connections where shapes allow."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    height, width = (int(n) for n in rng.integers(3, 20, 2))
    x = random_input(m, rng, (1, height, width, int(rng.choice([1, 3, 8, 16, 25, 64]))))
    maps = [x]
    for _ in range(int(rng.integers(2, 7))):
        kernel = min(x.shape[1], int(rng.integers(1, 6))), min(x.shape[2], int(rng.integers(1, 6)))
        stride = int(rng.choice([1, 1, 2])), int(rng.choice([1, 1, 2]))
        kind = int(rng.integers(6))
        if kind <= 1:
            channels = int(rng.integers(1, 60))
            x = random_conv2d(m, rng, x, channels, kernel if kind else (1, 1), stride=stride)
        elif kind == 2:
            x = random_depthwise_conv2d(m, rng, x, kernel, stride=stride, activation="RELU")
        elif kind == 3:
            same = [t for t in maps if t.shape == x.shape]
            x = random_add(m, rng, x, same[int(rng.integers(len(same)))])
        elif kind == 4:
            x = m.average_pool2d(x, window=kernel, stride=stride, padding="SAME")
        else:
            x = m.max_pool2d(x, window=kernel, stride=stride)
        maps.append(x)
    if rng.integers(2):
        random_fully_connected(m, rng, m.reshape(x, (1, -1)), 10)
    return m.build()


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("name", ["tiny", "narrow", "npu256"])
def test_random_network_equals_tflm(name: str, seed: int) -> None:
    options = CompilerOptions(keep_intermediates=seed % 2 == 0)
    check_model(random_network(seed), CONFIGS[name], seed, options)
