"""The options of each operator kind, as typed records.

Field names follow the `.tflite` schema in snake case. `npu.tflite_options` says which kind has
which; all others carry `NoOptions`.
"""

from dataclasses import dataclass
from enum import Enum


class Padding(Enum):
    """How a window treats the border of its input."""

    SAME = 0
    VALID = 1


class Activation(Enum):
    """The activation function fused into an operator."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3
    TANH = 4
    SIGN_BIT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """An operator whose inputs say everything (PAD, TRANSPOSE, QUANTIZE), or an unknown one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2DOptions:
    """CONV_2D."""

    padding: Padding
    stride_h: int
    stride_w: int
    dilation_h: int = 1
    dilation_w: int = 1
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthwiseConv2DOptions:
    """DEPTHWISE_CONV_2D."""

    padding: Padding
    stride_h: int
    stride_w: int
    depth_multiplier: int
    dilation_h: int = 1
    dilation_w: int = 1
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class FullyConnectedOptions:
    """FULLY_CONNECTED."""

    activation: Activation = Activation.NONE
    keep_num_dims: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""

    padding: Padding
    stride_h: int
    stride_w: int
    filter_h: int
    filter_w: int
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementwiseOptions:
    """ADD, SUB and MUL."""

    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceOptions:
    """MEAN."""

    keep_dims: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxOptions:
    """SOFTMAX; `beta` scales the exponent."""

    beta: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReshapeOptions:
    """RESHAPE; `new_shape` may hold one -1 and is empty when an input tensor gives the shape."""

    new_shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcatenationOptions:
    """CONCATENATION; a negative `axis` counts from the last."""

    axis: int
    activation: Activation = Activation.NONE


Options = (
    NoOptions
    | Conv2DOptions
    | DepthwiseConv2DOptions
    | FullyConnectedOptions
    | PoolOptions
    | ElementwiseOptions
    | ReduceOptions
    | SoftmaxOptions
    | ReshapeOptions
    | ConcatenationOptions
)
