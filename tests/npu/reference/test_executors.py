"""Every operator of the reference executor that has no hardware, on small models, against TFLM."""

from typing import Any

import numpy as np
import pytest

from npu.errors import ModelError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.reference.network import run_reference
from tests.npu import operator_models as models
from tests.support.operators import elementwise, unary
from tests.support.random_layers import random_input, random_int8, random_scale, random_zero_point
from tests.support.tflite_builder import ModelBuilder


def assert_bit_exact(model: bytes, seed: int = 1) -> None:
    graph = read_model_bytes(model, "m")
    inputs = load_inputs([f"random:{seed}"], graph)
    comparison = compare(graph, run_golden(model, graph, inputs), run_reference(graph, inputs))
    assert comparison.bit_exact, comparison.mismatches[0]


@pytest.mark.parametrize("code", ["SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU"])
@pytest.mark.parametrize("seed", range(3))
def test_two_operands(code: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    a, b = random_input(m, rng, (1, 3, 4, 5)), random_input(m, rng, (1, 1, 1, 5))
    quantization: dict[str, Any] = {
        "scale": random_scale(rng),
        "zero_point": random_zero_point(rng),
    }
    fused: dict[str, Any] = {"activation": "RELU6"} if code in ("SUB", "MUL") else {}
    elementwise(m, code, a, b, **quantization, **fused)
    assert_bit_exact(m.build(), seed)


UNARY = ["ABS", "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH"]


@pytest.mark.parametrize("code", UNARY)
def test_functions_of_one_value(code: str) -> None:
    m = ModelBuilder()
    x = m.input((1, 4, 4, 16), scale=0.05, zero_point=5)
    options = {"alpha": 0.3} if code == "LEAKY_RELU" else {}
    unary(m, code, x, scale=0.04, zero_point=-128 if code == "LOGISTIC" else -20, **options)
    assert_bit_exact(m.build())


SLICE_OPTIONS: dict[str, Any] = {"options_type": "StridedSliceOptions"}
MOVEMENTS = {
    "split": models.movement(
        "SPLIT",
        (2, 6, 3),
        [(2, 2, 3)] * 3,
        constants=[1],
        options={"numSplits": 3},
        options_type="SplitOptions",
        input_position=1,
    ),
    "split_from_the_end": models.movement(
        "SPLIT",
        (2, 6, 4),
        [(2, 6, 2)] * 2,
        constants=[[-1]],
        options={"numSplits": 2},
        options_type="SplitOptions",
        input_position=1,
    ),
    "split_v": models.movement(
        "SPLIT_V",
        (2, 6, 3),
        [(2, 1, 3), (2, 3, 3), (2, 2, 3)],
        constants=[[1, -1, 2], 1],
        options={"numSplits": 3},
        options_type="SplitVOptions",
    ),
    "unpack": models.movement(
        "UNPACK",
        (2, 3, 4),
        [(2, 4)] * 3,
        options={"num": 3, "axis": 1},
        options_type="UnpackOptions",
    ),
    "unpack_last": models.movement(
        "UNPACK",
        (2, 3, 2),
        [(2, 3)] * 2,
        options={"num": 2, "axis": -1},
        options_type="UnpackOptions",
    ),
    "pack": models.several_inputs(
        "PACK", [(2, 3)] * 3, (2, 3, 3), {"valuesCount": 3, "axis": 1}, "PackOptions"
    ),
    "pack_last": models.several_inputs(
        "PACK", [(2, 3)] * 2, (2, 3, 2), {"valuesCount": 2, "axis": -1}, "PackOptions"
    ),
    "slice": models.movement(
        "SLICE",
        (2, 5, 6, 3),
        [(1, 3, 2, 3)],
        constants=[[1, 2, 3, 0], [1, -1, 2, 3]],
        options={},
        options_type="SliceOptions",
    ),
    "strided": models.movement(
        "STRIDED_SLICE",
        (2, 7, 8, 3),
        [(2, 3, 3, 3)],
        constants=[[0, 1, -1, 0], [2, 7, 1, 3], [1, 2, -2, 1]],
        options={},
        **SLICE_OPTIONS,
    ),
    "strided_beyond_the_ends": models.movement(
        "STRIDED_SLICE",
        (5, 6),
        [(5, 2)],
        constants=[[-9, 9], [9, -9], [1, -3]],
        options={},
        **SLICE_OPTIONS,
    ),
    "strided_masks": models.movement(
        "STRIDED_SLICE",
        (4, 5, 6),
        [(4, 3)],
        constants=[[3, 1, 2], [1, 2, 4], [1, 1, 2]],
        options={"beginMask": 4, "endMask": 6, "shrinkAxisMask": 1},
        **SLICE_OPTIONS,
    ),
    "strided_last_index": models.movement(
        "STRIDED_SLICE",
        (4, 5, 6),
        [(4, 6)],
        constants=[[0, -1, 0], [4, 0, 6], [1, 1, 1]],
        options={"shrinkAxisMask": 2},
        **SLICE_OPTIONS,
    ),
    "gather": models.gathered((3, 4, 5), [[2, 0], [3, 3]], (3, 2, 2, 5), 1),
    "broadcast_to": models.movement(
        "BROADCAST_TO",
        (3, 1, 5),
        [(2, 3, 4, 5)],
        constants=[[2, 3, 4, 5]],
        options={},
        options_type="BroadcastToOptions",
    ),
    "pad_v2": models.padded((2, 3, 4), [(0, 1), (2, 0), (1, 1)], 99),
    "mirror_pad": models.movement(
        "MIRROR_PAD",
        (2, 3, 4),
        [(2, 7, 6)],
        constants=[[[0, 0], [2, 2], [1, 1]]],
        options={"mode": 0},
        options_type="MirrorPadOptions",
    ),
    "mirror_pad_symmetric": models.movement(
        "MIRROR_PAD",
        (2, 3, 4),
        [(4, 8, 5)],
        constants=[[[2, 0], [2, 3], [0, 1]]],
        options={"mode": 1},
        options_type="MirrorPadOptions",
    ),
    "space_to_depth": models.movement(
        "SPACE_TO_DEPTH",
        (2, 4, 6, 3),
        [(2, 2, 3, 12)],
        options={"blockSize": 2},
        options_type="SpaceToDepthOptions",
    ),
    "depth_to_space": models.movement(
        "DEPTH_TO_SPACE",
        (2, 2, 3, 18),
        [(2, 6, 9, 2)],
        options={"blockSize": 3},
        options_type="DepthToSpaceOptions",
    ),
    "arg_max": models.converted("ARG_MAX", "int32", axis=3),
    "arg_min": models.converted("ARG_MIN", "int32", axis=-3),
    "cast": models.converted("CAST", "int32"),
}


@pytest.mark.parametrize("name", MOVEMENTS)
def test_data_movement(name: str) -> None:
    assert_bit_exact(MOVEMENTS[name])


@pytest.mark.parametrize("code", ["REDUCE_MAX", "REDUCE_MIN"])
@pytest.mark.parametrize(
    ("axes", "shape"), [([1, 2], (2, 1, 1, 5)), ([-1], (2, 3, 4)), ([0], (3, 4, 5))], ids=str
)
def test_extremes(code: str, axes: list[int], shape: tuple[int, ...]) -> None:
    options = {"keepDims": len(shape) == 4}
    model = models.movement(
        code,
        (2, 3, 4, 5),
        [shape],
        constants=[axes],
        options=options,
        options_type="ReducerOptions",
    )
    assert_bit_exact(model)


@pytest.mark.parametrize("keep_dims", [False, True])
def test_sum(keep_dims: bool) -> None:
    m = ModelBuilder()
    x = m.input((2, 3, 4, 5), scale=0.1, zero_point=3)
    y = m.tensor((2, 1, 4, 1) if keep_dims else (2, 4), scale=0.9, zero_point=-9)
    options = {"keepDims": keep_dims}
    axes = models.integers(m, 3, 1)
    m.operator("SUM", [x, axes], [y], options, options_type="ReducerOptions")
    assert_bit_exact(m.build())


def svdf(state: str = "int16", rank: int = 2, **shapes: tuple[int, ...]) -> bytes:
    rng = np.random.default_rng(0)
    sizes = {"feature": (8, 12), "time": (8, 5), "memory": (2, 40)} | shapes
    m = ModelBuilder()
    x = m.input((2, 12), scale=0.1, zero_point=3)
    feature = random_int8(rng, sizes["feature"], low=-127)
    time = rng.integers(-99, 100, sizes["time"]).astype(state)
    operands = [
        x,
        m.constant(feature, scale=0.02),
        m.constant(time, scale=0.01),
        m.constant(np.arange(4, dtype=np.int32) * 500, scale=0.005),
        m.variable(sizes["memory"], state, scale=0.5),
    ]
    y = m.tensor((2, 4), scale=0.3, zero_point=-4)
    options = {"rank": rank, "fusedActivationFunction": 1}
    m.operator("SVDF", operands, [y], options, options_type="SVDFOptions", version=3)
    return m.build()


@pytest.mark.parametrize("state", ["int8", "int16"])
def test_svdf(state: str) -> None:
    assert_bit_exact(svdf(state))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rank": 3}, r"weights \[8, 12\] and \[8, 5\] of rank 3 do not fit an input of \[2, 12\]"),
        ({"feature": (8, 11)}, r"weights \[8, 11\] and \[8, 5\] of rank 2 do not fit"),
        ({"memory": (2, 39)}, r"is int16 of shape \[2, 39\], int16 of shape \[2, 40\] expected"),
    ],
)
def test_svdf_that_contradicts_itself(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=r"operator 0 \(SVDF\): .*" + message):
        read_model_bytes(svdf(**change), "m")


