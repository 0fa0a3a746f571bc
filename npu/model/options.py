"""The options of each operator kind, as typed records.

Field names follow the `.tflite` schema in snake case. `npu.model.tflite_options` says which kind
has which; all others carry `NoOptions`.
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
    """An operator whose tensors say everything (PAD, TRANSPOSE, RESHAPE), or an unknown one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherOptions:
    """Options that TFLM computes with and nothing here does; `reason` says which."""

    reason: str


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
    """ADD, SUB, MUL and DIV; also L2_NORMALIZATION."""

    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceOptions:
    """MEAN, SUM, REDUCE_MAX and REDUCE_MIN."""

    keep_dims: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxOptions:
    """SOFTMAX; `beta` scales the exponent."""

    beta: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcatenationOptions:
    """CONCATENATION; a negative `axis` counts from the last."""

    axis: int
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyReluOptions:
    """LEAKY_RELU; `alpha` is the slope of negative values."""

    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StridedSliceOptions:
    """STRIDED_SLICE; bit i of a mask is about dimension i.

    Where its bit is set, the begin (or end) of a dimension is ignored, or the dimension is indexed
    and dropped (`shrink_axis_mask`).
    """

    begin_mask: int = 0
    end_mask: int = 0
    shrink_axis_mask: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisOptions:
    """PACK, UNPACK and GATHER; a negative `axis` counts from the last."""

    axis: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CumsumOptions:
    """CUMSUM; `exclusive` leaves out the value itself, `reverse` sums from the end."""

    exclusive: bool = False
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPadOptions:
    """MIRROR_PAD; `symmetric` repeats the border, otherwise it is the mirror."""

    symmetric: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeOptions:
    """RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR: which points of the grids coincide."""

    align_corners: bool = False
    half_pixel_centers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOptions:
    """SPACE_TO_DEPTH and DEPTH_TO_SPACE: blocks of `block_size` x `block_size` pixels."""

    block_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposeConvOptions:
    """TRANSPOSE_CONV."""

    padding: Padding
    stride_h: int
    stride_w: int
    activation: Activation = Activation.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMatMulOptions:
    """BATCH_MATMUL; `adj_x` and `adj_y` transpose the last two dimensions of an operand."""

    adj_x: bool = False
    adj_y: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SvdfOptions:
    """SVDF: `rank` filters make one output. TFLM ignores the fused activation of an int8 one."""

    rank: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmOptions:
    """UNIDIRECTIONAL_SEQUENCE_LSTM; `cell_clip` 0 leaves the cell state without bounds."""

    activation: Activation
    cell_clip: float = 0.0
    time_major: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableOptions:
    """VAR_HANDLE: the name of a variable. Handles of one name are of one variable."""

    container: str = ""
    shared_name: str = ""

    @property
    def name(self) -> str:
        """Both parts of the name in one."""
        return f"{self.container}/{self.shared_name}" if self.container else self.shared_name


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOnceOptions:
    """CALL_ONCE: the index in the file of the subgraph that initializes variables."""

    subgraph: int

    @property
    def subgraphs(self) -> tuple[int, ...]:
        """All that the operator runs."""
        return (self.subgraph,)


@dataclass(frozen=True, slots=True, kw_only=True)
class IfOptions:
    """IF: the indices in the file of the two subgraphs, of which one runs."""

    then_subgraph: int
    else_subgraph: int

    @property
    def subgraphs(self) -> tuple[int, ...]:
        """All that the operator may run."""
        return self.then_subgraph, self.else_subgraph


@dataclass(frozen=True, slots=True, kw_only=True)
class WhileOptions:
    """WHILE: the indices in the file of the subgraphs that say whether to go on, and that run."""

    condition_subgraph: int
    body_subgraph: int

    @property
    def subgraphs(self) -> tuple[int, ...]:
        """All that the operator runs."""
        return self.condition_subgraph, self.body_subgraph


Options = (
    NoOptions
    | OtherOptions
    | Conv2DOptions
    | DepthwiseConv2DOptions
    | FullyConnectedOptions
    | PoolOptions
    | ElementwiseOptions
    | ReduceOptions
    | SoftmaxOptions
    | ConcatenationOptions
    | LeakyReluOptions
    | StridedSliceOptions
    | AxisOptions
    | CumsumOptions
    | MirrorPadOptions
    | ResizeOptions
    | BlockOptions
    | TransposeConvOptions
    | BatchMatMulOptions
    | SvdfOptions
    | LstmOptions
    | VariableOptions
    | CallOnceOptions
    | IfOptions
    | WhileOptions
)
