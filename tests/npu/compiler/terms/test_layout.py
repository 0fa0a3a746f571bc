import numpy as np
import pytest

from npu.compiler.terms.layout import (
    fold_zero_point,
    pack_conv,
    pack_depthwise,
    pack_parameters,
)
from rtl.config import PRESETS, NpuConfig
from tests.npu.compiler.support import CONFIGS


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_conv_weights_follow_the_loop_nest(config: NpuConfig) -> None:
    rng = np.random.default_rng(1)
    outputs, kh, kw, inputs = 2 * config.lanes + 3, 2, 3, config.lanes + 1
    weights = rng.integers(-127, 128, (outputs, kh, kw, inputs)).astype(np.int8)
    depth = config.groups_per_word
    packed = pack_conv(weights, depth, config).view(np.int8)
    position = 0
    block = depth * config.channels
    for first in range(0, 3 * config.lanes, block):
        for ky, kx, cs in np.ndindex(kh, kw, 2):
            for d, k, c in np.ndindex(depth, config.channels, config.lanes):
                o, i = first + d * config.channels + k, cs * config.lanes + c
                expected = weights[o, ky, kx, i] if o < outputs and i < inputs else 0
                assert packed[position] == expected
                position += 1
    assert position == len(packed)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_weights_follow_the_loop_nest(config: NpuConfig, stride: int) -> None:
    rng = np.random.default_rng(2)
    kh, kw, channels = 2, 5, config.lanes + 2
    taps = config.taps_per_step(stride)
    weights = rng.integers(-127, 128, (kh, kw, channels)).astype(np.int8)
    packed = pack_depthwise(weights, taps, config).view(np.int8)
    position = 0
    for block, ky, kx in np.ndindex(2, kh, -(-kw // taps)):
        for c, k in np.ndindex(config.lanes, config.channels):
            column, channel = kx * taps + k, block * config.lanes + c
            used = k < taps and column < kw and channel < channels
            assert packed[position] == (weights[ky, column, channel] if used else 0)
            position += 1
    assert position == len(packed)


def test_parameters_are_byte_planes() -> None:
    config = PRESETS["npu256"]
    count = config.lanes + 1
    bias = np.arange(count, dtype=np.int32) * -0x01020304
    multiplier = np.arange(count, dtype=np.int32) + 0x40506070
    shift = np.arange(count, dtype=np.int32) - 7
    packed = pack_parameters(bias, multiplier, shift, config).reshape(2, 9, config.lanes)
    for channel in range(count):
        planes = packed[channel // config.lanes, :, channel % config.lanes].tobytes()
        assert int.from_bytes(planes[:4], "little", signed=True) == bias[channel]
        assert int.from_bytes(planes[4:8], "little", signed=True) == multiplier[channel]
        assert int.from_bytes(planes[8:], "little", signed=True) == shift[channel]
    assert not packed[1, :, 1:].any()


def test_zero_point_folds_into_the_bias_and_wraps() -> None:
    weights = np.full((2, 1, 1, 4), 127, np.int8)
    bias = np.array([5, -(2**31)], np.int32)
    folded = fold_zero_point(bias, weights, 3, 0)
    assert folded.tolist() == [5 - 3 * 4 * 127, 2**31 - 3 * 4 * 127]