def test_softmax_to_int16() -> None:
    m = ModelBuilder()
    x = m.input((2, 12), scale=0.1, zero_point=3)
    y = m.tensor((2, 12), np.int16, scale=2.0**-16, zero_point=-(2**15))
    m.operator("SOFTMAX", [x], [y], {"beta": 1.0}, options_type="SoftmaxOptions", version=3)
    assert_bit_exact(m.build())


@pytest.mark.parametrize("mode", ["plain", "alignCorners", "halfPixelCenters"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((5, 7), (10, 14)), ((6, 8), (3, 4)), ((3, 1), (7, 5)), ((9, 4), (1, 9))],
    ids=str,
)
@pytest.mark.parametrize("code", ["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])
def test_resize(code: str, shape: tuple[int, int], size: tuple[int, int], mode: str) -> None:
    nearest = code == "RESIZE_NEAREST_NEIGHBOR"
    model = models.movement(
        code,
        (2, *shape, 3),
        [(2, *size, 3)],
        constants=[size],
        options={} if mode == "plain" else {mode: True},
        options_type="ResizeNearestNeighborOptions" if nearest else "ResizeBilinearOptions",
    )
    assert_bit_exact(model)


@pytest.mark.parametrize("constant", [False, True], ids=["two_inputs", "constant"])
@pytest.mark.parametrize("adj_y", [False, True], ids=["y", "yT"])
@pytest.mark.parametrize("adj_x", [False, True], ids=["x", "xT"])
@pytest.mark.parametrize(
    ("batches", "other"), [((), ()), ((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (1, 3))], ids=str
)
def test_batch_matmul(
    batches: tuple[int, ...], other: tuple[int, ...], adj_x: bool, adj_y: bool, constant: bool
) -> None:
    rng = np.random.default_rng(11)
    a = (7, 4) if adj_x else (4, 7)
    b = (5, 7) if adj_y else (7, 5)
    model = models.batch_matmul(
        rng, (*batches, *a), (*other, *b), adj_x=adj_x, adj_y=adj_y, constant=constant
    )
    assert_bit_exact(model)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": (2, 2), "padding": 0, "extra": (1, 1)},
        {"stride": (2, 2), "padding": 0},
        {"stride": (2, 2), "padding": 1},
        {"stride": (3, 1), "padding": 1, "extra": (2, 0)},
        {"stride": (1, 2), "padding": 0, "bias": False},
        {"stride": (1, 1), "padding": 1, "per_channel": False},
        {"stride": (2, 3), "padding": 0, "activation": 1},
    ],
    ids=str,
)
def test_transpose_conv(arguments: dict[str, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernel = rng.integers(1, 5, 2)
    model = models.transpose_conv(
        rng, (2, 4, 5, 3), (6, int(kernel[0]), int(kernel[1]), 3), **arguments
    )
    assert_bit_exact(model, seed)
