"""Options and shapes that contradict an operator are refused when the model is read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kernels.requantize import Rounding
from npu.errors import ModelError, UnsupportedOperatorError
from npu.model.tflite_reader import read_model_bytes
from npu.model.tflm_only import only_tflm
from npu.reference.executors.registry import find_executor, require_executor
from npu.reference.network import run_reference
from tests.npu import operator_models as models
from tests.npu.operator_models import movement
from tests.support.operators import unary
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile

SLICE = "StridedSliceOptions"
SPLIT_V: dict[str, Any] = {"options_type": "SplitVOptions"}


def strided(
    output: Sequence[int], begin: Any, end: Any, strides: Any, options: dict[str, Any]
) -> bytes:
    constants = [begin, end, strides]
    return movement(
        "STRIDED_SLICE", (4, 6), [output], constants=constants, options=options, options_type=SLICE
    )


def slice_of(begin: Any, size: Any) -> bytes:
    return movement("SLICE", (4, 6), [(2, 2)], constants=[begin, size])


def split_of(sizes: Any, axis: Any, outputs: Sequence[Sequence[int]]) -> bytes:
    return movement("SPLIT_V", (4, 6), outputs, constants=[sizes, axis], options={}, **SPLIT_V)


def product(a: Sequence[int], b: Sequence[int], **options: bool) -> bytes:
    m = ModelBuilder()
    x, y = m.input(a, scale=0.5), m.input(b, scale=0.5)
    z = m.tensor((2, 2), scale=0.5)
    m.operator("BATCH_MATMUL", [x, y], [z], options, options_type="BatchMatMulOptions")
    return m.build()


def transposed(output: Sequence[int], weights: Sequence[int], bias: int = 4) -> bytes:
    m = ModelBuilder()
    x = m.input((1, 3, 3, 2), scale=0.5)
    operands = [
        m.input((4,), dtype=np.int32),
        m.constant(np.ones(tuple(weights), np.int8), scale=0.1),
        x,
        m.constant(np.zeros(bias, np.int32)),
    ]
    y = m.tensor(output, scale=0.5)
    options = {"strideH": 2, "strideW": 2, "padding": 0}
    m.operator("TRANSPOSE_CONV", operands, [y], options, options_type="TransposeConvOptions")
    return m.build()


def leaky_relu(alpha: float) -> bytes:
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5)
    unary(m, "LEAKY_RELU", x, scale=0.5, zero_point=0, alpha=alpha)
    return m.build()


def blocks(code: str, size: int) -> bytes:
    options_type = "SpaceToDepthOptions" if code == "SPACE_TO_DEPTH" else "DepthToSpaceOptions"
    options = {"blockSize": size}
    return movement(code, (1, 4, 6, 4), [(1, 2, 2, 2)], options=options, options_type=options_type)


def axis_of(
    code: str, options_type: str, axis: int, outputs: Sequence[Sequence[int]], **count: int
) -> bytes:
    options = {"axis": axis, **count}
    return movement(code, (4, 6), outputs, options=options, options_type=options_type)


def mixed_types() -> bytes:
    m = ModelFile()
    axis, x = m.constant(np.int32(0)), m.input((2, 6), scale=0.5)
    parts = [m.tensor((1, 6), scale=0.5), m.tensor((1, 6), np.int16, scale=0.5)]
    m.operator("SPLIT", [axis, x], parts, {"numSplits": 2}, options_type="SplitOptions")
    return m.build()


def resized(size: Any, **options: bool) -> bytes:
    return movement(
        "RESIZE_BILINEAR",
        (1, 2, 2, 1),
        [(1, 4, 4, 1)],
        constants=[size],
        options=options,
        options_type="ResizeBilinearOptions",
    )


def slopes(shape: Sequence[int]) -> bytes:
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5)
    alpha = m.constant(np.ones(tuple(shape), np.int8), scale=0.1)
    m.operator("PRELU", [x, alpha], [m.tensor((1, 4), scale=0.5)])
    return m.build()


def extreme(code: str, axes: Any) -> bytes:
    options_type = "ArgMaxOptions" if code == "ARG_MAX" else "ReducerOptions"
    return movement(code, (4, 6), [(4,)], constants=[axes], options={}, options_type=options_type)


REFUSED = {
    "slice_ellipsis": (
        strided((4, 6), [0, 0], [4, 6], [1, 1], {"ellipsisMask": 1}),
        "ellipsis_mask is 1, only 0 is supported",
    ),
    "slice_new_axis": (
        strided((4, 6), [0, 0], [4, 6], [1, 1], {"newAxisMask": 2}),
        "new_axis_mask is 2, only 0 is supported",
    ),
    "slice_offset": (
        strided((4, 6), [0, 0], [4, 6], [1, 1], {"offset": True}),
        "offset is 1, only 0 is supported",
    ),
    "slice_stride": (
        strided((4, 6), [0, 0], [4, 6], [1, 0], {}),
        "stride of dimension 1 is 0",
    ),
    "slice_shape": (
        strided((4, 5), [0, 0], [4, 6], [1, 1], {}),
        r"the output has shape \[4, 5\], its inputs make \[4, 6\]",
    ),
    "slice_size": (slice_of([1, 1], [4, 2]), r"a slice from \[1, 1\] of size \[4, 2\] of \[4, 6\]"),
    "slice_begin": (slice_of([-1, 0], [1, 1]), r"a slice from \[-1, 0\]"),
    "slice_empty": (slice_of([4, 0], [-1, 1]), r"a slice from \[4, 0\]"),
    "slice_rank": (slice_of([0], [1]), r"1 begins and 1 sizes for \[4, 6\]"),
    "split_sizes": (
        split_of([2, 2], 1, [(4, 2), (4, 2)]),
        r"6 values along axis 1 in parts of \[2, 2\]",
    ),
    "split_axis": (split_of([3, 3], 2, [(4, 3), (4, 3)]), r"axis is \[2\], one from -2 to 1"),
    "split_outputs": (split_of([3, 3], 1, [(4, 3)]), "1 outputs, its inputs make 2"),
    "split_unevenly": (
        movement(
            "SPLIT",
            (4, 6),
            [(4, 1)] * 4,
            constants=[1],
            options={"numSplits": 4},
            options_type="SplitOptions",
            input_position=1,
        ),
        r"6 values along axis 1 in parts of \[1, 1, 1, 1\]",
    ),
    "unpack_outputs": (
        axis_of("UNPACK", "UnpackOptions", 0, [(6,)] * 3, num=3),
        "4 values along axis 0 to 3 outputs",
    ),
    "unpack_count": (
        axis_of("UNPACK", "UnpackOptions", 0, [(6,)] * 4, num=3),
        "num is 3, the operator has 4 outputs",
    ),
    "pack_count": (
        axis_of("PACK", "PackOptions", 0, [(1, 4, 6)], valuesCount=7),
        "values_count is 7, the operator has 1 inputs",
    ),
    "mixed_types": (
        mixed_types(),
        "inputs and outputs are int8 and int16, one type expected",
    ),
    "pack_axis": (
        axis_of("PACK", "PackOptions", 3, [(1, 4, 6)], valuesCount=1),
        r"axis is \[3\], one from -3 to 2 expected",
    ),
    "pack_shapes": (
        models.several_inputs(
            "PACK", [(2, 3), (3, 2)], (2, 2, 3), {"valuesCount": 2}, "PackOptions"
        ),
        r"shapes \[\[2, 3\], \[3, 2\]\] differ",
    ),
    "broadcast": (
        movement("BROADCAST_TO", (4, 6), [(4, 12)], constants=[[4, 12]]),
        r"\[4, 6\] does not broadcast to \[4, 12\]",
    ),
    "broadcast_to_nothing": (
        movement("BROADCAST_TO", (4, 6), [(4, 6)], constants=[[0, 6]]),
        r"output shape is \[0, 6\], positive numbers expected",
    ),
    "resize": (resized([4, 0]), r"output size is \[4, 0\], two positive numbers expected"),
    "resize_modes": (
        resized([4, 4], alignCorners=True, halfPixelCenters=True),
        "both align_corners and half_pixel_centers are set",
    ),
    "mirror_mode": (
        movement(
            "MIRROR_PAD",
            (4, 6),
            [(4, 6)],
            constants=[[[0, 0], [0, 0]]],
            options={"mode": 2},
            options_type="MirrorPadOptions",
        ),
        "mode is 2, allowed are 0 and 1",
    ),
    "space": (blocks("SPACE_TO_DEPTH", 4), "4 x 6 pixels in blocks of 4 x 4"),
    "depth": (blocks("DEPTH_TO_SPACE", 3), "4 channels to blocks of 3 x 3"),
    "no_block": (blocks("DEPTH_TO_SPACE", 0), "block_size is 0, at least 1 expected"),
    "prelu": (slopes((2, 4)), r"slopes of shape \[2, 4\] for an input of shape \[1, 4\]"),
    "arg_max": (extreme("ARG_MAX", [0, 1]), r"axes are \[0, 1\], one expected"),
    "reduce_max": (extreme("REDUCE_MAX", [2]), "axis is 2; allowed is -2 to 1"),
    "slope": (leaky_relu(float("nan")), "alpha is nan, a finite number expected"),
    "product_rank": (product((2,), (2, 2)), r"shapes are \[2\] and \[2, 2\], rank 2 or more"),
    "product_depth": (product((2, 3), (2, 3)), "2 x 3 and 2 x 3 do not multiply"),
    "product_swapped": (product((2, 3), (3, 2), adjX=True), "3 x 2 and 3 x 2 do not multiply"),
    "product_batches": (
        product((2, 2, 3), (3, 3, 2)),
        r"shapes \[2, 2, 3\] and \[3, 3, 2\] do not broadcast",
    ),
    "transposed_size": (
        transposed((1, 6, 24), (4, 3, 3, 2)),
        r"the output has shape \[1, 6, 24\], rank 4 expected",
    ),
    "transposed_weights": (
        transposed((1, 6, 6, 4), (4, 3, 3, 3)),
        r"weights \[4, 3, 3, 3\] do not make \[1, 6, 6, 4\]",
    ),
    "transposed_far": (
        transposed((1, 9, 6, 4), (4, 3, 3, 2)),
        r"\[1, 9, 6, 4\] does not convolve to an input of shape \[1, 3, 3, 2\]",
    ),
    "transposed_bias": (
        transposed((1, 6, 6, 4), (4, 3, 3, 2), bias=5),
        r"is int32 of shape \[5\], int32 of shape \[4\] expected",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_contradictions_are_refused(name: str) -> None:
    model, message = REFUSED[name]
    with pytest.raises(ModelError, match=r"operator 0 \([A-Z_]+\): .*" + message):
        read_model_bytes(model, "m")


def without_outputs() -> bytes:
    m = ModelFile()
    x = m.input((4, 6), scale=0.5)
    m.operator("UNPACK", [x], [], {}, options_type="UnpackOptions")
    m.operator("RELU", [x], [m.tensor((4, 6), scale=0.5)])
    return m.build()


def test_number_of_outputs() -> None:
    message = "1 inputs and 0 outputs, 1 to 1 inputs and 1 or more outputs expected"
    with pytest.raises(ModelError, match=message):
        read_model_bytes(without_outputs(), "m")


def two_scales(code: str) -> bytes:
    m = ModelFile()
    x, y = m.input((4, 6), scale=0.5), m.tensor((4, 6), scale=0.25)
    if code == "PADV2":
        amounts = m.constant(np.zeros((2, 2), np.int32))
        filler = m.constant(np.zeros(1, np.int8), scale=0.5)
        m.operator(code, [x, amounts, filler], [y], {}, options_type="PadV2Options")
    else:
        axes = m.constant(np.array([0], np.int32))
        options = {"keepDims": True}
        y = m.tensor((1, 6), scale=0.25)
        m.operator(code, [x, axes], [y], options, options_type="ReducerOptions")
    return m.build()


def computed_paddings() -> bytes:
    m = ModelFile()
    x, amounts = m.input((1, 4), scale=0.5), m.input((2, 2), dtype="int32", name="amounts")
    m.operator("PAD", [x, amounts], [m.tensor((1, 4), scale=0.5)])
    return m.build()


def gathered_by_batch() -> bytes:
    options = {"batchDims": 1}
    return movement(
        "GATHER",
        (4, 6),
        [(4, 6)],
        constants=[[0]],
        options=options,
        options_type="GatherOptions",
    )


def asymmetric_int16() -> bytes:
    m = ModelBuilder()
    x = m.input((1, 4), dtype=np.int16, scale=0.5, zero_point=3, name="x")
    m.add(x, x, scale=0.5, zero_point=0)
    return m.build()


ONLY_TFLM = {
    "computed paddings": (computed_paddings(), "input 'amounts' is not a constant"),
    "batches": (gathered_by_batch(), "batch_dims is 1; allowed is 0"),
    "zero point": (asymmetric_int16(), "'x' is int16 with zero point 3"),
}


@pytest.mark.parametrize("name", ONLY_TFLM)
def test_what_only_tflm_computes_with_is_read(name: str) -> None:
    model, message = ONLY_TFLM[name]
    graph = read_model_bytes(model, "m")
    (op,) = graph.operators
    assert only_tflm(graph, op) == message
    assert find_executor(graph, op) is None
    with pytest.raises(UnsupportedOperatorError, match=f"has no kernel: {message}; TFLM, which"):
        require_executor(graph, op, Rounding.SINGLE)


REFUSED_BY_KERNELS = {
    "padding": (two_scales("PADV2"), r"the padding has scale and zero point \(0.5, 0\); allowed"),
    "extreme": (two_scales("REDUCE_MAX"), r"the output has scale and zero point \(0.25, 0\)"),
    "index": (models.gathered((3, 4), [3], (1, 4), 0), "indices span 3 to 3; allowed is 0 to 2"),
}


@pytest.mark.parametrize("name", REFUSED_BY_KERNELS)
def test_what_no_kernel_accepts_names_the_operator(name: str) -> None:
    model, message = REFUSED_BY_KERNELS[name]
    graph = read_model_bytes(model, "m")
    values = {i: np.zeros(graph.tensors[i].shape, np.int8) for i in graph.inputs}
    with pytest.raises(ModelError, match=r"operator 0 \([A-Z_0-9]+\): " + message):
        run_reference(graph, values)


def test_types_that_no_kernel_takes() -> None:
    graph = read_model_bytes(models.converted("ARG_MAX", "int64", axis=1), "m")
    message = r"operator 0 \(ARG_MAX\) has no kernel, and TFLM does not run it: .*INT64"
    values = {i: np.zeros(graph.tensors[i].shape, np.int8) for i in graph.inputs}
    with pytest.raises(ModelError, match=message):
        run_reference(graph, values)
    message = r"\(ARG_MAX\) has no kernel from int8 to int64 \(those that exist: int8 -> int32"
    with pytest.raises(UnsupportedOperatorError, match=message):
        run_reference(graph, values, rounding=Rounding.SINGLE)
