"""Reads an operator's builtin options table of a `.tflite` file into `npu.model.options`."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from npu.errors import ModelError
from npu.model.options import (
    Activation,
    AxisOptions,
    BatchMatMulOptions,
    BlockOptions,
    CallOnceOptions,
    ConcatenationOptions,
    Conv2DOptions,
    CumsumOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    IfOptions,
    LeakyReluOptions,
    LstmOptions,
    MirrorPadOptions,
    NoOptions,
    Options,
    OtherOptions,
    Padding,
    PoolOptions,
    ReduceOptions,
    ResizeOptions,
    SoftmaxOptions,
    StridedSliceOptions,
    SvdfOptions,
    TransposeConvOptions,
    VariableOptions,
    WhileOptions,
)
from npu.model.schema import schema

EnumT = TypeVar("EnumT", bound=Enum)


def read_options(kind: str, index: int, op: Any) -> Options:
    """The options of the flatbuffer operator `op`, which is number `index` and of `kind`.

    An operator that leaves its options out gets the schema's defaults where these mean something.
    Raises `ModelError` where they do not, and for options of another kind, with illegal values, or
    that contradict the number of operands.
    """
    entry = _TABLES.get(kind)
    if entry is None:
        return NoOptions()
    table_name, read, optional = entry
    where = f"operator {index} ({kind})"
    given = op.BuiltinOptionsType()
    if given == 0 and optional is not None:
        return optional
    if given != getattr(schema.BuiltinOptions, table_name):
        raise ModelError(f"{where} carries options of type {given}, {table_name} expected")
    table = op.BuiltinOptions()
    if table is None:
        raise ModelError(f"{where} has no options, {table_name} expected")
    options = getattr(schema, table_name)()
    options.Init(table.Bytes, table.Pos)
    try:
        _check_count(kind, op, options)
        return read(options)
    except _IllegalValueError as error:
        raise ModelError(f"{where}: {error}") from None


class _IllegalValueError(ValueError):
    pass


def _check_count(kind: str, op: Any, options: Any) -> None:
    """What TFLM reads or writes by a count in the options, not by the operator's operands."""
    if kind == "PACK":
        _same_count("values_count", options.ValuesCount(), op.InputsLength(), "inputs")
    elif kind == "UNPACK":
        _same_count("num", options.Num(), op.OutputsLength(), "outputs")


def _same_count(name: str, given: int, expected: int, what: str) -> None:
    if given != expected:
        raise _IllegalValueError(f"{name} is {given}, the operator has {expected} {what}")


def _enum(kind: type[EnumT], value: int) -> EnumT:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(f"{m.value} = {m.name}" for m in kind)
        raise _IllegalValueError(
            f"{kind.__name__.lower()} is {value}, allowed are {allowed}"
        ) from None


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise _IllegalValueError(f"{name} is {value}, at least 1 expected")
    return value


def _window(options: Any) -> dict[str, Any]:
    return {
        "padding": _enum(Padding, options.Padding()),
        "stride_h": _positive("stride_h", options.StrideH()),
        "stride_w": _positive("stride_w", options.StrideW()),
        "activation": _activation(options),
    }


def _dilation(options: Any) -> dict[str, Any]:
    return {
        "dilation_h": _positive("dilation_h", options.DilationHFactor()),
        "dilation_w": _positive("dilation_w", options.DilationWFactor()),
    }


def _activation(options: Any) -> Activation:
    return _enum(Activation, options.FusedActivationFunction())


def _conv_2d(options: Any) -> Options:
    return Conv2DOptions(**_window(options), **_dilation(options))


def _depthwise_conv_2d(options: Any) -> Options:
    return DepthwiseConv2DOptions(
        **_window(options),
        **_dilation(options),
        depth_multiplier=_positive("depth_multiplier", options.DepthMultiplier()),
    )


def _pool(options: Any) -> Options:
    return PoolOptions(
        **_window(options),
        filter_h=_positive("filter_h", options.FilterHeight()),
        filter_w=_positive("filter_w", options.FilterWidth()),
    )


def _fully_connected(options: Any) -> Options:
    if options.WeightsFormat() != 0:
        raise _IllegalValueError(
            f"weights_format is {options.WeightsFormat()}, only 0 = DEFAULT is supported"
        )
    return FullyConnectedOptions(
        activation=_activation(options), keep_num_dims=bool(options.KeepNumDims())
    )


def _elementwise(options: Any) -> Options:
    return ElementwiseOptions(activation=_activation(options))


def _reduce(options: Any) -> Options:
    return ReduceOptions(keep_dims=bool(options.KeepDims()))


def _softmax(options: Any) -> Options:
    beta = float(options.Beta())
    if not 0.0 < beta < float("inf"):
        raise _IllegalValueError(f"beta is {beta}, a positive number expected")
    return SoftmaxOptions(beta=beta)


def _concatenation(options: Any) -> Options:
    return ConcatenationOptions(axis=options.Axis(), activation=_activation(options))


def _leaky_relu(options: Any) -> Options:
    alpha = float(options.Alpha())
    if not -float("inf") < alpha < float("inf"):
        raise _IllegalValueError(f"alpha is {alpha}, a finite number expected")
    return LeakyReluOptions(alpha=alpha)


def _strided_slice(options: Any) -> Options:
    unsupported = {
        "ellipsis_mask": options.EllipsisMask(),
        "new_axis_mask": options.NewAxisMask(),
        "offset": int(options.Offset()),
    }
    for name, value in unsupported.items():
        if value:
            raise _IllegalValueError(f"{name} is {value}, only 0 is supported")
    return StridedSliceOptions(
        begin_mask=options.BeginMask(),
        end_mask=options.EndMask(),
        shrink_axis_mask=options.ShrinkAxisMask(),
    )


