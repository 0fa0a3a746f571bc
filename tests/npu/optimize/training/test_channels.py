"""Channels that are taken out of a model: which belong together, which are chosen, what is left."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from npu.optimize.choices import Method
from npu.optimize.settings import Pruning, Settings
from npu.optimize.training.channel_graph import channel_graph, keep_channels, remaining_macs
from npu.optimize.training.channels import Selection, shrink
from npu.optimize.training.fit import evaluate
from npu.optimize.training.models import as_functional, load_keras
from npu.optimize.training.pipeline import planned_stages
from npu.optimize.training.stages import Session, prune_channels
from rtl.config import PRESETS
from tests.npu.optimize.training.small_network import BATCH, digits


def residual_model(seed: int = 1) -> Any:
    """A convolution, a branch that is added to it, a depthwise layer, and classes."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    y = layers.Conv2D(12, 3, padding="same", activation="relu", name="inner")(x)
    y = layers.Conv2D(8, 1, name="back")(y)
    x = layers.Add(name="sum")([x, y])
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Flatten()(layers.ReLU()(x))
    return as_functional(keras.Model(inputs, layers.Dense(10, name="classes")(x)))


def test_added_branches_are_one_space() -> None:
    graph = channel_graph(residual_model())
    found = [
        (graph.spaces[i].producers, graph.spaces[i].followers, graph.spaces[i].consumers)
        for i in graph.prunable()
    ]
    assert found == [
        (["stem", "back"], ["norm", "depthwise"], ["inner", "classes"]),
        (["inner"], [], ["back"]),
    ]
    assert graph.repeats["classes"] == 64


def test_channels_that_are_zero_can_be_removed() -> None:
    model = residual_model()
    graph = channel_graph(model)
    shared, inner = graph.prunable()
    keep = {shared: np.array([0, 2, 3, 5, 7]), inner: np.array([1, 4, 5, 6, 8, 9])}
    gone = {i: np.setdiff1d(np.arange(graph.spaces[i].channels), keep[i]) for i in keep}
    for name in ("inner", "back", "classes"):
        layer = model.get_layer(name)
        kernel = np.asarray(layer.kernel).copy()
        channels = gone[graph.before[name]]
        if name == "classes":
            size = graph.spaces[shared].channels
            channels = (np.arange(64)[:, None] * size + channels).reshape(-1)
        kernel[..., channels, :] = 0
        layer.kernel.assign(kernel)
    smaller = keep_channels(model, graph, keep)
    assert smaller.get_layer("back").kernel.shape == (1, 1, 6, 5)
    x = digits().test.x[:20]
    np.testing.assert_allclose(smaller(x), model(x), atol=1e-5)


def test_macs_are_those_of_the_smaller_model() -> None:
    model = residual_model()
    graph = channel_graph(model)
    shared, inner = graph.prunable()
    keep = {shared: np.arange(4), inner: np.arange(3)}
    smaller = keep_channels(model, graph, keep)
    expected = remaining_macs(smaller, channel_graph(smaller), {})
    assert remaining_macs(model, graph, {shared: 4 / 8, inner: 3 / 12}) == pytest.approx(expected)


@pytest.mark.parametrize("selection", list(Selection))
def test_least_squares_make_up_for_what_is_gone(selection: Selection, trained: Path) -> None:
    model, data = load_keras(trained), digits()
    plain, fitted = (
        shrink(model, data.train.x, 0.5, selection=selection, reconstruct=reconstruct)
        for reconstruct in (False, True)
    )
    assert plain.factor == fitted.factor >= 2
    assert evaluate(fitted.model, data.validation) > evaluate(plain.model, data.validation)


def test_lasso_leaves_out_what_has_no_effect(trained: Path) -> None:
    model, data = load_keras(trained), digits()
    layer = model.get_layer("classes")
    kernel = np.asarray(layer.kernel).copy()
    kernel[:24] = 0
    layer.kernel.assign(kernel)
    smaller = shrink(model, data.train.x, 0.2).model
    assert smaller.get_layer("wide").kernel.shape[-1] < 32
    assert evaluate(smaller, data.validation) > 0.5 * evaluate(model, data.validation)


def test_the_stage_says_how_far_it_got(trained: Path) -> None:
    data = digits()
    settings = Settings(prune=Pruning(Method.LASSO, 0.5), epochs=3, batch=BATCH)
    assert [name for name, _ in planned_stages(settings)] == ["channels removed"]
    session = Session(settings=settings, data=data, config=PRESETS["npu256"])
    model = prune_channels(load_keras(trained), session)
    assert "fewer MACs, 2.00x asked" in session.notes[0]
    assert evaluate(model, data.validation) > 0.9
    far = Settings(prune=Pruning(Method.LASSO, 0.9999), epochs=1, batch=BATCH)
    session = Session(settings=far, data=data, config=PRESETS["npu256"])
    prune_channels(load_keras(trained), session)
    assert "that is as far as it goes" in session.notes[0]
