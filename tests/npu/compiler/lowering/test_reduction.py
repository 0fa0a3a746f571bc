"""Reductions over any axes, and padding, against TFLM."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from npu.compiler.compile import CompilerOptions
from npu.compiler.rules.partition import partition
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS
from tests.npu.compiler.support import CONFIGS, check_model
from tests.npu.operator_models import integers, padded
from tests.support.operators import unary
from tests.support.random_layers import (
    random_conv2d,
    random_depthwise_conv2d,
    random_input,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder, Pair

CONFIG = PRESETS["npu256"]


def reduction(
    code: str, shape: Sequence[int], axes: Sequence[int], seed: int, keep_dims: bool = True
) -> bytes:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, tuple(shape))
    reduced = {a % len(shape) for a in axes}
    kept = [1 if i in reduced else n for i, n in enumerate(shape)]
    if not keep_dims:
        kept = [n for i, n in enumerate(shape) if i not in reduced]
    count = int(np.prod([shape[a] for a in reduced]))
    # averages of many values spread little, sums a lot
    spread = np.sqrt(count) ** (1 if code == "SUM" else -1)
    scale, zero_point = x.scale, x.zero_point
    if code != "REDUCE_MAX":
        scale = float(np.float32(x.scale * spread * rng.uniform(0.5, 2)))
        zero_point = random_zero_point(rng)
    y = m.tensor(kept, scale=scale, zero_point=zero_point)
    options = {"keepDims": keep_dims}
    m.operator(code, [x, integers(m, *axes)], [y], options, options_type="ReducerOptions")
    return m.build()


AXES = {
    "height": ((1, 7, 9, 21), (1,)),
    "width": ((1, 7, 9, 21), (2,)),
    "height and width": ((1, 7, 9, 21), (1, 2)),
    "channels": ((1, 7, 9, 21), (-1,)),
    "height and channels": ((1, 7, 9, 21), (1, 3)),
    "width and channels": ((1, 7, 9, 21), (2, 3)),
    "all": ((1, 4, 5, 21), (0, 1, 2, 3)),
    "time": ((1, 40, 12), (1,)),
    "steps of a batch": ((5, 8, 12), (1,)),
    "batch": ((5, 8, 12), (0,)),
    "rows of a matrix": ((13, 20), (0,)),
    "columns of a matrix": ((13, 20), (1,)),
    "vector": ((33,), (0,)),
    "nothing": ((1, 1, 9, 8), (1,)),
    "long time": ((1, 300, 4), (1,)),
    "maps of a batch": ((3, 4, 5, 7), (1, 2)),
    "rows of a batch": ((3, 4, 5, 7), (1,)),
    "columns of a batch": ((3, 4, 5, 7), (2,)),
    "batch and columns": ((3, 4, 5, 7), (0, 2)),
    "batch and channels": ((3, 4, 5, 7), (0, 3)),
    "rows and channels of a batch": ((3, 4, 5, 7), (1, 3)),
    "large maps of a batch": ((2, 20, 15, 3), (1, 2)),
    "groups of channels": ((1, 6, 5, 4, 3), (1, 2, 4)),
    "groups of a batch": ((2, 6, 5, 4, 3), (1, 2, 4)),
    "every second of rank 5": ((2, 3, 4, 3, 5), (1, 3)),
    "the others of rank 5": ((2, 3, 4, 3, 5), (0, 2, 4)),
    "all of rank 5": ((2, 3, 2, 3, 5), (0, 1, 2, 3, 4)),
}


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
@pytest.mark.parametrize(("shape", "axes"), AXES.values(), ids=AXES.keys())
@pytest.mark.parametrize("code", ["MEAN", "SUM"])
def test_sum_over_any_axes_equals_tflm(
    code: str, shape: tuple[int, ...], axes: tuple[int, ...], config: str
) -> None:
    assert not check_model(reduction(code, shape, axes, 31), CONFIGS[config], 31).reasons
    model = reduction(code, shape, axes, 32, keep_dims=False)
    assert not check_model(model, CONFIGS[config], 32).reasons


@pytest.mark.parametrize("config", ["npu256", "narrow"])
@pytest.mark.parametrize("name", [name for name in AXES if name != "the others of rank 5"])
def test_maximum_equals_tflm(name: str, config: str) -> None:
    model = reduction("REDUCE_MAX", *AXES[name], 33)
    assert not check_model(model, CONFIGS[config], 33).reasons


def test_maximum_of_another_scale_is_refused() -> None:
    m = ModelBuilder()
    x = m.input((1, 4, 4, 3), scale=0.5)
    y = m.tensor((1, 1, 4, 3), scale=0.25)
    options = {"keepDims": True}
    m.operator("REDUCE_MAX", [x, integers(m, 1)], [y], options, options_type="ReducerOptions")
    parts = partition(read_model_bytes(m.build(), "test"), CONFIG)
    assert parts.reasons == {0: "input and output must have the same scale and zero point"}


def test_a_prime_number_of_pixels_is_refused() -> None:
    model = reduction("MEAN", (1, 257, 3), (1,), 1)
    parts = partition(read_model_bytes(model, "test"), CONFIG)
    assert parts.reasons == {
        0: "up to 255 rows and columns may be reduced, or all pixels if they fill such a rectangle"
    }


def test_what_is_no_map_is_refused() -> None:
    for shape, axes in (((2, 3, 2, 3, 2, 3), (0, 2, 4)), ((70, 2, 3, 2, 3), (1, 3))):
        model = reduction("MEAN", shape, axes, 1)
        parts = partition(read_model_bytes(model, "test"), CONFIG)
        assert parts.reasons == {
            0: "what is reduced must be rows, columns or channels of a map, or of each of up to 64"
            " maps"
        }


def test_mean_between_layers_equals_tflm() -> None:
    rng = np.random.default_rng(14)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 12, 9, 5)), 20)
    y = m.mean(x, (2,), scale=x.scale / 3, zero_point=4)
    y = random_depthwise_conv2d(m, rng, y, (3, 1))
    z = m.mean(x, (1, 2, 3), scale=x.scale / 30, zero_point=4)
    m.add(y, z, scale=y.scale, zero_point=1)
    parts = check_model(m.build(), CONFIG, 14)
    assert not parts.reasons


PADS = {
    "maps of a batch": ((3, 6, 7, 5), [(0, 0), (2, 1), (3, 4), (0, 0)]),
    "channels of a batch": ((3, 4, 5, 5), [(0, 0), (0, 1), (0, 0), (2, 0)]),
    "rows and columns": ((1, 6, 7, 13), [(0, 0), (2, 1), (3, 4), (0, 0)]),
    "more rows than the map has": ((1, 3, 7, 13), [(0, 0), (9, 11), (0, 0), (0, 0)]),
    "rows behind": ((1, 6, 7, 13), [(0, 0), (0, 3), (0, 0), (0, 0)]),
    "columns and channels behind": ((1, 6, 7, 13), [(0, 0), (0, 0), (0, 3), (0, 1)]),
    "channels behind": ((1, 6, 7, 13), [(0, 0), (0, 0), (0, 0), (0, 13)]),
    "channels in front": ((1, 6, 7, 13), [(0, 0), (0, 0), (0, 0), (3, 2)]),
    "everything": ((1, 6, 7, 13), [(0, 0), (2, 1), (3, 4), (1, 5)]),
    "one column": ((1, 9, 1, 4), [(0, 0), (2, 1), (0, 0), (0, 0)]),
    "rank 3": ((3, 5, 6), [(1, 1), (2, 0), (0, 0)]),
    "matrix": ((5, 6), [(2, 0), (0, 3)]),
}


def padding(shape: Sequence[int], amounts: Sequence[tuple[int, int]], value: int | None) -> bytes:
    """PAD, or PADV2 by `value`, and something to compute: padding alone makes no segment."""
    m = ModelBuilder()
    quantization: dict[str, Any] = {"scale": 0.25, "zero_point": -7}
    x = m.input(shape, **quantization)
    y = m.tensor([n + sum(p) for n, p in zip(shape, amounts, strict=True)], **quantization)
    inputs = [x, m.constant(np.array(amounts, np.int32))]
    if value is None:
        m.operator("PAD", inputs, [y], {}, options_type="PadOptions", version=2)
    else:
        inputs.append(m.constant(np.array([value], np.int8), **quantization))
        m.operator("PADV2", inputs, [y], {}, options_type="PadV2Options", version=2)
    unary(m, "RELU", y, scale=0.2, zero_point=-9)
    return m.build()


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow"])
@pytest.mark.parametrize("value", [None, 99, -128])
@pytest.mark.parametrize(("shape", "amounts"), PADS.values(), ids=PADS.keys())
def test_padding_equals_tflm(
    shape: tuple[int, ...], amounts: Sequence[Pair], value: int | None, config: str
) -> None:
    model = padding(shape, amounts, value)
    keep = CompilerOptions(keep_intermediates=True)
    assert not check_model(model, CONFIGS[config], 34, keep).reasons


def test_padding_alone_is_not_worth_a_segment() -> None:
    model = padded((1, 6, 7, 13), PADS["everything"][1], 99)
    parts = partition(read_model_bytes(model, "test"), CONFIG)
    assert parts.reasons == {0: "nothing to compute beside it on the NPU"}


def test_pad_behind_a_layer_and_before_a_pool_equals_tflm() -> None:
    rng = np.random.default_rng(15)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 40, 30, 3)), 40)
    x = m.pad(x, [(0, 0), (3, 12), (4, 5), (0, 4)])
    m.max_pool2d(x, window=(3, 3), stride=(2, 2))
    for config in ("npu256", "tiny"):
        assert not check_model(m.build(), CONFIGS[config], 15).reasons
