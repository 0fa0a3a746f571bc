"""TRANSPOSE_CONV, BATCH_MATMUL and the resizing operators against TFLM and against the twins."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels import quantization
from kernels.batch_matmul import batch_matmul
from kernels.output_stage import OutputStage
from kernels.requantize import quantize_multiplier
from kernels.resize import resize_bilinear, resize_nearest_neighbor
from kernels.transpose_conv import transpose_conv
from tests.kernels import twins_geometry as twins
from tests.kernels.layers import REQUANTIZATIONS, Requantization, pair, seeds, staged
from tests.kernels.reference import PADDINGS, Operator, quantum
from tests.npu import operator_models as models
from tests.support.random_layers import Rng, random_int8
from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflm import run_tflm

MODES = {
    "plain": {"align_corners": False, "half_pixel_centers": False},
    "corners": {"align_corners": True, "half_pixel_centers": False},
    "centers": {"align_corners": False, "half_pixel_centers": True},
}


def transpose_conv_arguments(model: bytes) -> tuple[list[Any], dict[str, Any]]:
    """(weights and bias, keyword arguments)."""
    op = Operator(model)
    weights, bias = op.constant(1, np.int8), op.constant(3, np.int32)
    assert weights is not None
    stride = op.options.strideH, op.options.strideW
    height, width = op.output.shape[1:3]
    mode = PADDINGS[op.options.padding]
    return [weights, bias], {
        "stride": stride,
        "padding": tuple(
            quantization.window(size, weights.shape[1 + i], stride[i], 1, mode).before
            for i, size in enumerate((height, width))
        ),
        "ofm_hw": (int(height), int(width)),
        "ifm_zero_point": quantum(op.inputs[2])[1],
        "stage": op.output_stage(weights.shape[0], ifm=2),
    }


def random_transpose_conv(seed: int) -> tuple[bytes, Any]:
    rng = np.random.default_rng(seed)
    height, width, depth, channels, kh, kw = (int(n) for n in rng.integers(1, 7, 6))
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    shape = (int(rng.integers(1, 3)), height, width, depth)
    model = models.transpose_conv(
        rng,
        shape,
        (channels, kh, kw, depth),
        stride=stride,
        padding=int(rng.integers(2)),
        extra=(int(rng.integers(stride[0])), int(rng.integers(stride[1]))),
        bias=bool(rng.integers(4)),
        per_channel=bool(rng.integers(2)),
        activation=int(rng.integers(4)),
    )
    return model, random_int8(rng, shape)


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(50), ids="seed{}".format)
def test_random_transpose_convolutions_match_tflm(seed: int) -> None:
    model, ifm = random_transpose_conv(seed)
    operands, arguments = transpose_conv_arguments(model)
    ofm = transpose_conv(ifm, *operands, **arguments)
    np.testing.assert_array_equal(ofm, run_tflm(model, [ifm])[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(8), ids="seed{}".format)
def test_random_transpose_convolutions_match_the_twin(seed: int) -> None:
    model, ifm = random_transpose_conv(1000 + seed)
    operands, arguments = transpose_conv_arguments(model)
    np.testing.assert_array_equal(
        transpose_conv(ifm, *operands, **arguments),
        twins.transpose_conv(ifm, *operands, **arguments),
    )


@pytest.mark.interpreted
@pytest.mark.quick
@pytest.mark.parametrize("case", REQUANTIZATIONS.values(), ids=list(REQUANTIZATIONS))
def test_transpose_convolution_requantizes_as_the_twin(
    case: Callable[[Rng, int], Requantization],
) -> None:
    """Ties, near-ties and extreme shifts, through bias and multipliers."""
    rng = np.random.default_rng(5)
    numbers = case(rng, 64)
    multiplier, shift = quantization.conv_multipliers(1.0, numbers.scales, 1.0)
    ifm = random_int8(rng, (1, 2, 2, 3))
    weights = rng.integers(-1, 2, (64, 1, 1, 3)).astype(np.int8)
    arguments: dict[str, Any] = {
        "stride": (2, 2),
        "padding": (0, 0),
        "ofm_hw": (3, 3),
        "ifm_zero_point": 3,
        "stage": OutputStage(multiplier, shift, -5, -128, 127),
    }
    np.testing.assert_array_equal(
        transpose_conv(ifm, weights, numbers.bias, **arguments),
        twins.transpose_conv(ifm, weights, numbers.bias, **arguments),
    )


def matmul_arguments(model: bytes) -> dict[str, Any]:
    op = Operator(model)
    (a_scale, a_zero_point), (b_scale, b_zero_point), (ofm_scale, ofm_zero_point) = map(
        quantum, (*op.inputs, op.output)
    )
    multiplier, shift = quantization.mul_multiplier(a_scale, b_scale, ofm_scale)
    return {
        "adj_a": bool(op.options.adjX),
        "adj_b": bool(op.options.adjY),
        "a_zero_point": a_zero_point,
        "b_zero_point": b_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }


def random_matmul(seed: int) -> tuple[bytes, list[Any]]:
    rng = np.random.default_rng(seed)
    rows, depth, columns = (int(n) for n in rng.integers(1, 40, 3))
    batches = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))
    adj_x, adj_y = (bool(n) for n in rng.integers(2, size=2))
    a = (*batches, *((depth, rows) if adj_x else (rows, depth)))
    b = (*batches, *((columns, depth) if adj_y else (depth, columns)))
    model = models.batch_matmul(rng, a, b, adj_x=adj_x, adj_y=adj_y)
    return model, [random_int8(rng, a), random_int8(rng, b)]


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(40), ids="seed{}".format)
def test_random_matrix_products_match_tflm(seed: int) -> None:
    model, inputs = random_matmul(seed)
    ofm = batch_matmul(*inputs, **matmul_arguments(model))
    np.testing.assert_array_equal(ofm, run_tflm(model, inputs)[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("seed", seeds(4), ids="seed{}".format)
def test_random_matrix_products_match_the_twin(seed: int) -> None:
    model, inputs = random_matmul(1000 + seed)
    arguments: dict[str, Any] = matmul_arguments(model)
    np.testing.assert_array_equal(
        batch_matmul(*inputs, **arguments), twins.batch_matmul(*inputs, **arguments)
    )


@pytest.mark.quick
def test_products_of_all_pairs_of_extremes() -> None:
    """One product per output: every pair of values, rescaled with ties."""
    values = np.arange(-128, 128).astype(np.int8)
    rng = np.random.default_rng(0)
    for zero_points in ((-128, 127), (0, 0), (3, -5)):
        arguments: dict[str, Any] = {
            "adj_a": False,
            "adj_b": False,
            "a_zero_point": zero_points[0],
            "b_zero_point": zero_points[1],
            "ofm_zero_point": int(rng.integers(-128, 128)),
            "multiplier": 1 << 30,
            "shift": -6,
        }
        operands = values[::5].reshape(-1, 1), values[::3].reshape(1, -1)
        np.testing.assert_array_equal(
            batch_matmul(*operands, **arguments), twins.batch_matmul(*operands, **arguments)
        )


@pytest.mark.interpreted
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", seeds(20), ids="seed{}".format)
@pytest.mark.parametrize("code", ["RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"])
def test_random_resizing_matches_tflm(code: str, seed: int, mode: str) -> None:
    rng = np.random.default_rng(seed)
    shape = (2, *(int(n) for n in rng.integers(1, 30, 2)), 3)
    size = pair(rng, 1, 59)
    nearest = code == "RESIZE_NEAREST_NEIGHBOR"
    flags = MODES[mode]
    model = models.movement(
        code,
        shape,
        [(2, *size, 3)],
        constants=[size],
        options={
            "alignCorners": flags["align_corners"],
            "halfPixelCenters": flags["half_pixel_centers"],
        },
        options_type="ResizeNearestNeighborOptions" if nearest else "ResizeBilinearOptions",
    )
    ifm = random_int8(rng, shape)
    kernel = resize_nearest_neighbor if nearest else resize_bilinear
    np.testing.assert_array_equal(kernel(ifm, size, **flags), run_tflm(model, [ifm])[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", seeds(2), ids="seed{}".format)
def test_bilinear_resizing_matches_the_twin(seed: int, mode: str) -> None:
    rng = np.random.default_rng(1000 + seed)
    ifm = random_int8(rng, (1, *(int(n) for n in rng.integers(1, 8, 2)), 2))
    size = pair(rng, 1, 19)
    np.testing.assert_array_equal(
        resize_bilinear(ifm, size, **MODES[mode]), twins.resize_bilinear(ifm, size, **MODES[mode])
    )


@pytest.mark.parametrize("kernel", [resize_nearest_neighbor, resize_bilinear])
@pytest.mark.parametrize(
    ("ifm", "size", "message"),
    [
        (np.zeros((1, 2, 2, 1), np.uint8), (2, 2), "ifm is uint8; allowed (are|is) int8"),
        (np.zeros((2, 2, 1), np.int8), (2, 2), r"ifm has shape \(2, 2, 1\); allowed are 4 dim"),
        (np.zeros((1, 2, 2, 1), np.int8), (0, 2), r"ofm_hw is \(0, 2\); allowed are two numbers"),
    ],
)
def test_bad_resizing_is_refused(
    kernel: Callable[..., Any], ifm: NDArray[Any], size: Pair, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kernel(ifm, size, **MODES["plain"])


def test_resizing_beyond_the_precision_of_coordinates_is_refused() -> None:
    ifm = np.zeros((1, 1, 1, 1), np.int8)
    assert resize_bilinear(ifm, (1000, 1), **MODES["plain"]).shape == (1, 1000, 1, 1)
    with pytest.raises(ValueError, match="1 rows or columns are enlarged to 1500: too far"):
        resize_bilinear(ifm, (1500, 1), **MODES["plain"])


GOOD_CONV = {
    "ifm": np.zeros((1, 2, 2, 3), np.int8),
    "weights": np.zeros((4, 3, 3, 3), np.int8),
    "bias": None,
    "stride": (2, 2),
    "padding": (0, 0),
    "ofm_hw": (4, 4),
    "ifm_zero_point": 0,
    "ofm_zero_point": 0,
    "multiplier": np.full(4, 2**30, np.int32),
    "shift": np.zeros(4, np.int32),
    "activation_min": -128,
    "activation_max": 127,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((1, 2, 2, 3), np.uint8)}, "ifm is uint8; allowed is int8"),
        ({"weights": np.zeros((4, 3, 3, 2), np.int8)}, "weights take 2 channels; allowed is"),
        ({"stride": (0, 1)}, r"stride is \(0, 1\); allowed are two numbers of 1 or more"),
        ({"padding": (-1, 0)}, r"padding is \(-1, 0\); allowed are two numbers of 0 or more"),
        ({"ofm_hw": (0, 1)}, r"ofm_hw is \(0, 1\); allowed are two numbers of 1 or more"),
        ({"bias": np.zeros(3, np.int32)}, "bias has 3 values; allowed is one per channel: 4"),
        ({"shift": np.full(4, 31, np.int32)}, "shift is 31; allowed is -31 to 30"),
    ],
)
def test_bad_transpose_convolutions_are_refused(change: dict[str, Any], message: str) -> None:
    assert transpose_conv(**staged(GOOD_CONV)).shape == (1, 4, 4, 4)
    with pytest.raises(ValueError, match=message):
        transpose_conv(**staged(GOOD_CONV | change))


GOOD_MATMUL: dict[str, Any] = {
    "a": np.zeros((2, 3), np.int8),
    "b": np.zeros((3, 4), np.int8),
    "a_zero_point": 0,
    "b_zero_point": 0,
    "ofm_zero_point": 0,
    "multiplier": 2**30,
    "shift": 0,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": np.zeros((2, 3), np.int16)}, "a is int16; allowed is int8"),
        ({"b": np.zeros(3, np.int8)}, r"b has shape \(3,\); allowed are 2 dimensions or more"),
        ({"adj_b": True}, "as many columns in the first as rows in the second"),
        (
            {"a": np.zeros((2, 2, 3), np.int8), "b": np.zeros((3, 3, 4), np.int8)},
            "allowed are batches that broadcast",
        ),
        ({"b_zero_point": 128}, "b_zero_point is 128; allowed is -128 to 127"),
        ({"multiplier": -1}, "multiplier is -1; allowed is 0 to"),
    ],
)
def test_bad_matrix_products_are_refused(change: dict[str, Any], message: str) -> None:
    assert batch_matmul(**GOOD_MATMUL).shape == (2, 4)
    with pytest.raises(ValueError, match=message):
        batch_matmul(**(GOOD_MATMUL | change))


@pytest.mark.parametrize("seed", seeds(4), ids="seed{}".format)
def test_the_product_of_scales_is_not_rounded_to_float32(seed: int) -> None:
    """As some versions of TFLM do: with accumulators next to ties, that makes other results."""
    rng = np.random.default_rng(seed)
    a_scale, b_scale = (float(np.float32(s)) for s in rng.uniform(0.01, 0.1, 2))
    ofm_scale = float(np.float32(a_scale * b_scale * rng.uniform(0.8e5, 1.2e5)))
    exact = quantization.mul_multiplier(a_scale, b_scale, ofm_scale)
    rounded = quantize_multiplier(float(np.float32(a_scale * b_scale)) / ofm_scale)
    ties = (np.arange(-125, 126) + 0.5) * ofm_scale / (a_scale * b_scale)
    close = (np.rint(ties).astype(np.int64)[:, None] + np.arange(-3, 4)).reshape(-1)
    # 999 columns of 127 and one of 1 make any accumulator
    rows = np.zeros((close.size, 1000), np.int8)
    quotients, rests = np.divmod(close, 127)
    for row, quotient, rest in zip(rows, quotients, rests, strict=True):
        row[:999] = quotient // 999
        row[: quotient % 999] += 1
        row[999] = rest
    columns = np.full((1000, 1), 127, np.int8)
    columns[999] = 1
    m = ModelBuilder()
    a = m.input(rows.shape, scale=a_scale)
    b = m.input(columns.shape, scale=b_scale)
    y = m.tensor((close.size, 1), scale=ofm_scale)
    m.operator("BATCH_MATMUL", [a, b], [y], {}, options_type="BatchMatMulOptions", version=2)
    expected = run_tflm(m.build(), [rows, columns], arena_bytes=1 << 23)[0]
    points: dict[str, Any] = {"a_zero_point": 0, "b_zero_point": 0, "ofm_zero_point": 0}
    for (multiplier, shift), equal in ((exact, True), (rounded, False)):
        ofm = batch_matmul(rows, columns, multiplier=multiplier, shift=shift, **points)
        assert np.array_equal(ofm, expected) == equal, f"seed {seed}"
