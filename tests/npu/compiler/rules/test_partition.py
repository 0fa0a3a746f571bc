import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from npu.compiler.rules.operators import RULES
from npu.compiler.rules.partition import partition
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS, NpuConfig
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

CONFIG = PRESETS["npu256"]
RNG_SEED = 11


Layer = Callable[[ModelBuilder, np.random.Generator, Tensor], object]


def builder(
    shape: tuple[int, ...] = (1, 6, 6, 4),
) -> tuple[ModelBuilder, np.random.Generator, Tensor]:
    rng = np.random.default_rng(RNG_SEED)
    m = ModelBuilder()
    return m, rng, random_input(m, rng, shape)


def reasons(m: ModelBuilder, config: NpuConfig = CONFIG) -> dict[int, str]:
    return dict(partition(read_model_bytes(m.build(), "test"), config).reasons)


def test_every_rule_has_a_message() -> None:
    for rules in RULES.values():
        for rule in rules:
            assert rule.__doc__
            assert "\n" not in rule.__doc__


def test_unknown_operator_stays_on_the_cpu_and_splits_the_run() -> None:
    m, rng, x = builder()
    x = random_conv2d(m, rng, x, 4)
    y = m.softmax(x)
    random_conv2d(m, rng, y, 4)
    graph = read_model_bytes(m.build(), "test")
    parts = partition(graph, CONFIG)
    assert parts.reasons == {1: "SOFTMAX is not an NPU operator"}
    assert [s.operators for s in parts.segments] == [(0,), (2,)]
    assert [(s.inputs, s.outputs) for s in parts.segments] == [
        ((graph.inputs[0],), (x.index,)),
        ((y.index,), graph.outputs),
    ]
    assert parts.on_npu(0)
    assert not parts.on_npu(1)


