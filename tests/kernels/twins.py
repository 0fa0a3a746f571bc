"""Plain-Python twins of the kernels: one integer at a time, straight from TFLM's definitions.

Slow on purpose, and sharing no code with `kernels/`. Arrays are only indexed; every value that is
computed with is a Python int, which cannot overflow, so wrapping is written where C wraps.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.output_stage import OutputStage
from kernels.quantization import AddParameters, SoftmaxParameters

Pair = tuple[int, int]


def wrap32(value: int) -> int:
    """The int32 that two's complement leaves of `value`."""
    return (value + 2**31) % 2**32 - 2**31


def truncating_division(a: int, b: int) -> int:
    """C's integer division, for positive `b`."""
    return a // b if a >= 0 else -(-a // b)


def doubling_high_product(a: int, b: int) -> int:
    """gemmlowp's SaturatingRoundingDoublingHighMul."""
    if a == b == -(2**31):
        return 2**31 - 1
    product = a * b
    nudge = 2**30 if product >= 0 else 1 - 2**30
    return truncating_division(product + nudge, 2**31)


def rounding_shift(x: int, exponent: int) -> int:
    """gemmlowp's RoundingDivideByPOT."""
    mask = 2**exponent - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def multiply_by_quantized_multiplier(acc: int, multiplier: int, shift: int) -> int:
    """TFLM's MultiplyByQuantizedMultiplier with double rounding."""
    shifted = wrap32(acc * 2 ** max(shift, 0))
    return rounding_shift(doubling_high_product(shifted, multiplier), max(-shift, 0))


def output(acc: int, multiplier: Any, shift: Any, zero_point: int, low: int, high: int) -> int:
    """An accumulator to int8."""
    value = multiply_by_quantized_multiplier(wrap32(acc), int(multiplier), int(shift))
    return min(max(wrap32(value + zero_point), low), high)


def staged_output(acc: int, channel: int, stage: OutputStage) -> int:
    """An accumulator of an operator with weights to int8."""
    multiplier, shift = stage.multiplier[channel], stage.shift[channel]
    return output(acc, multiplier, shift, stage.zero_point, stage.low, stage.high)