def _axis(options: Any) -> Options:
    return AxisOptions(axis=options.Axis())


def _gather(options: Any) -> Options:
    if options.BatchDims() != 0:
        return OtherOptions(reason=f"batch_dims is {options.BatchDims()}; allowed is 0")
    return AxisOptions(axis=options.Axis())


def _cumsum(options: Any) -> Options:
    return CumsumOptions(exclusive=bool(options.Exclusive()), reverse=bool(options.Reverse()))


def _mirror_pad(options: Any) -> Options:
    if options.Mode() not in (0, 1):
        raise _IllegalValueError(f"mode is {options.Mode()}, allowed are 0 and 1")
    return MirrorPadOptions(symmetric=options.Mode() == 1)


def _resize(options: Any) -> Options:
    corners, centers = bool(options.AlignCorners()), bool(options.HalfPixelCenters())
    if corners and centers:
        raise _IllegalValueError("both align_corners and half_pixel_centers are set, one allowed")
    return ResizeOptions(align_corners=corners, half_pixel_centers=centers)


def _block(options: Any) -> Options:
    return BlockOptions(block_size=_positive("block_size", options.BlockSize()))


def _transpose_conv(options: Any) -> Options:
    return TransposeConvOptions(**_window(options))


def _batch_matmul(options: Any) -> Options:
    return BatchMatMulOptions(adj_x=bool(options.AdjX()), adj_y=bool(options.AdjY()))


def _svdf(options: Any) -> Options:
    return SvdfOptions(rank=_positive("rank", options.Rank()))


def _lstm(options: Any) -> Options:
    activation = _activation(options)
    if activation is not Activation.TANH:
        raise _IllegalValueError(f"activation is {activation.name}, only TANH is supported")
    clip = float(options.CellClip())
    if not 0.0 <= clip < float("inf"):
        raise _IllegalValueError(f"cell_clip is {clip}, a finite number from 0 expected")
    return LstmOptions(activation=activation, cell_clip=clip, time_major=bool(options.TimeMajor()))


def _variable(options: Any) -> Options:
    return VariableOptions(
        container=_decoded(options.Container()), shared_name=_decoded(options.SharedName())
    )


def _decoded(text: bytes | None) -> str:
    return (text or b"").decode("utf-8", errors="replace")


def _call_once(options: Any) -> Options:
    return CallOnceOptions(subgraph=options.InitSubgraphIndex())


def _if(options: Any) -> Options:
    return IfOptions(
        then_subgraph=options.ThenSubgraphIndex(), else_subgraph=options.ElseSubgraphIndex()
    )


def _while(options: Any) -> Options:
    return WhileOptions(
        condition_subgraph=options.CondSubgraphIndex(), body_subgraph=options.BodySubgraphIndex()
    )


# kind: (the schema's table, how it is read, the options of an operator that leaves them out)
_TABLES: dict[str, tuple[str, Callable[[Any], Options], Options | None]] = {
    "CONV_2D": ("Conv2DOptions", _conv_2d, None),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _depthwise_conv_2d, None),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _pool, None),
    "MAX_POOL_2D": ("Pool2DOptions", _pool, None),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _fully_connected, FullyConnectedOptions()),
    "ADD": ("AddOptions", _elementwise, ElementwiseOptions()),
    "SUB": ("SubOptions", _elementwise, ElementwiseOptions()),
    "MUL": ("MulOptions", _elementwise, ElementwiseOptions()),
    "DIV": ("DivOptions", _elementwise, ElementwiseOptions()),
    "L2_NORMALIZATION": ("L2NormOptions", _elementwise, ElementwiseOptions()),
    "CUMSUM": ("CumsumOptions", _cumsum, CumsumOptions()),
    "MEAN": ("ReducerOptions", _reduce, ReduceOptions()),
    "SUM": ("ReducerOptions", _reduce, ReduceOptions()),
    "REDUCE_MAX": ("ReducerOptions", _reduce, ReduceOptions()),
    "REDUCE_MIN": ("ReducerOptions", _reduce, ReduceOptions()),
    "SOFTMAX": ("SoftmaxOptions", _softmax, None),
    "CONCATENATION": ("ConcatenationOptions", _concatenation, None),
    "LEAKY_RELU": ("LeakyReluOptions", _leaky_relu, None),
    "STRIDED_SLICE": ("StridedSliceOptions", _strided_slice, StridedSliceOptions()),
    "PACK": ("PackOptions", _axis, None),
    "UNPACK": ("UnpackOptions", _axis, None),
    "GATHER": ("GatherOptions", _gather, AxisOptions()),
    "MIRROR_PAD": ("MirrorPadOptions", _mirror_pad, None),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _resize, ResizeOptions()),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _resize, ResizeOptions()),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", _block, None),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", _block, None),
    "TRANSPOSE_CONV": ("TransposeConvOptions", _transpose_conv, None),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTMOptions", _lstm, None),
    "VAR_HANDLE": ("VarHandleOptions", _variable, None),
    "CALL_ONCE": ("CallOnceOptions", _call_once, None),
    "IF": ("IfOptions", _if, None),
    "WHILE": ("WhileOptions", _while, None),
    "SVDF": ("SVDFOptions", _svdf, None),
    "BATCH_MATMUL": ("BatchMatMulOptions", _batch_matmul, BatchMatMulOptions()),
}
