"""How weights, parameters and folded inputs lie in memory; the one place that knows.

Weights and parameters are stored by output words: `lanes` output channels each. Whoever cuts an
operator into pieces takes the bytes of a range of output words from here.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from npu.compiler.estimate import grid_cycles
from npu.compiler.tasks import Extent, GridTask, Kernel, Region, ceil_div
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import Destination, Opcode

FOLD_WORDS = 4
"""Words of a folded pixel at most (a limit of the LOAD command)."""

LOAD_PAD_LIMIT = 255
"""Bytes of padding in front of a row at most (a limit of the LOAD command)."""


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
    """DEPTHWISE weights `[kh, kw, channels]` as `[block][ky][kx][k][c]`, flat bytes.

    Columns `k >= taps` of the grid, columns beyond the kernel and missing channels are zero.
    """
    kh, kw, channels = weights.shape
    blocks, steps = ceil_div(channels, config.lanes), ceil_div(kw, taps)
    padded = np.zeros((kh, steps * taps, blocks * config.lanes), np.int8)
    padded[:, :kw, :channels] = weights
    columns = np.zeros((blocks, kh, steps, config.channels, config.lanes), np.int8)
    split = padded.reshape(kh, steps, taps, blocks, config.lanes)
    columns[:, :, :, :taps] = split.transpose(3, 0, 1, 2, 4)
    return _bytes(columns)


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


@dataclass(frozen=True, slots=True)
class Fold:
    """How a LOAD folds columns of the input into lanes.

    Pixel `i` of the folded map holds columns `i * step - pad ... + columns` of the input, and the
    kernel's columns become `taps` taps at distance `dilation`.
    """

    columns: int
    step: int
    pad: int
    taps: int
    dilation: int
    width: int


def choose_fold(task: GridTask, config: NpuConfig) -> Fold | None:
    """The folding with which loading and computing a CONV takes the fewest cycles, if any helps.

    Only for a map that a LOAD brings from external memory.
    """
    kernel, channels = task.kernel, task.ifm.channels
    whole = Region(0, task.ofm.height, 0, task.ofm.width)
    if task.opcode != Opcode.CONV or kernel.dilation_x != 1 or kernel.width == 1:
        return None
    if task.groups != 1 or task.region != whole or kernel.pad_left < 0:
        return None
    limit = FOLD_WORDS * config.lanes
    if kernel.stride_x * channels > limit or kernel.pad_left * channels > LOAD_PAD_LIMIT:
        return None
    best, best_cost = None, _streaming_cycles(task, task, config)
    for columns in range(1, kernel.width + 1):
        if columns * channels > limit:
            break
        taps = ceil_div(kernel.width, columns)
        if taps > 1 and columns % kernel.stride_x:
            continue
        dilation = max(columns // kernel.stride_x, 1)
        width = task.ofm.width + (taps - 1) * dilation
        fold = Fold(columns, kernel.stride_x, kernel.pad_left, taps, dilation, width)
        cost = _streaming_cycles(task, folded(task, fold), config)
        if cost < best_cost:
            best, best_cost = fold, cost
    return best


def folded(task: GridTask, fold: Fold) -> GridTask:
    """The same CONV on the folded map."""
    assert task.weights is not None
    outputs, kh, kw, inputs = task.weights.shape
    weights = np.zeros((outputs, kh, fold.taps * fold.columns, inputs), np.int8)
    weights[:, :, :kw] = task.weights
    kernel = task.kernel
    return replace(
        task,
        weights=weights.reshape(outputs, kh, fold.taps, fold.columns * inputs),
        ifm=Extent(task.ifm.height, fold.width, fold.columns * inputs),
        kernel=Kernel(
            height=kh,
            width=fold.taps,
            stride_y=kernel.stride_y,
            dilation_y=kernel.dilation_y,
            dilation_x=fold.dilation,
            pad_top=kernel.pad_top,
        ),
    )


def _streaming_cycles(original: GridTask, task: GridTask, config: NpuConfig) -> tuple[int, int]:
    """Cost of loading and computing, which overlap; ties go to the smaller sum."""
    load = max(task.ifm.words(config.lanes), ceil_div(original.ifm.size, config.bus_bytes))
    words = task.ofm.planes(config.lanes)
    compute = grid_cycles(
        task,
        rows=task.ofm.height,
        columns=task.ofm.width,
        words=words,
        depth=words * config.groups_per_word,
        planes=task.ifm.planes(config.lanes),
        config=config,
    )
    return max(load, compute), load + compute


def _bytes(array: NDArray[np.int8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).view(np.uint8).reshape(-1)
