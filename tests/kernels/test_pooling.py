"""AVERAGE_POOL_2D and MAX_POOL_2D against TFLM and against the plain-Python twins."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.pooling import average_pool2d, max_pool2d
from tests.kernels import twins
from tests.kernels.layers import random_activation, random_geometry, seeds, single
from tests.kernels.reference import pool_arguments, run_average_pool, run_max_pool
from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflm import run_tflm

KINDS = {
    "average": (
        ModelBuilder.average_pool2d,
        run_average_pool,
        average_pool2d,
        twins.average_pool2d,
    ),
    "max": (ModelBuilder.max_pool2d, run_max_pool, max_pool2d, twins.max_pool2d),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def random_layer(kind: str, seed: int, limit: int) -> tuple[bytes, NDArray[np.int8]]:
    """(model, IFM)."""
    rng = np.random.default_rng(seed)
    g = random_geometry(rng, channels=int(rng.integers(1, limit)), dilated=False)
    m, x, ifm = single(rng, g.shape)
    KINDS[kind][0](
        m,
        x,
        window=g.kernel,
        stride=g.stride,
        padding=g.padding,
        activation=random_activation(rng),
    )
    return m.build(), ifm


@pytest.mark.interpreted
@each_kind
@pytest.mark.parametrize("seed", seeds(50), ids="seed{}".format)
def test_random_layers_match_tflm(kind: str, seed: int) -> None:
    model, ifm = random_layer(kind, seed, 40)
    np.testing.assert_array_equal(KINDS[kind][1](model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.interpreted
@each_kind
@pytest.mark.parametrize("seed", seeds(15), ids="seed{}".format)
def test_random_layers_match_the_twin(kind: str, seed: int) -> None:
    model, ifm = random_layer(kind, 1000 + seed, 5)
    arguments = pool_arguments(model)
    _, _, kernel, twin = KINDS[kind]
    np.testing.assert_array_equal(kernel(ifm, **arguments), twin(ifm, **arguments))


@pytest.mark.quick
@pytest.mark.parametrize("window", [(1, 2), (2, 2), (3, 2), (2, 5), (7, 7)], ids=str)
def test_every_sum_of_an_average_matches_tflm(window: Pair) -> None:
    """Each channel holds another sum, from the least to the greatest: all ties, both signs."""
    taps = window[0] * window[1]
    sums = np.arange(-128 * taps, 127 * taps + 1)
    ifm = np.array([(sums + i) // taps for i in range(taps)]).astype(np.int8)
    assert (ifm.astype(int).sum(0) == sums).all()
    m = ModelBuilder()
    x = m.input((1, *window, sums.size), scale=1.0)
    m.average_pool2d(x, window=window)
    model, ifm = m.build(), ifm.reshape(x.shape)
    np.testing.assert_array_equal(run_average_pool(model, ifm), run_tflm(model, [ifm])[0])


@pytest.mark.parametrize("kernel", [average_pool2d, max_pool2d])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ifm": np.zeros((1, 4, 5, 2), np.uint8)}, "ifm is uint8; allowed is int8"),
        ({"ifm": np.zeros((4, 5, 2), np.int8)}, r"ifm has shape .*; allowed are 4 dimensions"),
        ({"window": (0, 1)}, r"window is \(0, 1\); allowed are two numbers of 1 or more"),
        ({"stride": (1, 0)}, r"stride is \(1, 0\); allowed are two numbers of 1 or more"),
        ({"padding": (2, 0)}, "vertical padding is 2; allowed is less than the window's 2"),
        ({"ofm_hw": (5, 4)}, "vertical OFM size is 5; allowed is at most 4"),
        ({"activation_max": 300}, "activation range is -128 to 300; allowed is"),
    ],
)
def test_bad_arguments_are_refused(
    kernel: Callable[..., Any], change: dict[str, Any], message: str
) -> None:
    good = {
        "ifm": np.zeros((1, 4, 5, 2), np.int8),
        "window": (2, 2),
        "stride": (1, 1),
        "padding": (0, 0),
        "ofm_hw": (3, 4),
        "activation_min": -128,
        "activation_max": 127,
    }
    assert kernel(**good).shape == (1, 3, 4, 2)
    with pytest.raises(ValueError, match=message):
        kernel(**(good | change))