def computed_weights(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> None:
    m.reshape(x, (36, 4))
    weights = m.input((5, 4), scale=0.1)
    y = m.tensor((36, 5), np.int8, scale=0.5)
    flat = m.reshape(x, (36, 4))
    m.operator(
        "FULLY_CONNECTED", [flat, weights, None], [y], {}, options_type="FullyConnectedOptions"
    )


def enlarging(m: ModelBuilder, rng: np.random.Generator, x: Tensor) -> None:
    """A multiplier of 2**7 - 1 is the NPU's, one of 2**7 the CPU's."""
    flat, scale = m.input((36, 4), scale=0.5), 0.5
    weights = rng.integers(-127, 128, (4, 4)).astype(np.int8)
    for factor in (127, 128):
        flat = m.fully_connected(
            flat, weights, None, weight_scales=factor / 16, scale=scale / 16, zero_point=0
        )
        scale /= 16


REFUSED = {
    "batch": (
        (65, 2, 2, 4),
        lambda m, rng, x: random_conv2d(m, rng, x, 4),
        "feature maps must have rank 4, and a batch may have up to 64 of them",
    ),
    "large kernel": (
        (1, 300, 1, 1),
        lambda m, rng, x: random_conv2d(m, rng, x, 4, (257, 1)),
        "kernel, stride, dilation and padding may be up to 255",
    ),
    "mean of many rows": (
        (1, 300, 6, 4),
        lambda m, rng, x: m.mean(x, (1,), scale=0.1, zero_point=0),
        "up to 255 rows and columns may be reduced",
    ),
    "pad of the batch": (
        (1, 6, 6, 4),
        lambda m, rng, x: m.pad(random_conv2d(m, rng, x, 4), [(1, 0), (1, 1), (1, 1), (0, 0)]),
        "the batch must not be extended",
    ),
    "wide pad": (
        (1, 6, 6, 4),
        lambda m, rng, x: random_conv2d(m, rng, m.pad(x, [(0, 0), (256, 0), (0, 0), (0, 0)]), 4),
        "the batch must not be extended, and height and width by up to 255",
    ),
    "a layer that makes its sums larger": (
        (1, 6, 6, 4),
        enlarging,
        "results must be rescaled by less than 2**7",
    ),
    "weights that another operator computes": (
        (1, 6, 6, 4),
        computed_weights,
        "weights must be constant int8",
    ),
}


@pytest.mark.parametrize(("shape", "layer", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_operator_tells_why(shape: tuple[int, ...], layer: Layer, reason: str) -> None:
    m, rng, x = builder(shape)
    layer(m, rng, x)
    given = reasons(m)
    assert any(text.startswith(reason) for text in given.values()), given


REGROUPED = {
    "mean over channels, read as channels": (
        (1, 6, 6, 4),
        lambda m, rng, x: random_fully_connected(
            m, rng, m.mean(x, (3,), scale=0.1, zero_point=0, keep_dims=False), 5
        ),
    ),
    "pixels to channels": (
        (1, 6, 6, 4),
        lambda m, rng, x: random_conv2d(
            m, rng, m.reshape(random_conv2d(m, rng, x, 4), (1, 3, 6, 8)), 4
        ),
    ),
    "long reduction": (
        (1, 300, 1, 8),
        lambda m, rng, x: random_fully_connected(
            m, rng, random_depthwise_conv2d(m, rng, x, (3, 1)), 3, inputs=2400
        ),
    ),
}


@pytest.mark.parametrize("name", ["npu256", "narrow"])
@pytest.mark.parametrize(("shape", "layer"), REGROUPED.values(), ids=REGROUPED.keys())
def test_bytes_that_change_lanes_pass_through_the_arena(
    shape: tuple[int, ...], layer: Layer, name: str
) -> None:
    m, rng, x = builder(shape)
    layer(m, rng, x)
    assert not check_model(m.build(), CONFIGS[name]).reasons


def test_wide_map_that_no_stripe_fits() -> None:
    m, rng, x = builder((1, 4, 600, 64))
    random_conv2d(m, rng, x, 64)
    config = dataclasses.replace(CONFIG, scratchpad_kib=64)
    assert reasons(m, config) == {
        0: "tensor too large for any tiling: needs 150 KiB, scratchpad has 64"
    }


def test_weights_that_no_piece_fits() -> None:
    m, rng, x = builder((1, 4, 4, 256))
    random_conv2d(m, rng, x, 8)
    config = dataclasses.replace(CONFIG, weight_buffer_kib=8)
    assert reasons(m, config) == {
        0: "weights too large for any tiling: 18 KiB for one word of output channels,"
        " weight buffer has 8"
    }


def test_views_alone_are_not_worth_a_segment() -> None:
    m, _, x = builder()
    m.reshape(x, (1, 144))
    assert reasons(m) == {0: "nothing to compute beside it on the NPU"}


def test_operators_too_large_stay_on_the_cpu_and_the_rest_runs() -> None:
    m, rng, x = builder((1, 4, 300, 8))
    y = random_conv2d(m, rng, x, 8, (1, 1))
    z = random_conv2d(m, rng, y, 80, (3, 3))
    random_conv2d(m, rng, z, 4, (1, 1), stride=(2, 8))
    parts = check_model(m.build(), CONFIGS["tiny"])
    assert set(parts.reasons) == {1, 2}


def test_pad_folds_into_all_its_consumers() -> None:
    m, rng, x = builder()
    padded = m.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    a = random_conv2d(m, rng, padded, 6, padding="VALID")
    b = random_depthwise_conv2d(m, rng, padded, padding="VALID")
    random_add(m, rng, random_conv2d(m, rng, b, 6), a)
    assert not check_model(m.build(), CONFIG).reasons


def test_view_of_an_input_may_be_an_output() -> None:
    m, rng, x = builder()
    view = m.reshape(x, (1, 36, 1, 4))
    y = random_conv2d(m, rng, view, 6, (3, 1))
    model = m.build([view, y])
    parts = check_model(model, CONFIG)
    assert not parts.reasons
    assert parts.segments[0].outputs == (view.index, y.index)


def test_view_that_keeps_channels_is_free_between_operators() -> None:
    m, rng, x = builder()
    y = m.reshape(random_conv2d(m, rng, x, 12), (1, 4, 9, 12))
    random_add(m, rng, random_conv2d(m, rng, y, 12), y)
    assert not check_model(m.build(), CONFIG).reasons
