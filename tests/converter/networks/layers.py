"""What the networks of this folder share."""

from typing import Any

import keras
from keras import layers


def picture(batch: int | None, size: int, channels: int = 3) -> Any:
    """The input of an image network, `(batch, size, size, channels)`."""
    return keras.Input((size, size, channels), batch_size=batch)


def series(batch: int | None, steps: int, channels: int) -> Any:
    """The input of a sequence network, `(batch, steps, channels)`."""
    return keras.Input((steps, channels), batch_size=batch)


def conv_bn(x: Any, channels: int, size: int = 3, stride: int = 1, activation: str = "relu") -> Any:
    """Convolution, batch normalization, activation."""
    x = layers.Conv2D(channels, size, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x)


def depthwise_bn(x: Any, size: int = 3, stride: int = 1, activation: str = "relu") -> Any:
    """Depthwise convolution, batch normalization, activation."""
    x = layers.DepthwiseConv2D(size, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x)


def squeeze_excite(x: Any, channels: int, reduced: int, gate: str = "sigmoid") -> Any:
    """Squeeze-and-excite: channels weighted by what their means say."""
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Conv2D(reduced, 1, activation="relu")(weights)
    weights = layers.Conv2D(channels, 1, activation=gate)(weights)
    return layers.Multiply()([x, weights])


def classes(x: Any, count: int = 10) -> Any:
    """Mean over the pixels, a dense layer, softmax."""
    return layers.Dense(count, activation="softmax")(layers.GlobalAveragePooling2D()(x))
