"""MEAN against TFLM and against the plain-Python twin; extremes against plain Python."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.quantization import rescale_multiplier
from kernels.reduce import arg_max, arg_min, mean, reduce_max, reduce_min, reduce_sum
from tests.kernels import twins
from tests.kernels.layers import INTERPRETED, seeds, single
from tests.kernels.reference import mean_arguments, run_mean
from tests.support.random_layers import random_int8, random_scale, random_zero_point
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

AXES = [(1, 2), (2, 1), (1,), (2,), (3,), (0,), (-1,), (-3, -2), (1, 3), (0, 2), (1, 2, 3), (1, 1)]


def random_layer(
    seed: int, axes: tuple[int, ...], *, keep_dims: bool, same_scale: bool = False
) -> tuple[bytes, NDArray[np.int8]]:
    """(model, IFM)."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 8, 4))
    m, x, ifm = single(rng, shape)
    scale = x.scale if same_scale else random_scale(rng, x.scale / 8, x.scale * 8)
    zero_point = x.zero_point if same_scale else random_zero_point(rng)
    m.mean(x, axes, scale=scale, zero_point=zero_point, keep_dims=keep_dims)
    return m.build(), ifm


@pytest.mark.interpreted
@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("seed", seeds(6), ids="seed{}".format)
def test_random_layers_match_tflm(axes: tuple[int, ...], keep_dims: bool, seed: int) -> None:
    model, ifm = random_layer(seed, axes, keep_dims=keep_dims, same_scale=seed % 3 == 0)
    np.testing.assert_array_equal(run_mean(model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.interpreted
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_random_layers_match_the_twin(axes: tuple[int, ...]) -> None:
    model, ifm = random_layer(1000, axes, keep_dims=len(axes) == 1)
    axes, arguments = mean_arguments(model)
    np.testing.assert_array_equal(mean(ifm, axes, **arguments), twins.mean(ifm, axes, **arguments))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 49, 64, 100])
@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("zero_point", [-128, 127])
def test_ties_and_saturation_match_tflm(count: int, scale: float, zero_point: int) -> None:
    rng = np.random.default_rng(count)
    m = ModelBuilder()
    x = m.input((1, count, 1, 256), scale=1.0, zero_point=zero_point)
    m.mean(x, (1, 2), scale=scale, zero_point=-1 - zero_point)
    model = m.build()
    ifm = np.broadcast_to(np.arange(-128, 128), x.shape).astype(np.int8).copy()
    ifm[0, 0] = random_int8(rng, (1, 256))
    np.testing.assert_array_equal(run_mean(model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.quick
@pytest.mark.skipif(INTERPRETED, reason="too slow without Numba")
def test_large_counts_match_tflm() -> None:
    rng = np.random.default_rng(0)
    m, x, ifm = single(rng, (1, 112, 112, 3))
    m.mean(x, (1, 2), scale=x.scale / 16, zero_point=x.zero_point)
    model = m.build()
    np.testing.assert_array_equal(run_mean(model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((2, 3), np.int32)}, "ifm is int32; allowed are int8, int16"),
        ({"axes": (2,)}, "axis is 2; allowed is -2 to 1"),
        ({"ifm_zero_point": 128}, "ifm_zero_point is 128; allowed is -128 to 127"),
        ({"ofm_zero_point": 128}, "ofm_zero_point is 128; allowed is -128 to 127"),
        ({"multiplier": -1}, "multiplier is -1; allowed is 0 to"),
        ({"shift": 31}, "shift is 31; allowed is -31 to 30"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "ifm": np.zeros((2, 3), np.int8),
        "axes": (1,),
        "keep_dims": False,
        "ifm_zero_point": 0,
        "ofm_zero_point": 0,
        "multiplier": 2**30,
        "shift": 0,
    }
    assert mean(**good).shape == (2,)
    with pytest.raises(ValueError, match=message):
        mean(**(good | change))


def test_no_axes_rescale_only() -> None:
    ifm = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    ofm = mean(
        ifm, (), keep_dims=True, ifm_zero_point=0, ofm_zero_point=1, multiplier=2**30, shift=1
    )
    np.testing.assert_array_equal(ofm, ifm + 1)


@pytest.mark.interpreted
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("seed", seeds(3), ids="seed{}".format)
def test_random_sums_match_tflm_and_the_twin(axes: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 8, 4))
    m, x, ifm = single(rng, shape)
    reduced = {axis % 4 for axis in axes}
    y = m.tensor(
        [1 if axis in reduced else n for axis, n in enumerate(shape)],
        scale=random_scale(rng, x.scale, x.scale * 64),
        zero_point=random_zero_point(rng),
    )
    indices = m.constant(np.array(axes, np.int32))
    m.operator("SUM", [x, indices], [y], {"keepDims": True}, options_type="ReducerOptions")
    multiplier, shift = rescale_multiplier(x.scale, y.scale)
    arguments: dict[str, Any] = {
        "keep_dims": True,
        "ifm_zero_point": x.zero_point,
        "ofm_zero_point": y.zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }
    ofm = reduce_sum(ifm, axes, **arguments)
    np.testing.assert_array_equal(ofm, run_tflm(m.build(), [ifm])[0])
    # a sum is a mean whose multiplier nothing was divided by
    np.testing.assert_array_equal(ofm, twins.mean(ifm, axes, **arguments))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_arguments_of_extremes_are_the_first(axis: int) -> None:
    rng = np.random.default_rng(1)
    ifm = rng.integers(-3, 4, (4, 5, 6)).astype(np.int8)
    for kernel, best in ((arg_max, max), (arg_min, min)):
        ofm = kernel(ifm, axis)
        assert ofm.dtype == np.int32
        rows = np.moveaxis(ifm, axis, -1).reshape(-1, ifm.shape[axis]).tolist()
        assert ofm.reshape(-1).tolist() == [row.index(best(row)) for row in rows]


@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_extremes(axes: tuple[int, ...], keep_dims: bool) -> None:
    ifm = random_int8(np.random.default_rng(2), (2, 3, 4, 5))
    reduced = {axis % 4 for axis in axes}
    kept = [n for axis, n in enumerate(ifm.shape) if axis not in reduced]
    rows = np.moveaxis(ifm, sorted(reduced), range(-len(reduced), 0)).reshape(*kept, -1)
    for kernel, best in ((reduce_max, max), (reduce_min, min)):
        ofm = kernel(ifm, axes, keep_dims=keep_dims)
        assert ofm.dtype == np.int8
        assert ofm.ndim == (4 if keep_dims else len(kept))
        assert ofm.reshape(-1).tolist() == [best(r) for r in rows.reshape(-1, rows.shape[-1])]


@pytest.mark.parametrize("kernel", [arg_max, arg_min])
def test_bad_arguments_of_positions_are_refused(kernel: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="ifm is int16; allowed is int8"):
        kernel(np.zeros(3, np.int16), 0)
    with pytest.raises(ValueError, match="axis is 1; allowed is -1 to 0"):
        kernel(np.zeros(3, np.int8), 1)


@pytest.mark.parametrize("kernel", [reduce_max, reduce_min])
def test_bad_arguments_of_extremes_are_refused(kernel: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="ifm is int16; allowed is int8"):
        kernel(np.zeros(3, np.int16), (0,), keep_dims=True)
    with pytest.raises(ValueError, match="axis is 1; allowed is -1 to 0"):
        kernel(np.zeros(3, np.int8), (1,), keep_dims=True)
