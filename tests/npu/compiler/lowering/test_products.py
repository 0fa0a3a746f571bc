"""BATCH_MATMUL of two activations, and TRANSPOSE_CONV, against TFLM."""

from typing import Any

import numpy as np
import pytest

from npu.compiler.compile import CompilerOptions
from npu.model.tflite_reader import read_model_bytes
from tests.npu import operator_models as models
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

ZERO_POINTS = [(0, 0), (3, -7), (-128, 0), (-128, 5), (0, -128), (127, 127), (-128, -128)]


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow", "wide"])
@pytest.mark.parametrize("zero_points", ZERO_POINTS, ids=str)
def test_zero_points_of_products(zero_points: tuple[int, int], config: str) -> None:
    m = ModelBuilder()
    a = m.input((1, 2, 9, 13), scale=0.05, zero_point=zero_points[0])
    b = m.input((1, 2, 17, 13), scale=0.04, zero_point=zero_points[1])
    move.batch_matmul(m, a, b, adj_y=True, scale=1.5, zero_point=-6)
    assert not check_model(m.build(), CONFIGS[config], 1).reasons


SHAPES = {
    "vector": ((1, 40), (40, 24)),
    "matrices": ((7, 20), (20, 33)),
    "batches": ((3, 6, 10), (3, 10, 12)),
    "heads": ((1, 4, 16, 8), (1, 4, 8, 16)),
    "one for all": ((2, 3, 5, 9), (1, 1, 9, 70)),
    "deep": ((1, 5, 90), (1, 90, 11)),
    "shallow": ((1, 33, 1), (1, 1, 20)),
}


@pytest.mark.parametrize("config", ["npu256", "tiny"])
@pytest.mark.parametrize("constant", [False, True], ids=["computed", "constant"])
@pytest.mark.parametrize("adj_y", [False, True], ids=["y", "yT"])
@pytest.mark.parametrize("adj_x", [False, True], ids=["x", "xT"])
@pytest.mark.parametrize(("a", "b"), SHAPES.values(), ids=SHAPES.keys())
def test_product_equals_tflm(
    a: tuple[int, ...],
    b: tuple[int, ...],
    adj_x: bool,
    adj_y: bool,
    constant: bool,
    config: str,
) -> None:
    rng = np.random.default_rng(2)
    model = models.batch_matmul(
        rng,
        (*a[:-2], a[-1], a[-2]) if adj_x else a,
        (*b[:-2], b[-1], b[-2]) if adj_y else b,
        adj_x=adj_x,
        adj_y=adj_y,
        constant=constant,
    )
    assert not check_model(model, CONFIGS[config], 2).reasons


