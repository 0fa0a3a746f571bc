"""A Keras model of an integer network."""

from pathlib import Path

import keras
import numpy as np
import pytest

from npu import zoo
from npu.errors import OptimizeError
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.optimize.training import recipes
from npu.optimize.training.convert import convert
from npu.optimize.training.fit import evaluate, scores
from npu.optimize.training.from_tflite import keras_model, with_batchnorm
from npu.optimize.training.models import fold_batchnorm, load_keras, weighted_layers
from tests.npu.optimize.training.small_network import digits
from tests.support.tflite_builder import ModelBuilder


def test_the_shipped_network_says_what_it_said() -> None:
    model = recipes.RECIPES["fashion_resnet"].build()
    images, _, _ = zoo.load_images()
    said = np.argmax(model(images.astype(np.float32) / 255), -1)
    expected = np.array(zoo.load_record()["images"]["int8_predicted"])
    assert np.count_nonzero(said != expected) <= 1
    macs = zoo.load_record()["macs"]
    assert read_model(zoo.model_path()).total_macs == macs
    assert model.count_params() < zoo.load_record()["parameters"]


def test_a_network_comes_back(trained: Path) -> None:
    model, data = fold_batchnorm(load_keras(trained)), digits()
    again = keras_model(read_model_bytes(convert(model, data.train.x), "net"))
    shapes = [layer.kernel.shape for layer in weighted_layers(model)]
    assert [layer.kernel.shape for layer in weighted_layers(again)] == shapes
    before, after = scores(model, data.test), scores(again, data.test)
    # weights are rounded to eight bits, activations no longer
    assert np.abs(after - before).max() < 0.05 * np.abs(before).max()
    assert abs(evaluate(again, data.test) - evaluate(model, data.test)) < 0.01


def test_batch_normalization_comes_back(trained: Path) -> None:
    folded, data = fold_batchnorm(load_keras(trained)), digits()
    model = with_batchnorm(folded, data.train.x[:400])
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert [norm.name for norm in norms] == ["conv_norm", "depthwise_norm", "middle_norm"]
    np.testing.assert_allclose(scores(model, data.test), scores(folded, data.test), atol=1e-3)
    # statistics are those of the data: training starts with what inference does
    x = data.train.x[:400]
    training = np.asarray(model(x, training=True))
    assert np.abs(training - np.asarray(model(x))).max() < 0.05 * np.abs(training).max()
    again = fold_batchnorm(model)
    np.testing.assert_allclose(scores(again, data.test), scores(folded, data.test), atol=1e-3)


def test_operators_without_a_layer() -> None:
    m = ModelBuilder()
    x = m.input((1, 4, 4, 8), scale=0.1)
    padded = m.build([m.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))])
    with pytest.raises(OptimizeError, match="operator 0, PAD, cannot be trained: only CONV_2D, "):
        keras_model(read_model_bytes(padded, "x"))
    m = ModelBuilder()
    x = m.input((1, 4, 4, 8), scale=0.1)
    constant = m.constant(np.ones((1, 4, 4, 8), np.int8), scale=0.1, zero_point=0)
    added = m.build([m.add(x, constant, scale=0.2, zero_point=0)])
    with pytest.raises(OptimizeError, match="operator 0, ADD, adds a constant: not trained"):
        keras_model(read_model_bytes(added, "x"))
    m = ModelBuilder()
    x, weights = m.input((1, 8), scale=0.1), m.input((4, 8), scale=0.1)
    y = m.tensor((1, 4), np.int8, scale=0.1, zero_point=0)
    m.operator("FULLY_CONNECTED", [x, weights], [y], options_type="FullyConnectedOptions")
    with pytest.raises(OptimizeError, match="has no constant integer weights"):
        keras_model(read_model_bytes(m.build([y]), "x"))
