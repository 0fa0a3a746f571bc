"""How weights and parameters lie in memory; the one place that knows.

Weights and parameters are stored by output words: `lanes` output channels each. Whoever cuts an
operator into pieces takes the bytes of a range of output words from here.
"""

import numpy as np
from numpy.typing import NDArray

from npu.compiler.terms.geometry import ceil_div
from npu.compiler.terms.tasks import GridTask
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import Destination, Opcode


def pack_conv(weights: NDArray[np.int8], depth: int, config: NpuConfig) -> NDArray[np.uint8]:
    """CONV weights `[outputs, kh, kw, inputs]` as `[block][ky][kx][cs][d][k][c]`, flat bytes.

    Outputs are filled up to whole blocks of `depth * K` and inputs to whole words with zeros.
    """
    outputs, kh, kw, inputs = weights.shape
    block = depth * config.channels
    blocks, steps = ceil_div(outputs, block), ceil_div(inputs, config.lanes)
    padded = np.zeros((blocks * block, kh, kw, steps * config.lanes), np.int8)
    padded[:outputs, :, :, :inputs] = weights
    split = padded.reshape(blocks, depth, config.channels, kh, kw, steps, config.lanes)
    return _bytes(split.transpose(0, 3, 4, 5, 1, 2, 6))


def pack_depthwise(weights: NDArray[np.int8], taps: int, config: NpuConfig) -> NDArray[np.uint8]:
    """DEPTHWISE weights `[kh, kw, channels]` as `[block][ky][kx][c][k]`, flat bytes.

    Taps `k >= taps` of a step, columns beyond the kernel and missing channels are zero.
    """
    kh, kw, channels = weights.shape
    blocks, steps = ceil_div(channels, config.lanes), ceil_div(kw, taps)
    padded = np.zeros((kh, steps * taps, blocks * config.lanes), np.int8)
    padded[:, :kw, :channels] = weights
    words = np.zeros((blocks, kh, steps, config.lanes, config.channels), np.int8)
    split = padded.reshape(kh, steps, taps, blocks, config.lanes)
    words[..., :taps] = split.transpose(3, 0, 1, 4, 2)
    return _bytes(words)


def pack_parameters(
    bias: NDArray[np.int32],
    multiplier: NDArray[np.int32],
    shift: NDArray[np.int32],
    config: NpuConfig,
) -> NDArray[np.uint8]:
    """Parameters of output channels as blocks of byte planes `[block][plane][c]`, flat bytes.

    Planes: bias (4, least significant first), multiplier (4), shift. Missing channels are zero.
    """
    blocks = ceil_div(len(bias), config.lanes)
    table = np.zeros((blocks * config.lanes, PARAMETER_BYTES), np.uint8)
    table[: len(bias), 0:4] = bias.astype("<i4").view(np.uint8).reshape(-1, 4)
    table[: len(bias), 4:8] = multiplier.astype("<i4").view(np.uint8).reshape(-1, 4)
    table[: len(bias), 8] = shift.astype(np.int8).view(np.uint8)
    split = table.reshape(blocks, config.lanes, PARAMETER_BYTES)
    return np.ascontiguousarray(split.transpose(0, 2, 1)).reshape(-1)


def fold_zero_point(
    bias: NDArray[np.int32], weights: NDArray[np.int8], zero_point: int, channel_axis: int
) -> NDArray[np.int32]:
    """`bias - zero_point * sum(weights)` per output channel, wrapped to int32 like the grid."""
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel_axis)
    total = weights.sum(axis=axes, dtype=np.int64)
    folded: NDArray[np.int64] = bias.astype(np.int64) - zero_point * total
    return folded.astype(np.int32)


def input_planes(task: GridTask, first: int, end: int, config: NpuConfig) -> tuple[int, int]:
    """IFM planes `(first, end)` that CONV output words `first..end` depend on."""
    if task.groups == 1:
        return 0, task.ifm.planes(config.lanes)
    outputs = task.ofm.channels // task.groups
    inputs = task.ifm.channels // task.groups
    last_channel = min(end * config.lanes, task.ofm.channels) - 1
    low = first * config.lanes // outputs * inputs
    high = (last_channel // outputs + 1) * inputs
    return low // config.lanes, ceil_div(high, config.lanes)


def weight_bytes(
    task: GridTask, first: int, end: int, depth: int, config: NpuConfig
) -> NDArray[np.uint8]:
    """The packed weights of output words `first..end` in blocks of `depth` groups."""
    if task.weights is None:
        return np.zeros(0, np.uint8)
    low, high = first * config.lanes, min(end * config.lanes, task.ofm.channels)
    if task.opcode == Opcode.DEPTHWISE:
        return pack_depthwise(task.weights[:, :, low:high], task.taps_per_step(config), config)
    if task.groups == 1:
        return pack_conv(task.weights[low:high], depth, config)
    planes = input_planes(task, first, end, config)
    return pack_conv(_dense(task, low, high, planes, config), depth, config)


def parameter_bytes(task: GridTask, first: int, end: int, config: NpuConfig) -> NDArray[np.uint8]:
    """What output words `first..end` need in the parameter buffer, packed for its LOAD."""
    low, high = first * config.lanes, end * config.lanes
    packed = pack_parameters(
        task.bias[low:high], task.multiplier[low:high], task.shift[low:high], config
    )
    if task.parameters == Destination.PARAMETERS:
        return packed
    planes = packed.reshape(-1, PARAMETER_BYTES, config.lanes)
    return planes[:, : BIAS_BYTES if task.parameters else 0].reshape(-1)


def _dense(
    task: GridTask, low: int, high: int, planes: tuple[int, int], config: NpuConfig
) -> NDArray[np.int8]:
    """Weights of a grouped CONV for output channels `low..high`, zero outside their group."""
    assert task.weights is not None
    _, kh, kw, inputs = task.weights.shape
    outputs = task.ofm.channels // task.groups
    origin = planes[0] * config.lanes
    width = (planes[1] - planes[0]) * config.lanes
    dense = np.zeros((high - low, kh, kw, width), np.int8)
    for channel in range(low, high):
        start = channel // outputs * inputs - origin
        dense[channel - low, :, :, start : start + inputs] = task.weights[channel]
    return dense


def _bytes(array: NDArray[np.int8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1)