def attention(seed: int, tokens: int = 12, width: int = 32, heads: int = 4) -> bytes:
    """Self-attention of several heads, with what is around it in a transformer."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, (1, tokens, width))
    parts = []
    for _ in range(3):
        y = random_fully_connected(m, rng, x, width, keep_num_dims=True)
        y = m.reshape(y, (1, tokens, heads, width // heads))
        parts.append(move.transpose(m, y, (0, 2, 1, 3)))
    q, k, v = parts
    scale = q.scale * k.scale * 74.0 * 74.0 * (width // heads) ** 0.5 / 40
    keys = move.transpose(m, k, (0, 1, 3, 2))
    scores = m.softmax(move.batch_matmul(m, q, keys, scale=scale, zero_point=7))
    mixed = move.batch_matmul(m, scores, v, scale=v.scale, zero_point=v.zero_point)
    mixed = m.reshape(move.transpose(m, mixed, (0, 2, 1, 3)), (1, tokens, width))
    y = random_fully_connected(m, rng, mixed, width, keep_num_dims=True)
    y = random_add(m, rng, x, y)
    y = random_fully_connected(m, rng, y, 2 * width, keep_num_dims=True, activation="RELU")
    random_fully_connected(m, rng, y, width, keep_num_dims=True)
    return m.build()


@pytest.mark.parametrize("config", ["npu256", "tiny", "wide"])
@pytest.mark.parametrize("seed", range(2))
def test_attention_leaves_only_softmax_to_the_cpu(seed: int, config: str) -> None:
    model = attention(seed)
    options = CompilerOptions(keep_intermediates=seed % 2 == 1)
    parts = check_model(model, CONFIGS[config], seed, options)
    graph = read_model_bytes(model, "m")
    assert {graph.operators[i].kind for i in parts.reasons} == {"SOFTMAX"}


TRANSPOSED: dict[str, tuple[tuple[int, int], tuple[int, int], dict[str, Any]]] = {
    "2x2 by 2": ((2, 2), (2, 2), {"stride": (2, 2)}),
    "3x3 by 2": ((3, 3), (3, 3), {"stride": (2, 2)}),
    "3x3 by 2, larger": ((3, 3), (3, 3), {"stride": (2, 2), "extra": (1, 1)}),
    "3x3 by 2, valid": ((3, 3), (3, 3), {"stride": (2, 2), "padding": 1}),
    "4x4 by 2": ((4, 4), (4, 4), {"stride": (2, 2), "activation": 1}),
    "5x3 by 3 and 1": ((5, 3), (5, 3), {"stride": (3, 1), "padding": 1, "extra": (2, 0)}),
    "16x16 by 4": ((16, 16), (16, 16), {"stride": (4, 4)}),
    "1x1 by 2": ((1, 1), (1, 1), {"stride": (2, 2), "extra": (1, 1)}),
    "2x5 by 4 and 3": ((2, 5), (2, 5), {"stride": (4, 3), "padding": 0, "bias": False}),
    "3x3 by 1": ((3, 3), (3, 3), {"stride": (1, 1), "per_channel": False}),
}


@pytest.mark.parametrize("config", ["npu256", "tiny"])
@pytest.mark.parametrize("name", ["3x3 by 2, larger", "5x3 by 3 and 1"])
def test_transposed_convolution_of_a_batch_equals_tflm(name: str, config: str) -> None:
    kernel, _, arguments = TRANSPOSED[name]
    rng = np.random.default_rng(5)
    model = models.transpose_conv(rng, (3, 4, 5, 5), (6, *kernel, 5), **arguments)
    assert not check_model(model, CONFIGS[config], 5).reasons


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow", "wide"])
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolution_equals_tflm(name: str, config: str) -> None:
    kernel, _, arguments = TRANSPOSED[name]
    rng = np.random.default_rng(4)
    model = models.transpose_conv(rng, (1, 6, 7, 5), (6, *kernel, 5), **arguments)
    assert not check_model(model, CONFIGS[config], 4).reasons


def u_net(seed: int, size: int = 16) -> bytes:
    """Down and up again, with connections across."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, (1, size, size, 3))
    a = random_conv2d(m, rng, x, 8, activation="RELU")
    b = random_conv2d(m, rng, m.max_pool2d(a, window=(2, 2)), 16, activation="RELU")
    c = random_conv2d(m, rng, m.max_pool2d(b, window=(2, 2)), 32, activation="RELU")
    up = move.transpose_conv(m, rng, c, 16, (2, 2), (2, 2), scale=c.scale, zero_point=-9)
    same: dict[str, Any] = {"scale": up.scale, "zero_point": up.zero_point}
    joined = move.concatenation(m, [random_conv2d(m, rng, b, 16, (1, 1), **same), up], 3)
    d = random_conv2d(m, rng, joined, 16, activation="RELU")
    wide = move.resize_nearest(m, d, (size, size))
    e = random_conv2d(m, rng, a, 8, (1, 1), scale=d.scale, zero_point=d.zero_point)
    f = random_depthwise_conv2d(m, rng, move.concatenation(m, [wide, e], 3))
    random_conv2d(m, rng, f, 4, (1, 1))
    return m.build()


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
@pytest.mark.parametrize("seed", range(2))
def test_u_net_runs_whole_on_the_npu(seed: int, config: str) -> None:
    options = CompilerOptions(keep_intermediates=seed % 2 == 1)
    assert not check_model(u_net(seed), CONFIGS[config], seed, options).reasons
