"""The options of an operator from the interpreter's own structures, as `npu.model.options`.

The structures are those of `tensorflow/lite/core/c/builtin_op_data.h`, up to the last member that
is used. Only kinds that the NPU runs are here: no other is looked at.
"""

from collections.abc import Callable
from ctypes import Structure, c_bool, c_float, c_int
from typing import Any

from npu.errors import ModelError
from npu.model.options import (
    Activation,
    AxisOptions,
    BatchMatMulOptions,
    BlockOptions,
    ConcatenationOptions,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    LeakyReluOptions,
    NoOptions,
    Options,
    OtherOptions,
    Padding,
    PoolOptions,
    ReduceOptions,
    ResizeOptions,
    StridedSliceOptions,
    TransposeConvOptions,
)

_PADDINGS = {1: Padding.SAME, 2: Padding.VALID}
# TensorFlow's limit for sizes and counts is far above; what is outside is no structure of this kind
_LARGEST = 1 << 20


def _structure(integers: str = "", flags: str = "", numbers: str = "") -> type[Structure]:
    fields: list[tuple[str, Any]] = [(name, c_int) for name in integers.split()]
    fields += [(name, c_bool) for name in flags.split()]
    fields += [(name, c_float) for name in numbers.split()]
    return type("BuiltinData", (Structure,), {"_fields_": fields})


def _activation(data: Any) -> Activation:
    try:
        return Activation(data.activation)
    except ValueError:
        raise ModelError(f"the fused activation is number {data.activation}") from None


def _positive(name: str, value: int) -> int:
    if not 1 <= value < _LARGEST:
        raise ModelError(f"{name} is {value}, at least 1 expected")
    return value


def _window(data: Any) -> dict[str, Any]:
    if data.padding not in _PADDINGS:
        raise ModelError(f"the padding is number {data.padding}, 1 or 2 expected")
    return {
        "padding": _PADDINGS[data.padding],
        "stride_h": _positive("stride_h", data.stride_h),
        "stride_w": _positive("stride_w", data.stride_w),
        "activation": _activation(data),
    }


def _dilation(data: Any) -> dict[str, Any]:
    return {
        "dilation_h": _positive("dilation_h", data.dilation_h),
        "dilation_w": _positive("dilation_w", data.dilation_w),
    }


def _depthwise(data: Any) -> Options:
    multiplier = _positive("depth_multiplier", data.depth_multiplier)
    return DepthwiseConv2DOptions(**_window(data), **_dilation(data), depth_multiplier=multiplier)


def _pool(data: Any) -> Options:
    return PoolOptions(
        **_window(data),
        filter_h=_positive("filter_h", data.filter_h),
        filter_w=_positive("filter_w", data.filter_w),
    )


def _fully_connected(data: Any) -> Options:
    if data.weights_format:
        return OtherOptions(reason=f"weights_format is {data.weights_format}; allowed is 0")
    return FullyConnectedOptions(activation=_activation(data), keep_num_dims=data.keep_num_dims)


def _strided_slice(data: Any) -> Options:
    for name in ("ellipsis_mask", "new_axis_mask", "offset"):
        if getattr(data, name):
            return OtherOptions(reason=f"{name} is {int(getattr(data, name))}; allowed is 0")
    return StridedSliceOptions(
        begin_mask=data.begin_mask,
        end_mask=data.end_mask,
        shrink_axis_mask=data.shrink_axis_mask,
    )


Build = Callable[[Any], Options]
_WINDOW = "padding stride_w stride_h"
_REDUCE: tuple[type[Structure], Build] = (
    _structure(flags="keep_dims"),
    lambda data: ReduceOptions(keep_dims=data.keep_dims),
)
_ELEMENTWISE: tuple[type[Structure], Build] = (
    _structure("activation"),
    lambda data: ElementwiseOptions(activation=_activation(data)),
)
_BLOCK: tuple[type[Structure], Build] = (
    _structure("block_size"),
    lambda data: BlockOptions(block_size=_positive("block_size", data.block_size)),
)
_AXIS: tuple[type[Structure], Build] = (
    _structure("count axis"),
    lambda data: AxisOptions(axis=data.axis),
)
_POOL = (_structure(f"{_WINDOW} filter_w filter_h activation"), _pool)

_TABLES: dict[str, tuple[type[Structure], Build]] = {
    "CONV_2D": (
        _structure(f"{_WINDOW} activation dilation_w dilation_h"),
        lambda data: Conv2DOptions(**_window(data), **_dilation(data)),
    ),
    "DEPTHWISE_CONV_2D": (
        _structure(f"{_WINDOW} depth_multiplier activation dilation_w dilation_h"),
        _depthwise,
    ),
    "TRANSPOSE_CONV": (
        _structure(f"{_WINDOW} activation"),
        lambda data: TransposeConvOptions(**_window(data)),
    ),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "FULLY_CONNECTED": (
        _structure("activation weights_format", "keep_num_dims"),
        _fully_connected,
    ),
    "BATCH_MATMUL": (
        _structure(flags="adj_x adj_y"),
        lambda data: BatchMatMulOptions(adj_x=data.adj_x, adj_y=data.adj_y),
    ),
    **dict.fromkeys(("ADD", "SUB", "MUL"), _ELEMENTWISE),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX"), _REDUCE),
    **dict.fromkeys(("PACK", "UNPACK"), _AXIS),
    **dict.fromkeys(("SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), _BLOCK),
    "CONCATENATION": (
        _structure("axis activation"),
        lambda data: ConcatenationOptions(axis=data.axis, activation=_activation(data)),
    ),
    "LEAKY_RELU": (
        _structure(numbers="alpha"),
        lambda data: LeakyReluOptions(alpha=data.alpha),
    ),
    "STRIDED_SLICE": (
        _structure("begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask", "offset"),
        _strided_slice,
    ),
    "RESIZE_NEAREST_NEIGHBOR": (
        _structure(flags="align_corners half_pixel_centers"),
        lambda data: ResizeOptions(
            align_corners=data.align_corners, half_pixel_centers=data.half_pixel_centers
        ),
    ),
}


def node_options(kind: str, address: int | None) -> Options:
    """The options of an operator of `kind`, whose structure is at `address`.

    A kind without options, or that the NPU does not run, has `NoOptions`. Raises `ModelError` for
    values that the kind does not have.
    """
    if kind not in _TABLES:
        return NoOptions()
    if not address:
        raise ModelError(f"{kind} has no options")
    structure, build = _TABLES[kind]
    return build(structure.from_address(address))
