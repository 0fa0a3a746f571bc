"""Small networks around one layer that converters treat in a way of their own."""

from typing import Any

import keras
from keras import layers

from tests.converter.networks.layers import classes, conv_bn, picture


def _around(batch: int | None, layer: Any, *, size: int = 16) -> Any:
    """A convolution, `layer`, a convolution."""
    x = entry = picture(batch, size)
    x = layer(layers.Conv2D(12, 3, padding="same")(x))
    return keras.Model(entry, layers.Conv2D(6, 3, 2, padding="same")(x))


def group_normalization(batch: int | None) -> Any:
    """Normalization over groups of channels."""
    return _around(batch, layers.GroupNormalization(groups=3))


def layer_normalization(batch: int | None) -> Any:
    """Normalization over the channels of each pixel."""
    return _around(batch, layers.LayerNormalization())


def prelu(batch: int | None) -> Any:
    """ReLU with a learned slope for each channel."""
    slopes = layers.PReLU(alpha_initializer="uniform", shared_axes=[1, 2])
    return _around(batch, slopes)


def leaky_relu(batch: int | None) -> Any:
    """ReLU with one slope."""
    return _around(batch, layers.LeakyReLU(negative_slope=0.1))


def hard_swish(batch: int | None) -> Any:
    """Hard swish."""
    return _around(batch, layers.Activation("hard_silu"))


def relu_capped_and_sloped(batch: int | None) -> Any:
    """ReLU with a slope, a threshold and a maximum."""
    return _around(batch, layers.ReLU(max_value=4.0, negative_slope=0.1, threshold=0.2))


def elu_and_tanh(batch: int | None) -> Any:
    """Functions that become tables."""
    x = entry = picture(batch, 16)
    x = layers.Activation("elu")(layers.Conv2D(8, 3)(x))
    x = layers.Activation("tanh")(layers.Conv2D(8, 3)(x))
    return keras.Model(entry, layers.Conv2D(4, 1)(x))


def global_max_pool(batch: int | None) -> Any:
    """The maximum of each channel."""
    x = entry = picture(batch, 16)
    return keras.Model(entry, layers.Dense(5)(layers.GlobalMaxPooling2D()(conv_bn(x, 12))))


def batch_normalization_alone(batch: int | None) -> Any:
    """Normalization that no convolution takes in."""
    x = entry = picture(batch, 16)
    x = layers.BatchNormalization()(x)
    x = layers.BatchNormalization()(layers.MaxPooling2D()(x))
    return keras.Model(entry, classes(x, 3))


def two_inputs_two_outputs(batch: int | None) -> Any:
    """Two pictures in, a map and classes out."""
    one, two = picture(batch, 16), picture(batch, 16)
    x = layers.Add()([conv_bn(one, 8), conv_bn(two, 8)])
    return keras.Model([one, two], [layers.Conv2D(2, 1)(x), classes(x, 4)])


def flattened(batch: int | None) -> Any:
    """Convolution, flatten, dense: the first network of everybody."""
    x = entry = picture(batch, 12, 1)
    x = layers.MaxPooling2D()(layers.Conv2D(6, 3, activation="relu")(x))
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    return keras.Model(entry, layers.Dense(4, activation="softmax")(x))


def minimum_and_maximum(batch: int | None) -> Any:
    """Two branches, compared element by element."""
    x = entry = picture(batch, 12)
    one, two = layers.Conv2D(8, 1)(x), layers.Conv2D(8, 1)(x)
    x = layers.Subtract()([layers.Maximum()([one, two]), layers.Minimum()([one, two])])
    return keras.Model(entry, layers.Average()([x, one]))


NETWORKS = {
    build.__name__: build
    for build in (
        group_normalization,
        layer_normalization,
        prelu,
        leaky_relu,
        hard_swish,
        relu_capped_and_sloped,
        elu_and_tanh,
        global_max_pool,
        batch_normalization_alone,
        two_inputs_two_outputs,
        flattened,
        minimum_and_maximum,
    )
}