def conv2d(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    ofm_hw: Pair,
    ifm_zero_point: int,
    stage: OutputStage,
) -> NDArray[np.int8]:
    """CONV_2D."""
    channels, kernel_h, kernel_w, group_channels = weights.shape
    group_outputs = channels // (ifm.shape[3] // group_channels)
    ofm = np.empty((ifm.shape[0], *ofm_hw, channels), np.int8)
    for n, oy, ox, k in np.ndindex(ofm.shape):
        acc = 0 if bias is None else int(bias[k])
        for ky, kx, c in itertools.product(range(kernel_h), range(kernel_w), range(group_channels)):
            y = oy * stride[0] - padding[0] + ky * dilation[0]
            x = ox * stride[1] - padding[1] + kx * dilation[1]
            if 0 <= y < ifm.shape[1] and 0 <= x < ifm.shape[2]:
                value = int(ifm[n, y, x, k // group_outputs * group_channels + c])
                acc += (value - ifm_zero_point) * int(weights[k, ky, kx, c])
        ofm[n, oy, ox, k] = staged_output(acc, k, stage)
    return ofm


def depthwise_conv2d(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    **arguments: Any,
) -> NDArray[np.int8]:
    """DEPTHWISE_CONV_2D: as many groups as the IFM has channels."""
    return conv2d(ifm, weights.transpose(3, 1, 2, 0), bias, **arguments)


def fully_connected(
    ifm: NDArray[np.int8],
    weights: NDArray[np.int8],
    bias: NDArray[np.int32] | None,
    *,
    ifm_zero_point: int,
    stage: OutputStage,
) -> NDArray[np.int8]:
    """FULLY_CONNECTED."""
    outputs, inputs = weights.shape
    rows = ifm.reshape(-1, inputs)
    ofm = np.empty((rows.shape[0], outputs), np.int8)
    for n, k in np.ndindex(ofm.shape):
        acc = 0 if bias is None else int(bias[k])
        for i in range(inputs):
            acc += (int(rows[n, i]) - ifm_zero_point) * int(weights[k, i])
        ofm[n, k] = staged_output(acc, k, stage)
    return ofm


def add(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    *,
    a_zero_point: int,
    b_zero_point: int,
    ofm_zero_point: int,
    parameters: AddParameters,
    activation_min: int,
    activation_max: int,
) -> NDArray[np.int8]:
    """ADD."""
    p = parameters
    ofm = np.empty(np.broadcast_shapes(a.shape, b.shape), np.int8)
    wide_a, wide_b = np.broadcast_to(a, ofm.shape), np.broadcast_to(b, ofm.shape)
    for index in np.ndindex(ofm.shape):
        x = (int(wide_a[index]) - a_zero_point) * 2**20
        y = (int(wide_b[index]) - b_zero_point) * 2**20
        total = multiply_by_quantized_multiplier(x, p.multiplier_a, p.shift_a)
        total += multiply_by_quantized_multiplier(y, p.multiplier_b, p.shift_b)
        ofm[index] = output(
            total, p.multiplier, p.shift, ofm_zero_point, activation_min, activation_max
        )
    return ofm


def _windows(
    ifm: NDArray[np.int8], window: Pair, stride: Pair, padding: Pair, ofm_hw: Pair
) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """(Index in the OFM, the values of the IFM in its window)."""
    batches, height, width, channels = ifm.shape
    for n, oy, ox, c in np.ndindex(batches, *ofm_hw, channels):
        rows = range(oy * stride[0] - padding[0], oy * stride[0] - padding[0] + window[0])
        columns = range(ox * stride[1] - padding[1], ox * stride[1] - padding[1] + window[1])
        yield (
            (n, oy, ox, c),
            [
                int(ifm[n, y, x, c])
                for y, x in itertools.product(rows, columns)
                if 0 <= y < height and 0 <= x < width
            ],
        )


def average_pool2d(
    ifm: NDArray[np.int8],
    *,
    activation_min: int,
    activation_max: int,
    ofm_hw: Pair,
    **placement: Pair,
) -> NDArray[np.int8]:
    """AVERAGE_POOL_2D."""
    ofm = np.empty((ifm.shape[0], *ofm_hw, ifm.shape[3]), np.int8)
    for index, values in _windows(ifm, ofm_hw=ofm_hw, **placement):
        acc, count = sum(values), len(values)
        half = count // 2 if acc > 0 else -(count // 2)
        average = truncating_division(acc + half, count)
        ofm[index] = min(max(average, activation_min), activation_max)
    return ofm


def max_pool2d(
    ifm: NDArray[np.int8],
    *,
    activation_min: int,
    activation_max: int,
    ofm_hw: Pair,
    **placement: Pair,
) -> NDArray[np.int8]:
    """MAX_POOL_2D."""
    ofm = np.empty((ifm.shape[0], *ofm_hw, ifm.shape[3]), np.int8)
    for index, values in _windows(ifm, ofm_hw=ofm_hw, **placement):
        ofm[index] = min(max(*values, activation_min), activation_max)
    return ofm


def mean(
    ifm: NDArray[np.int8],
    axes: Sequence[int],
    *,
    keep_dims: bool,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
) -> NDArray[np.int8]:
    """MEAN."""
    reduced = {axis % ifm.ndim for axis in axes}
    sums: dict[tuple[int, ...], list[int]] = {}
    for index in np.ndindex(ifm.shape):
        key = tuple(0 if axis in reduced else i for axis, i in enumerate(index))
        sums.setdefault(key, []).append(int(ifm[index]))
    ofm = np.empty([1 if axis in reduced else n for axis, n in enumerate(ifm.shape)], np.int8)
    for key, values in sums.items():
        acc = sum(values) - len(values) * ifm_zero_point
        ofm[key] = output(acc, multiplier, shift, ofm_zero_point, -128, 127)
    return ofm if keep_dims else ofm.squeeze(tuple(reduced))


def pad(ifm: NDArray[np.int8], paddings: Sequence[Pair], *, value: int) -> NDArray[np.int8]:
    """PAD."""
    shape = [n + sum(pair) for n, pair in zip(ifm.shape, paddings, strict=True)]
    ofm = np.empty(shape, np.int8)
    for index in np.ndindex(ofm.shape):
        source = [i - before for i, (before, _) in zip(index, paddings, strict=True)]
        inside = all(0 <= i < n for i, n in zip(source, ifm.shape, strict=True))
        ofm[index] = ifm[tuple(source)] if inside else value
    return ofm


def requantize(
    ifm: NDArray[np.int8],
    *,
    ifm_zero_point: int,
    ofm_zero_point: int,
    multiplier: int,
    shift: int,
) -> NDArray[np.int8]:
    """QUANTIZE, int8 to int8."""
    ofm = np.empty(ifm.shape, np.int8)
    for index in np.ndindex(ifm.shape):
        difference = int(ifm[index]) - ifm_zero_point
        ofm[index] = output(difference, multiplier, shift, ofm_zero_point, -128, 127)
    return ofm


def saturate(x: int) -> int:
    """The nearest int32."""
    return min(max(x, -(2**31)), 2**31 - 1)


def exp_on_negative_values(a: int) -> int:
    """gemmlowp: exp of `a` <= 0 in Q5.26, as Q0.31."""
    if a == 0:
        return 2**31 - 1
    quarter = 2**24
    within = a % quarter - quarter
    x = saturate(within * 2**5) + 2**28
    x2 = doubling_high_product(x, x)
    x3 = doubling_high_product(x2, x)
    x4 = doubling_high_product(x2, x2)
    third = doubling_high_product(rounding_shift(x4, 2) + x3, 715827883)
    constant = 1895147668
    result = constant + doubling_high_product(constant, x + rounding_shift(third + x2, 1))
    remainder = within - a
    for bit, factor in (
        (24, 1672461947),
        (25, 1302514674),
        (26, 790015084),
        (27, 290630308),
        (28, 39332535),
        (29, 720401),
        (30, 242),
    ):
        if remainder >> bit & 1:
            result = doubling_high_product(result, factor)
    return result


def one_over_one_plus(x: int) -> int:
    """gemmlowp's one_over_one_plus_x_for_x_in_0_1, Q0.31 to Q0.31."""
    total = x + 2**31 - 1
    half = truncating_division(total + 1, 2)
    y = 1515870810 + doubling_high_product(half, -1010580540)
    for _ in range(3):
        error = 2**29 - doubling_high_product(half, y)
        y += saturate(doubling_high_product(y, error) * 4)
    return saturate(y * 2)


def softmax(ifm: NDArray[np.int8], *, parameters: SoftmaxParameters, bits: int = 8) -> NDArray[Any]:
    """SOFTMAX to int8, or to int16 with 16 `bits`."""
    p = parameters
    low = -(2 ** (bits - 1))
    ofm = np.empty(ifm.shape, np.int8 if bits == 8 else np.int16)
    for row in np.ndindex(ifm.shape[:-1]):
        values = [int(v) for v in ifm[row]]
        exponentials = [
            exp_on_negative_values(doubling_high_product(wrap32(d * 2**p.shift), p.multiplier))
            if d >= p.diff_min
            else None
            for d in (v - max(values) for v in values)
        ]
        total = sum(rounding_shift(e, 12) for e in exponentials if e is not None)
        headroom = 32 - total.bit_length()
        scale = one_over_one_plus(total * 2**headroom - 2**31)
        for i, e in enumerate(exponentials):
            value = low
            if e is not None:
                value += rounding_shift(doubling_high_product(scale, e), 12 - headroom + 31 - bits)
            ofm[(*row, i)] = min(max(value, low), -low - 1)
    return ofm
