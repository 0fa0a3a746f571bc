"""From the scales and attributes in a `.tflite` to the integers that the kernels and the NPU use.

Every formula is that of TensorFlow Lite Micro's `Prepare` functions: scales are float32 as stored
in the file, products and quotients are double unless said otherwise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels.requantize import quantize_multiplier, split_multiplier

INT8_MIN, INT8_MAX = -128, 127
# real bounds of each fused activation; None is unbounded
ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
}
# ADD and SUB bring both inputs to a common scale with this many fractional bits
ADD_LEFT_SHIFT = 20
ADD_LEFT_SHIFT_INT16 = 15
SOFTMAX_INTEGER_BITS = 5


@dataclass(frozen=True)
class Window:
    """Where a sliding window lands, for one spatial dimension.

    `before` is the padding in front of the first input; `after` is what the last window needs
    beyond the last input (0 when it ends earlier).
    """

    output: int
    before: int
    after: int


@dataclass(frozen=True)
class AddParameters:
    """Multipliers (Q31) and shifts of ADD and SUB: inputs to a common scale, then to the OFM's.

    `left_shift` is the number of fractional bits of the common scale.
    """

    multiplier_a: int
    shift_a: int
    multiplier_b: int
    shift_b: int
    multiplier: int
    shift: int
    left_shift: int = ADD_LEFT_SHIFT


@dataclass(frozen=True)
class PreluParameters:
    """Multiplier (Q31) and shift of PRELU: of the input, and of the input times alpha."""

    multiplier: int
    shift: int
    multiplier_alpha: int
    shift_alpha: int


@dataclass(frozen=True)
class SvdfParameters:
    """SVDF: filters per unit, and the rescaling to the state and from the state to the output."""

    rank: int
    multiplier_feature: int
    shift_feature: int
    multiplier_time: int
    shift_time: int


@dataclass(frozen=True)
class SoftmaxParameters:
    """SOFTMAX: input difference to Q5.26; differences below `diff_min` have exponential 0."""

    multiplier: int
    shift: int
    diff_min: int


def scale_float32(scale: float, name: str = "scale") -> float:
    """`scale` rounded to float32, as a file stores it; ValueError unless positive and finite."""
    value = float(np.float32(scale))
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is {scale}; allowed is a positive finite float32")
    return value


def activation_range(
    activation: str, scale: float, zero_point: int, *, bits: int = 8
) -> tuple[int, int]:
    """Clamping range (min, max) of an output of `bits` with `scale` and `zero_point`.

    `activation` is the schema's name: NONE, RELU, RELU_N1_TO_1 or RELU6. Source:
    `CalculateActivationRangeQuantized` (division in float32, rounding half away from zero).
    Raises ValueError for another activation, a bad scale, or a bound that does not fit int32.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}; allowed are {', '.join(ACTIVATIONS)}")
    divisor = np.float32(scale_float32(scale))

    def quantize(real: float) -> int:
        with np.errstate(over="ignore"):
            quotient = float(np.float32(real) / divisor)
        if abs(quotient) >= 2.0**31:
            raise ValueError(f"scale is {scale}; {real} divided by it does not fit int32")
        return zero_point + int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))

    low, high = ACTIVATIONS[activation]
    least, greatest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return (
        least if low is None else max(least, quantize(low)),
        greatest if high is None else min(greatest, quantize(high)),
    )


