"""The network of the tests, its data, and its training."""

from typing import Any

import keras

from npu.optimize.data import Dataset, load_dataset
from npu.optimize.training.fit import FitPlan, fit

EPOCHS = 12
BATCH = 64


def small_model(seed: int = 1) -> Any:
    """CONV, depthwise, CONV and two Dense for 8x8 digits; 22k weights."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv")(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="middle")(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Flatten()(x)
    x = layers.Dense(32, activation="relu", name="wide")(x)
    return keras.Model(inputs, layers.Dense(10, name="classes")(x))


def digits() -> Dataset:
    """scikit-learn's digits; 1,294 of them train."""
    return load_dataset("sklearn-digits")


def train_small(seed: int = 1) -> Any:
    """The network, trained for a few seconds."""
    model = small_model(seed)
    plan = FitPlan(stage="train", epochs=EPOCHS, batch=BATCH, rate=2e-3, seed=seed)
    fit(model, digits(), plan)
    return model