def window(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Window:
    """Output size and padding of a window of `kernel` taps over `size` inputs.

    `padding` is SAME or VALID. Source: `ComputePaddingWithOffset` and `ComputeOutSize`: an odd
    total padding puts the extra row after the input.
    Raises ValueError for sizes below 1, another padding, or a window larger than a VALID input.
    """
    named = {"size": size, "kernel": kernel, "stride": stride, "dilation": dilation}
    for name, value in named.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; allowed is 1 or more")
    extent = (kernel - 1) * dilation + 1
    if padding == "SAME":
        output = -(-size // stride)
    elif padding == "VALID":
        if extent > size:
            raise ValueError(f"the window spans {extent} inputs; VALID padding allows {size}")
        output = (size - extent) // stride + 1
    else:
        raise ValueError(f"padding is {padding!r}; allowed are SAME, VALID")
    total = max((output - 1) * stride + extent - size, 0)
    return Window(output, total // 2, total - total // 2)


def conv_multipliers(
    ifm_scale: float,
    weight_scales: ArrayLike,
    ofm_scale: float,
    channels: int | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Per-channel (multipliers, shifts), int32 each, of everything with weights.

    One scale is repeated for all `channels`. Source: `PopulateConvolutionQuantizationParams`;
    FULLY_CONNECTED agrees, though some versions of TFLM round its product of scales to float32.
    Raises ValueError for a bad scale, or a number of scales that is neither 1 nor `channels`.
    """
    scales = np.atleast_1d(np.asarray(weight_scales, np.float32))
    count = scales.size if channels is None else channels
    if scales.ndim != 1 or scales.size not in (1, count):
        raise ValueError(f"weight scales have shape {scales.shape}; allowed are (1,), ({count},)")
    ifm, ofm = scale_float32(ifm_scale, "IFM scale"), scale_float32(ofm_scale, "OFM scale")
    pairs = [
        quantize_multiplier(ifm * scale_float32(scale, "weight scale") / ofm) for scale in scales
    ]
    table = np.array(pairs, np.int32).reshape(scales.size, 2)
    multipliers, shifts = np.broadcast_to(table, (count, 2)).T
    return np.ascontiguousarray(multipliers), np.ascontiguousarray(shifts)


def add_parameters(
    scale_a: float, scale_b: float, ofm_scale: float, *, left_shift: int = ADD_LEFT_SHIFT
) -> AddParameters:
    """Rescaling of ADD and SUB. Source: `CalculateOpDataAdd`, `CalculateOpDataSub`.

    `left_shift` is `ADD_LEFT_SHIFT_INT16` for int16 operands.
    Raises ValueError for a bad scale, or an OFM scale so small that TFLM refuses it.
    """
    a, b = scale_float32(scale_a, "scale of input 0"), scale_float32(scale_b, "scale of input 1")
    ofm = scale_float32(ofm_scale, "OFM scale")
    twice_max = 2.0 * max(a, b)
    real = twice_max / (float(1 << left_shift) * ofm)
    if real >= 1:
        raise ValueError(
            f"OFM scale is {ofm_scale}; allowed for input scales {scale_a} and {scale_b} "
            f"is more than {twice_max / (1 << left_shift)}"
        )
    return AddParameters(
        *quantize_multiplier(a / twice_max),
        *quantize_multiplier(b / twice_max),
        *quantize_multiplier(real),
        left_shift,
    )


def mul_multiplier(scale_a: float, scale_b: float, ofm_scale: float) -> tuple[int, int]:
    """(multiplier, shift) of products of two int8: MUL and BATCH_MATMUL.

    Source: `CalculateOpDataMul`, `GetQuantizedConvolutionMultipler`.
    Raises ValueError for a bad scale, or scales that make a multiplier of 2**30 and above.
    """
    a, b = scale_float32(scale_a, "scale of input 0"), scale_float32(scale_b, "scale of input 1")
    return quantize_multiplier(a * b / scale_float32(ofm_scale, "OFM scale"))


def prelu_parameters(ifm_scale: float, alpha_scale: float, ofm_scale: float) -> PreluParameters:
    """Rescaling of PRELU. Source: `CalculatePreluParams`.

    Raises ValueError for a bad scale, or scales that make a multiplier of 2**30 and above.
    """
    return PreluParameters(
        *rescale_multiplier(ifm_scale, ofm_scale),
        *mul_multiplier(ifm_scale, alpha_scale, ofm_scale),
    )


def svdf_parameters(
    rank: int,
    *,
    ifm_scale: float,
    feature_scale: float,
    state_scale: float,
    time_scale: float,
    ofm_scale: float,
) -> SvdfParameters:
    """Rescaling of SVDF, with the scales of its weights and its state. Source: `PrepareSvdf`.

    Raises ValueError for a bad scale, or scales that make a multiplier of 2**30 and above.
    """
    return SvdfParameters(
        rank,
        *mul_multiplier(ifm_scale, feature_scale, state_scale),
        *mul_multiplier(state_scale, time_scale, ofm_scale),
    )


def rescale_multiplier(ifm_scale: float, ofm_scale: float) -> tuple[int, int]:
    """(multiplier, shift) from one quantization to another, as QUANTIZE int8 to int8 uses it."""
    ifm, ofm = scale_float32(ifm_scale, "IFM scale"), scale_float32(ofm_scale, "OFM scale")
    return quantize_multiplier(ifm / ofm)


def mean_multiplier(ifm_scale: float, ofm_scale: float, count: int) -> tuple[int, int]:
    """(multiplier, shift) of MEAN over `count` elements: rescaling and division in one.

    Source: `QuantizedMeanOrSum`. The division truncates, after a left shift that keeps the
    multiplier below 2**31. Raises ValueError for a bad scale or a `count` below 1.
    """
    if count < 1:
        raise ValueError(f"elements to average are {count}; allowed is 1 or more")
    multiplier, shift = rescale_multiplier(ifm_scale, ofm_scale)
    left = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << left) // count, shift - left


def softmax_parameters(beta: float, ifm_scale: float) -> SoftmaxParameters:
    """Rescaling of SOFTMAX. Source: `PreprocessSoftmaxScaling`, `CalculateInputRadius`.

    Raises ValueError for a bad scale, or when `beta * ifm_scale * 2**26` is not above 1.
    """
    scale = scale_float32(ifm_scale, "IFM scale")
    fraction_bits = 31 - SOFTMAX_INTEGER_BITS
    real = min(float(np.float32(beta)) * scale * (1 << fraction_bits), 2.0**31 - 1)
    if not real > 1:
        raise ValueError(
            f"beta times IFM scale is {float(beta) * scale}; allowed is more than "
            f"{2.0**-fraction_bits}"
        )
    multiplier, shift = split_multiplier(real)
    radius = ((1 << SOFTMAX_INTEGER_BITS) - 1) * 2.0**fraction_bits / 2.0**shift
    return SoftmaxParameters(multiplier, shift, -math.floor(radius))


def resolve_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Sorted, distinct, non-negative `axes` of a tensor of `rank`; ValueError outside it."""
    for axis in axes:
        if not -rank <= axis < rank:
            raise ValueError(f"axis is {axis}; allowed is {-rank} to {rank - 1}")
    return tuple(sorted({axis % rank for axis in axes}))
